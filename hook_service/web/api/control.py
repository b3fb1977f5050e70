"""Manual control: what is shown, which destinations are sent to, processes begun anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flask import Response, g

from hook_service import ipc
from hook_service.web import audit, models_control
from hook_service.web.api.common import answer, fault, loop_of, the_services
from hook_service.web.models_control import Accepted
from hook_service.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask_openapi3.blueprint import APIBlueprint

    from hook_service.web.auth import Scope
    from hook_service.web.director import Director

SCOPE: Final[Scope] = "control"
DESTINATION = "destination:"
DECODER = "decoder"


def routes(blueprint: APIBlueprint) -> None:
    """Add them."""

    def post(path: str, summary: str, act: Callable[..., Response]) -> None:
        blueprint.post(path, summary=summary, responses={202: Accepted})(act)

    post("/stations/<station>/switch", "Show a loop until the next track, or for a time", switch)
    post("/stations/<station>/hold", "Hold a loop, or what is on the air", hold)
    post("/stations/<station>/slate", "Show the slate", slate)
    post("/stations/<station>/release", "Let the tracks have the picture again", release)
    post("/stations/<station>/next", "Show the next track's loop now", show_next)
    post("/stations/<station>/processes/<name>/restart", "Begin a process anew", restart_process)
    post("/destinations/<station>/<name>/start", "Send to a destination again", start)
    post("/destinations/<station>/<name>/stop", "Send nothing to a destination until it is started", stop)
    post("/destinations/<station>/<name>/restart", "Connect to a destination anew", restart)


def switch(path: models_control.StationPath, body: models_control.SwitchIn) -> Response:
    """Show a loop by hand. It enters no history: no track belongs to it."""
    director = _director(path.station)
    loop, manual = loop_of(the_services(), "loop", body.loop), director.manual
    if body.seconds is None:
        _ordered(lambda: manual.show(loop, g.request_id))
    else:
        _ordered(lambda: manual.take("switch", loop, body.seconds, g.actor.name, g.request_id))
    return _done("station.switch", path.station, loop=body.loop, seconds=body.seconds)


def hold(path: models_control.StationPath, body: models_control.HoldIn) -> Response:
    """Whatever track begins, this loop stays. The tracks' history goes on."""
    manual = _director(path.station).manual
    loop = None if body.loop is None else loop_of(the_services(), "loop", body.loop)
    stay = loop is None
    _ordered(lambda: manual.take("hold", loop, body.seconds, g.actor.name, g.request_id, stay=stay))
    return _done("station.hold", path.station, loop=body.loop, seconds=body.seconds)


def slate(path: models_control.StationPath, body: models_control.SlateIn) -> Response:
    """The picture that needs no file; the sound goes on."""
    manual = _director(path.station).manual
    _ordered(lambda: manual.take("slate", None, body.seconds, g.actor.name, g.request_id))
    return _done("station.slate", path.station, seconds=body.seconds)


def release(path: models_control.StationPath) -> Response:
    """The track on the air gets its own picture; nothing happens where nothing is held."""
    held = _director(path.station).manual.release()
    return _done("station.release", path.station, held=held)


def show_next(path: models_control.StationPath) -> Response:
    """Ahead of its sound, and until the track after it."""
    director = _director(path.station)
    loop = (director.following() or {}).get("loop_path")
    if loop is None:
        raise Problem(409, "What comes next is not known.")
    _ordered(lambda: director.manual.show(loop, g.request_id))
    return _done("station.next", path.station, loop=loop)


def restart_process(path: models_control.ProcessPath) -> Response:
    """The timeline goes on, and a process that is begun anew joins it."""
    _director(path.station)
    if path.name.startswith(DESTINATION):
        _output(path.station, "restart", path.name.removeprefix(DESTINATION))
    else:
        run = the_services().host.paths.run
        peer = run / ("monitor.sock" if path.name == DECODER else f"playout-{path.station}.sock")
        _ordered(lambda: ipc.request(peer, {"op": "restart", "name": path.name, "station": path.station}), "name")
    return _done("process.restart", path.station, process=path.name)


def start(path: models_control.DestinationPath) -> Response:
    """Nothing happens where it is sent to already."""
    return _destination("start", path)


def stop(path: models_control.DestinationPath) -> Response:
    """It stays so over every restart, and nobody is alerted."""
    return _destination("stop", path)


def restart(path: models_control.DestinationPath) -> Response:
    """Its viewers wait for about a second."""
    return _destination("restart", path)


def _destination(action: str, path: models_control.DestinationPath) -> Response:
    _director(path.station)
    if path.name not in the_services().host.stations[path.station].destinations:
        raise Problem(404, "This station has no such destination.")
    _output(path.station, action, path.name)
    return _done(f"destination.{action}", path.station, destination=path.name)


def _output(station: str, action: str, name: str) -> None:
    peer = the_services().host.paths.run / f"output-{station}.sock"
    _ordered(lambda: ipc.request(peer, {"op": action, "name": name}), "name")


def _director(station: str) -> Director:
    services = the_services()
    director = services.directors.get(station)
    if director is None:
        raise Problem(404, "This station is not configured here.", stations=sorted(services.directors))
    return director


def _ordered(order: Callable[[], dict[str, Any]], field: str = "loop") -> None:
    try:
        told = order()
    except ipc.PeerDown as error:
        raise Problem(503, f"{error.path.stem} does not answer.", {"Retry-After": "5"}) from None
    if not told.get("ok"):
        raise fault(field, str(told.get("error")))


def _done(action: str, station: str, **details: Any) -> Response:
    audit.record(action, station=station, **details)
    return answer({"request_id": g.request_id, "accepted": True}, 202)
