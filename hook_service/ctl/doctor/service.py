"""What the service says of itself, of its stations and of its loops, judged. Nothing here asks anything."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from hook_service.ctl import show
from hook_service.ctl.doctor.finding import Finding, Look, Severity, look

LATELY = 24 * 3600.0
"""Seconds after which a webhook is missed: no station plays a song that long."""
_NAMED = 5
_TROUBLE = "docs/TROUBLESHOOTING.md"
_COMPONENTS: dict[str, tuple[Severity, str]] = {
    "relay": ("fault", f"systemctl status radio-relay; {_TROUBLE}#station-off-the-air"),
    "monitor": ("warning", f"systemctl status radio-monitor; {_TROUBLE}#monitor-blind"),
    "database": ("fault", f"systemctl status postgresql; the stations stay on the air; {_TROUBLE}#database-away"),
    "snapshot": ("warning", f"the mappings could not be renewed; {_TROUBLE}#database-away"),
}
_SEEN = {
    "black": f"play the loop that is on the air; {_TROUBLE}#picture-black",
    "frozen": f"{_TROUBLE}#picture-frozen",
    "silent": f"listen to the mount; {_TROUBLE}#sound-silent",
}
_SOUND = f"{_TROUBLE}#mount-away"


def named(names: Collection[str]) -> str:
    """The first few of many."""
    shown = ", ".join(list(names)[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"


def health(document: Mapping[str, Any], installed: str | None) -> Look:
    """`/health`. `installed` is the version on this host; None where it is looked at from elsewhere."""
    findings = list(_components(document["components"]))
    if installed is not None and document["version"] != installed:
        what = f"runs {document['version']}, and {installed} is installed"
        findings.append(Finding("warning", what, "radio-web", "systemctl restart radio-web"))
    for code, its in document["stations"].items():
        findings += _station(code, its)
    return look("health", f"version {document['version']}, {show.plain(document['status'])}", findings)


def _components(components: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    for name, part in components.items():
        if part["status"] == "up":
            continue
        severity, mend = _COMPONENTS.get(name, ("warning", f"{_TROUBLE}#by-symptom"))
        yield Finding(severity, f"is {part['status']}", name, mend)


def _station(code: str, its: Mapping[str, Any]) -> Iterator[Finding]:
    where = f"station {code}"
    if its["status"] == "off_air":
        parts = ", ".join(f"{part} {its[part]['status']}" for part in ("playout", "publisher", "relay"))
        yield Finding("fault", f"is off the air: {parts}", where, f"{_TROUBLE}#station-off-the-air")
    sound = its["audio"]["status"]
    if sound != "mount":
        yield Finding("fault", f"its sound comes from the {sound}, not from the mount", where, _SOUND)
    seen = its["onair"]["status"]
    if seen in _SEEN:
        yield Finding("fault", f"what leaves the host is {seen}", where, _SEEN[seen])


def sending(items: Iterable[Mapping[str, Any]]) -> Look:
    """`/destinations`. One that was stopped by hand is as it should be."""
    findings, count = [], 0
    for one in items:
        count += 1
        where = f"destination {one['name']} of {one['station']}"
        mend = f"{_TROUBLE}#destination-down"
        if one["state"] != "RUNNING" and one.get("wanted", True):
            why = f": {one['last_error']}" if one["last_error"] else ""
            findings.append(Finding("fault", f"is {one['state']}{why}", where, mend))
        elif (one.get("lag_seconds") or 0) > 5:
            what = f"is {one['lag_seconds']:.0f} s behind"
            findings.append(Finding("warning", what, where, f"{_TROUBLE}#destination-slow"))
        trouble = (one.get("youtube") or {}).get("trouble")
        if trouble:
            findings.append(Finding("fault", f"YouTube: {trouble}", where, f"{_TROUBLE}#youtube-says-no"))
    return look("sending", f"{count} destinations", findings)


def processes(stations: Mapping[str, Mapping[str, Any]]) -> Look:
    """Processes that run beside the destinations."""
    findings, count = [], 0
    for code, its in stations.items():
        for process in its["processes"]:
            if process["name"].startswith("destination:"):
                continue
            count += 1
            if process["state"] in ("CRASHED", "FAILED"):
                what = f"is {process['state']}: {process['last_error'] or 'it says nothing'}"
                where = f"{process['name']} of {code}"
                findings.append(Finding("fault", what, where, f"{_TROUBLE}#process-failed"))
    return look("processes", str(count), findings)


def sources(stations: Mapping[str, Mapping[str, Any]]) -> Look:
    """Whether AzuraCast tells what is playing."""
    findings, said = [], []
    for code, its in stations.items():
        told = its["sources"]
        at = show.moment(told["webhook"]["last_at"])
        said.append(
            f"{code}: " + (f"webhook {show.since(told['webhook']['last_at'])} ago" if at else "no webhook yet")
        )
        for name in ("sse", "poll"):
            if told[name]["state"] == "away":
                what = f"AzuraCast can't be asked ({name}): {told[name]['error']}"
                findings.append(Finding("warning", what, f"station {code}", f"{_TROUBLE}#the-picture-stays"))
        if at is None or time.time() - at.timestamp() > LATELY:
            others = [name for name in ("sse", "poll") if told[name]["state"] == "connected"]
            what = "no webhook has come" if at is None else f"no webhook for {show.since(told['webhook']['last_at'])}"
            if others:
                what += "; the tracks are known by asking AzuraCast"
            mend = "AzuraCast's web hook must be enabled and lead here: docs/DEPLOYMENT.md#azuracast"
            findings.append(Finding("warning", what, f"station {code}", mend))
    return look("sources", "; ".join(said), findings)


def loops(items: Collection[Mapping[str, Any]], wanted: Mapping[str, str]) -> Look:
    """`/loops`. `wanted` are the loops that the configuration names, by where it does."""
    findings = []
    for item in items:
        if item["reason"]:
            mend = f"replace the file by one that FFmpeg can read, or remove it; {_TROUBLE}#preparations-failing"
            findings.append(Finding("warning", f"is refused: {item['reason']}", f"loop {item['name']}", mend))
    states = {item["name"]: item["profiles"] for item in items}
    for place, name in wanted.items():
        if name not in states:
            findings.append(Finding("fault", f"{name} is not there", place, f"radioctl loops add {name}"))
        elif not all(state == "prepared" for state in states[name].values()):
            what = f"{name} is not prepared yet"
            findings.append(Finding("warning", what, place, f"radioctl loops prepare {name} shows how far it is"))
    waiting = [item["name"] for item in items if {"pending", "encoding"} & set(item["profiles"].values())]
    text = (
        f"{len(items)}, of which {len(waiting)} are still to be prepared"
        if waiting
        else f"{len(items)}, all prepared"
    )
    return look("loops", text if items else "none", findings)


def mappings(items: Iterable[Mapping[str, Any]], there: Collection[str]) -> Look:
    """`/mappings`: those that lead to a loop that is not there."""
    count, lost = 0, dict[str, int]()
    for item in items:
        count += 1
        if item["loop_file_path"] not in there:
            lost[item["loop_file_path"]] = lost.get(item["loop_file_path"], 0) + 1
    findings = []
    if lost:
        what = f"{sum(lost.values())} lead to loops that are not there: {named(lost)}"
        mend = f"upload them (radioctl loops add), or map to others (radioctl map set); {_TROUBLE}#the-wrong-loop"
        findings.append(Finding("warning", what, "mappings", mend))
    return look("mappings", str(count), findings)


def alerts(items: Iterable[Mapping[str, Any]]) -> Look:
    """What Prometheus says is wrong."""
    findings = []
    for item in items:
        if item.get("silenced"):
            continue
        severity: Severity = "fault" if item.get("severity") == "critical" else "warning"
        where = f"alert {item.get('name')}" + (f" of {item['station']}" if item.get("station") else "")
        what = str(item.get("summary") or "fires")
        mend = str(item.get("runbook") or _TROUBLE)
        findings.append(Finding(severity, what, where, mend))
    return look("alerts", f"{len(findings)} fire", findings)
