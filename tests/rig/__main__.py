"""`python -m tests.rig station`: a demo station in the foreground, until SIGTERM or SIGINT."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from tests.rig.layout import Options
from tests.rig.net import RigError
from tests.rig.station import Station
from tests.rig.status import StatusLine


class _Ended(BaseException):
    """A signal asks us to end; it must get past every `except Exception`."""


def _arguments() -> argparse.Namespace:
    def setting(name: str, default: str) -> str:
        # An empty variable is one that was not given: make passes all of them on.
        return os.environ.get(name) or default

    parser = argparse.ArgumentParser(prog="tests.rig", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    station = commands.add_parser("station", help="put a demo station on the air")
    station.add_argument("--run-dir", type=Path, default=Path(setting("RUN_DIR", ".run")))
    station.add_argument("--audio-url", default=setting("AUDIO_URL", ""), help="a mount instead of the demo music")
    station.add_argument("--profile", default=setting("PROFILE", "720p30"))
    station.add_argument("--switch-delay", type=float, default=setting("SWITCH_DELAY", "nan"), help="seconds")
    station.add_argument("--stations", type=int, default=setting("STATIONS", "1"), help="how many")
    return parser.parse_args()


def main() -> int:
    """Exit 0 after an orderly end, 1 when the station could not be put on the air or not be ended."""
    arguments = _arguments()
    if not 1 <= arguments.stations <= 64:
        print("STATIONS must be from 1 to 64", file=sys.stderr)
        return 1
    delay = arguments.switch_delay
    options = Options(
        stations=arguments.stations,
        profile=arguments.profile,
        switch_delay=None if delay != delay else delay,
        audio_url=arguments.audio_url or None,
        usual_ports=True,
    )
    ending = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        if not ending.is_set():
            ending.set()
            raise _Ended

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    station = Station(arguments.run_dir, options, say=lambda text: print(f"station: {text}", flush=True))
    status = None
    try:
        station.start()
        about = station.describe()
        for what, key in (("open", "page_url"), ("play", "platform_rtmp_url"), ("hear", "audio_url")):
            print(f"  {what}  {about[key]}")
        print(f"  all   {station.info}", flush=True)
        status = StatusLine(station)
        while True:
            status.show()
            # Not Event.wait: the signal's exception must reach this very line.
            signal.sigtimedwait([], 1.0)
    except _Ended:
        pass
    except RigError as error:
        ending.set()
        print(f"station: {error}", file=sys.stderr)
        return 1
    finally:
        ending.set()
        if status is not None:
            status.end()
    try:
        station.stop()
    except RigError as error:
        print(f"station: {error}", file=sys.stderr)
        return 1
    print("station: ended", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
