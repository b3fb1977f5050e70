"""The faults as a table for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tests.bench.outcome import Table, rounded
from tests.bench.report import table
from tests.faults.alerts import LONGEST_FOR, Told
from tests.faults.fault import Fault, Measured, judge
from tests.faults.watch import PAUSE, Seen

COMMAND = "make faults"

_INTRODUCTION = f"""# Reliability

Written by `{COMMAND}`: every fault was done to a station on a host that `site.yml` had set up, while two
readers at the platform wrote down each frame that came. The same figures are in
[reliability.json](reliability.json).

The host is the one of `make demo`: a Debian booted into systemd, with everything on it. Beside it a studio has
Icecast, Liquidsoap, AzuraCast's side and the platform. The station has two destinations; what is done to one
destination is done to the second. In each fault a song begins, told by AzuraCast's webhook, by its event stream
and by the title in the sound."""

_COLUMNS = f"""\
* **Off air**: the pauses without a picture of more than {PAUSE:g} s at the platform, together. Where the second
  destination differs it follows after a slash.
* **Frames lost**: pictures and frames of sound that never came, by their timestamps; the second destination as
  above. Frames that came late are not lost.
* **Alert**: seconds from the fault's beginning until Prometheus found the alert's condition true (pending), and
  until it was seen firing. A fault lasts so long. Where the rule waits for more than {LONGEST_FOR:.0f} s the fault
  ends earlier, and the second figure is when it *would fire*. *None* is for what is over before anybody
  should be called; what became pending meanwhile is named.
* **Recovery**: seconds from the end of the fault (for what mends itself: from its beginning) until `/health`
  says `up` again, loops can be prepared, and pictures come to both destinations.
* **Plays**: songs that began meanwhile, and those of them with a row in the history."""

_EXPECTED = """\
A fault of anything but publisher, relay or host takes nothing off the air at a destination that it isn't about,
and loses no frame there and no play. Where more is allowed:"""

_HOW = """\
* The kernel has no `netem`: packets are lost by nftables' random numbers, throttled by `tc htb`, and delayed in
  a tun device. The firewall, the network and the services are what a server has.
* With every commit molecule does some of them to hosts with Debian 12 and 13, and asserts that the picture
  still changes: publisher, playout, relay, radio-web, radio-prepare, radio-output, nginx, Prometheus and an
  exporter killed, nginx restarted, the database stopped, the cache full, the configuration broken, the
  platform gone, the host rebooted.
* The memory limit is a cgroup outside the host around one process, as this machine has no controllers inside
  it. The killer is the kernel's own, as it is at a unit's `MemoryMax=`.
* The clock is libfaketime's, under all of radio's services: a container shares its
  machine's clock, which is never set. Prometheus and PostgreSQL keep the right time.
* Full disks are small file systems of their own (tmpfs) under the logs, the prepared loops and the database.
* A power cut takes what is in memory and leaves what was written: this machine's page cache survives it, a
  server's would not."""


def _number(value: float) -> str:
    return f"{value:.1f}" if value else "0"


def _both(first: Seen, second: Seen) -> tuple[str, str]:
    off, lost = [_number(first.off_air)], [str(first.lost)]
    if abs(first.off_air - second.off_air) > 1 or bool(first.off_air) != bool(second.off_air):
        off.append(_number(second.off_air))
    if first.lost != second.lost and (second.lost > 2 * first.lost or second.lost == 0):
        lost.append(str(second.lost))
    return " / ".join(off), " / ".join(lost)


def _alert(alert: Told | None, others: Sequence[str]) -> str:
    if alert is None:
        return f"none waited for; {', '.join(others)} pending" if others else "none"
    if not alert.exists:
        return f"{alert.name}: no such rule yet"
    if alert.missed or alert.pending is None or alert.due is None:
        return f"{alert.name}: **did not {alert.missed}**"
    fires = f"would fire {alert.due:.0f}" if alert.fired is None else f"fired {alert.fired:.0f}"
    return f"{alert.name}: pending {alert.pending:.0f}, {fires}"


