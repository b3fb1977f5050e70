"""`radio-check-config`: says what is wrong with the configuration, a line for each fault.

With `--plan STATION` it prints what `hook_service.settings` reads, with `--plan '*'` a list of that for all stations:
the playout, the output and the monitor have the configuration validated by this process, which ends again, and never
hold what that takes.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from hook_service.config import ConfigError, Host, argument_parser, load, missing_credentials


def _plan(host: Host, shortcode: str) -> dict[str, Any]:
    """What `hook_service.settings` reads: the plain values that one station's playout and outputs run on."""
    station = host.stations[shortcode]
    profile = host.station_profile(shortcode)
    loops = host.paths.loops
    return {
        "shortcode": shortcode,
        "profile": {name: getattr(profile, name) for name in profile.__dataclass_fields__},
        "audio_url": station.audio.url,
        "audio_fallback": str(loops / station.audio.fallback) if station.audio.fallback else None,
        "default_loop": str(loops / station.default_loop),
        "crossfade": station.transition == "crossfade",
        "loops": str(loops),
        "library": str(host.paths.library),
        "state": str(host.paths.state),
        "run": str(host.paths.run),
        "log": str(host.paths.log),
        "relay_rtmp": host.relay.rtmp,
        "relay_stat": host.relay.stat,
        "destinations": [
            {
                "name": name,
                "url": destination.url,
                "key": host.secret(f"{shortcode}.{name}.key"),
                "backup_of": destination.backup_of,
            }
            for name, destination in station.destinations.items()
        ],
    }


def _cards(host: Host) -> list[str]:
    """A line for each station whose card has no design, or one that can't be filled in."""
    problems = []
    for shortcode, station in host.stations.items():
        if station.card is not None:
            # Jinja, which only those need who draw cards.
            from hook_service.library.card_render import fault  # noqa: PLC0415

            why = fault(station.card.template, host.paths.cards, host.station_profile(shortcode))
            if why is not None:
                problems.append(f"stations.{shortcode}.card.template: {why}")
    return problems


def main(argv: list[str] | None = None) -> int:
    """`radio-check-config`: say what is wrong with the configuration; exit 0 only when nothing is."""
    parser = argument_parser("Check the host's configuration and its credentials.")
    parser.add_argument("--plan", metavar="STATION", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    try:
        host = load(arguments.config)
        problems = [] if arguments.plan else [*missing_credentials(host), *_cards(host)]
        plan: dict[str, Any] | list[dict[str, Any]] | None = None
        if arguments.plan == "*":
            plan = [_plan(host, shortcode) for shortcode in host.stations]
        elif arguments.plan in host.stations:
            plan = _plan(host, arguments.plan)
        elif arguments.plan:
            problems = [f"has no station {arguments.plan!r}; it has: {', '.join(host.stations)}"]
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, UnicodeDecodeError) as error:
        where = host.credentials
        print(
            f"{arguments.config}: a credential in {where} can't be read: {error}; mend or replace it", file=sys.stderr
        )
        return 1
    for problem in problems:
        print(f"{arguments.config}: {problem}", file=sys.stderr)
    if problems:
        return 1
    if plan is not None:
        # To a pipe of the process that runs the station: it holds stream keys.
        json.dump(plan, sys.stdout)
    else:
        print(f"{arguments.config}: good; stations: {', '.join(host.stations)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
