"""Each process killed, and each stopped so that it lives and does nothing."""

from __future__ import annotations

from functools import partial

from tests.faults.fault import Fault
from tests.faults.stage import Stage

_OWN = "the fault is in what every viewer's picture passes through"
_OUT = "another FFmpeg connects anew, and has its first picture at the next keyframe"


def _signal(unit: str, name: str, whom: str, stage: Stage) -> None:
    stage.host(f"systemctl kill --kill-whom={whom} --signal={name} {unit}")


def _ffmpeg(process: str, name: str, stage: Stage) -> None:
    stage.host(f"kill -{name} {stage.pid(process)}")


def _service(unit: str, verb: str, stage: Stage) -> None:
    stage.host(f"systemctl {verb} {unit}")


def _decoder(name: str, stage: Stage) -> None:
    stage.host(f"pkill --signal {name} --parent $(systemctl show --property=MainPID --value radio-monitor)")


def _relays_nginx(name: str, stage: Stage) -> None:
    """Signal the nginx that radio-relay keeps, workers and all, not the service itself."""
    stage.host(
        "main=$(systemctl show --property=MainPID --value radio-relay)\n"
        'master=$(pgrep --parent "$main"); workers=$(pgrep --parent "$master")\n'
        f"kill -{name} $workers $master"
    )


def killed(unit: str, text: str, **more: object) -> Fault:
    """The main process of a unit gets SIGKILL."""
    short = unit.removeprefix("radio-").partition("@")[0]
    # mypy can't know that these are a Fault's fields.
    return Fault(f"{short}-killed", f"{text} killed", partial(_signal, unit, "KILL", "main"), **more)  # type: ignore[arg-type]


def stopped(unit: str, text: str, hold: float, **more: object) -> Fault:
    """The main process of a unit gets SIGSTOP; systemd's watchdog has to find out."""
    short = unit.removeprefix("radio-").partition("@")[0]
    do = partial(_signal, unit, "STOP", "main")
    # mypy can't know that these are a Fault's fields.
    return Fault(f"{short}-stopped", f"{text} stopped (SIGSTOP) and left to its watchdog", do, hold=hold, **more)  # type: ignore[arg-type]


FAULTS = (
    killed("radio-web", "radio-web"),
    stopped("radio-web", "radio-web", 16),
    Fault(
        "web-down",
        "radio-web stopped by hand, and started again",
        partial(_service, "radio-web", "stop"),
        partial(_service, "radio-web", "start"),
        alert="WebServiceDown",
        hold=20,
        plays_lost=1,
        why="a play that began and was over while radio-web was down may have been told to nobody",
    ),
    killed("radio-prepare", "radio-prepare"),
    stopped("radio-prepare", "radio-prepare", 16),
    Fault("audio-killed", "the FFmpeg of the sound killed", partial(_ffmpeg, "audio", "KILL")),
    Fault("audio-stopped", "the FFmpeg of the sound stopped (SIGSTOP)", partial(_ffmpeg, "audio", "STOP"), hold=8),
    Fault(
        "destination-killed",
        "the FFmpeg of one destination killed",
        partial(_ffmpeg, "destination:second", "KILL"),
        second_off_air=4,
        why=_OUT,
    ),
    Fault(
        "destination-stopped",
        "the FFmpeg of one destination stopped (SIGSTOP)",
        partial(_ffmpeg, "destination:second", "STOP"),
        hold=14,
        second_off_air=14,
        why="it is called stale after 8 s without progress",
    ),
    killed("radio-monitor", "radio-monitor"),
    stopped("radio-monitor", "radio-monitor", 16),
    Fault("decoder-killed", "the monitor's FFmpeg killed", partial(_decoder, "KILL")),
    Fault("decoder-stopped", "the monitor's FFmpeg stopped (SIGSTOP)", partial(_decoder, "STOP"), hold=20),
    killed("radio-output@demo", "radio-output"),
    stopped("radio-output@demo", "radio-output", 12),
    Fault(
        "publisher-killed",
        "the publisher's FFmpeg killed",
        partial(_ffmpeg, "publisher", "KILL"),
        off_air=3,
        lost=220,
        why=_OWN,
    ),
    Fault(
        "publisher-stopped",
        "the publisher's FFmpeg stopped (SIGSTOP)",
        partial(_ffmpeg, "publisher", "STOP"),
        hold=10,
        off_air=8,
        lost=600,
        why=_OWN,
    ),
    killed("radio-playout@demo", "radio-playout", off_air=5, lost=360, why=_OWN),
    stopped("radio-playout@demo", "radio-playout", 10, off_air=12, lost=900, why=_OWN),
    Fault(
        "relay-killed",
        "the relay's nginx killed",
        partial(_relays_nginx, "KILL"),
        off_air=8,
        lost=600,
        why=_OWN,
    ),
    Fault(
        "relay-stopped",
        "the relay's nginx stopped (SIGSTOP)",
        partial(_relays_nginx, "STOP"),
        hold=14,
        off_air=20,
        lost=1500,
        why=_OWN,
    ),
    Fault(
        "relay-service-killed",
        "radio-relay killed, and with it its nginx",
        partial(_signal, "radio-relay", "KILL", "main"),
        off_air=8,
        lost=600,
        why=_OWN,
    ),
    Fault(
        "https-killed",
        "nginx, which takes webhooks, killed",
        partial(_signal, "nginx", "KILL", "all"),
        partial(_service, "nginx", "start"),
        hold=6,
    ),
    Fault(
        "https-stopped",
        "nginx, which takes webhooks, stopped (SIGSTOP), and continued",
        partial(_signal, "nginx", "STOP", "all"),
        partial(_signal, "nginx", "CONT", "all"),
        hold=10,
    ),
    Fault(
        "exporter-stopped",
        "the host's exporter stopped by hand",
        partial(_service, "prometheus-node-exporter", "stop"),
        partial(_service, "prometheus-node-exporter", "start"),
        alert="ExporterMissing",
    ),
    Fault(
        "prometheus-killed",
        "Prometheus killed",
        partial(_signal, "prometheus", "KILL", "main"),
        hold=8,
    ),
    Fault(
        "prometheus-stopped",
        "Prometheus stopped (SIGSTOP), and continued",
        partial(_signal, "prometheus", "STOP", "main"),
        partial(_signal, "prometheus", "CONT", "main"),
        hold=10,
    ),
    Fault(
        "alertmanager-killed",
        "Alertmanager killed",
        partial(_signal, "prometheus-alertmanager", "KILL", "main"),
        hold=8,
    ),
    Fault(
        "alertmanager-stopped",
        "Alertmanager stopped by hand",
        partial(_service, "prometheus-alertmanager", "stop"),
        partial(_service, "prometheus-alertmanager", "start"),
        alert="ExporterMissing",
    ),
    Fault(
        "exporter-killed", "the host's exporter killed", partial(_signal, "prometheus-node-exporter", "KILL", "main")
    ),
    Fault(
        "database-exporter-stopped",
        "the database's exporter stopped by hand",
        partial(_service, "prometheus-postgres-exporter", "stop"),
        partial(_service, "prometheus-postgres-exporter", "start"),
        alert="ExporterMissing",
    ),
)