def row(measured: Measured) -> list[str]:
    """One line of the table."""
    off, lost = _both(measured.first, measured.second)
    recovery = "**no**" if measured.recovery is None else _number(measured.recovery)
    plays = f"{measured.rows} of {measured.told}"
    alert = _alert(measured.alert, measured.others)
    return [
        f"`{measured.fault.name}`: {measured.fault.what}", off, lost, alert, recovery, plays,
        "**no**" if measured.problems else "yes",
    ]  # fmt: skip


def markdown(found: Sequence[Measured], missing: Mapping[str, str], about: Mapping[str, str], minutes: float) -> str:
    """The whole document. `missing`: faults that could not be had, each with why."""
    header = ["Fault", "Off air, s", "Frames lost", "Alert, s", "Recovery, s", "Plays", "As expected"]
    out = [
        _INTRODUCTION,
        table(Table(header, [row(one) for one in found])),
        _COLUMNS,
        "## What is expected",
        _EXPECTED,
        "\n".join(f"* `{one.fault.name}`: {_allowed(one)}: {one.fault.why}." for one in found if one.fault.why),
    ]
    if wrong := [one for one in found if one.problems]:
        lines = [f"* `{one.fault.name}`: {problem}." for one in wrong for problem in one.problems]
        out += ["## What was not as expected", "\n".join(lines)]
    if missing:
        out += ["## What could not be had here", "\n".join(f"* `{name}`: {why}" for name, why in missing.items())]
    out += [
        "## How it is done, and what it does not show",
        _HOW,
        "## The machine",
        table(Table(["", ""], [[key, value] for key, value in about.items()])),
        f"Measured {_span([one.date for one in found])}; the faults took {minutes:.0f} minutes.",
    ]
    return "\n\n".join(out) + "\n"


def _span(dates: Sequence[str]) -> str:
    """From the first to the last: a run of a few faults leaves the others' figures as they are."""
    return " to ".join(sorted({min(dates), max(dates)})) if dates else "never"


def _allowed(measured: Measured) -> str:
    fault = measured.fault
    said = []
    if fault.off_air:
        said.append(f"{fault.off_air:g} s off the air")
    elif fault.second_off_air:
        said.append(f"{fault.second_off_air:g} s off the air at the second destination alone")
    if fault.lost:
        said.append(f"{fault.lost} frames")
    if fault.plays_lost:
        said.append("a play" if fault.plays_lost == 1 else f"{fault.plays_lost} plays")
    return ", ".join(said)


def as_dict(measured: Measured) -> dict[str, Any]:
    """For the JSON."""
    alert = measured.alert
    return {
        "name": measured.fault.name, "what": measured.fault.what, "lasted_seconds": measured.lasted,
        "destinations": {"platform": asdict(measured.first), "second": asdict(measured.second)},
        "alert": None if alert is None else {**asdict(alert), "due": alert.due},
        "other_alerts_pending": measured.others, "recovery_seconds": measured.recovery,
        "plays_told": measured.told, "plays_in_history": measured.rows, "date": measured.date,
        "problems": measured.problems,
    }  # fmt: skip


def from_dict(saved: Mapping[str, Any], fault: Fault) -> Measured:
    """What `as_dict` made, for the fault as it is now: what it allows may have changed since, its figures not."""
    told = saved["alert"]
    alert = None
    if told is not None:
        alert = Told(told["name"], told["exists"], told["pending"], told["wait"], told["fired"])
    first, second = (Seen(**saved["destinations"][name]) for name in ("platform", "second"))
    measured = Measured(
        fault, first, second, alert, saved["other_alerts_pending"], saved["lasted_seconds"],
        saved["recovery_seconds"], saved["plays_told"], saved["plays_in_history"], saved["date"],
    )  # fmt: skip
    measured.problems = judge(measured)
    return measured


def as_json(found: Sequence[Measured], missing: Mapping[str, str], about: Mapping[str, str], minutes: float) -> str:
    """The same for machines."""
    document = {
        "machine": dict(about), "minutes": minutes, "as_expected": not any(one.problems for one in found),
        "faults": [as_dict(one) for one in found], "not_had": dict(missing),
    }  # fmt: skip
    return json.dumps(rounded(document), indent=2, ensure_ascii=False) + "\n"
