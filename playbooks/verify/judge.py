"""What the host's own services say, judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from playbooks.verify import Verdict


def units(names: Iterable[str], states: Iterable[str]) -> list[Verdict]:
    """The units, with what `systemctl is-active` says of each."""
    down = [(name, state) for name, state in zip(names, states, strict=True) if state != "active"]
    if not down:
        return [Verdict(True, "services", "all active")]
    return [
        Verdict(
            False,
            f"service {name}",
            state,
            f"journalctl -u {name} -n 50, then docs/TROUBLESHOOTING.md#service-down",
        )
        for name, state in down
    ]


def health(document: Mapping[str, Any]) -> list[Verdict]:
    """`/health`: every station on the air, and all that helps."""
    if "stations" not in document:
        fix = "systemctl status radio-web; docs/TROUBLESHOOTING.md#web-service-down"
        return [Verdict(False, "health", "radio-web does not answer on 127.0.0.1:9000", fix)]
    verdicts = []
    database = document["components"].get("database", {}).get("status", "unknown")
    fix = "docs/TROUBLESHOOTING.md#database-away; until then the stations stay on the air"
    verdicts.append(Verdict(database == "up", "database reached by the service", database, fix))
    for name, station in document["stations"].items():
        kbps = station.get("relay", {}).get("kbps", 0)
        audio = station.get("audio", {}).get("status", "unknown")
        status = station["status"]
        on_air = status in ("up", "degraded")
        fix = "docs/TROUBLESHOOTING.md#station-off-the-air"
        verdicts.append(Verdict(on_air, f"station {name} on the air", f"{status}, {kbps} kb/s at the relay", fix))
        fix = "the mount is not heard: docs/TROUBLESHOOTING.md#mount-away"
        verdicts.append(Verdict(audio == "mount", f"station {name}: the sound", f"from the {audio}", fix))
    return verdicts


def destinations(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[Verdict]:
    """Two answers of `/api/v1/destinations`, some seconds apart: what is sent must have grown, without a restart."""
    then = {(one["station"], one["name"]): one for one in before}
    verdicts = []
    for one in after:
        what = f"destination {one['station']}/{one['name']} grows"
        progress = one.get("progress") or {}
        earlier = then.get((one["station"], one["name"]), {})
        old = (earlier.get("progress") or {}).get("bytes")
        if one.get("state") != "RUNNING" or "bytes" not in progress or old is None:
            why = f": {one['last_error']}" if one.get("last_error") else ""
            found = f"{one.get('state')}{why}"
        elif one.get("restarts") != earlier.get("restarts"):
            found = "reconnected meanwhile"
        elif progress["bytes"] <= old:
            found = "no byte more than some seconds ago"
        else:
            verdicts.append(Verdict(True, what, f"{progress.get('kbps', 0)} kb/s to {one['ingest']}"))
            continue
        fix = "is the stream key right, and the stream open at the platform? docs/TROUBLESHOOTING.md#destination-down"
        verdicts.append(Verdict(False, what, found, fix))
    return verdicts


def targets(answer: Mapping[str, Any], wanted: Iterable[Mapping[str, Any]]) -> list[Verdict]:
    """Prometheus' `/api/v1/targets`: all that was to be scraped is, and is up."""
    active = answer.get("data", {}).get("activeTargets")
    if active is None:
        return [Verdict(False, "Prometheus", "does not answer", "systemctl status prometheus")]
    known = {one["scrapeUrl"].split("/")[2] for one in active}
    verdicts = []
    for one in active:
        if one["health"] != "up":
            what = f"figures of {one['labels'].get('job')} at {one['scrapeUrl']}"
            why = one.get("lastError") or one["health"]
            verdicts.append(Verdict(False, what, why, "docs/TROUBLESHOOTING.md#exporter-missing"))
    for one in wanted:
        for address in one["targets"]:
            if address not in known:
                fix = "run site.yml with --tags prometheus"
                verdicts.append(Verdict(False, f"figures of {one['job']} at {address}", "not scraped", fix))
    return verdicts or [Verdict(True, "Prometheus' targets", f"all {len(active)} up")]


def alertmanagers(answer: Mapping[str, Any], ready: bool) -> list[Verdict]:
    """Whether alerts have somewhere to go: Alertmanager answers, and Prometheus knows it."""
    found = answer.get("data", {}).get("activeAlertmanagers") or []
    fix = "systemctl status prometheus-alertmanager"
    return [Verdict(ready and bool(found), "Alertmanager", "reached" if ready and found else "not reached", fix)]


def alerts(answer: Mapping[str, Any]) -> list[Verdict]:
    """What Prometheus itself complains about. The Watchdog, which always fires, is no complaint."""
    firing = [
        one
        for one in answer.get("data", {}).get("alerts", [])
        if one.get("state") == "firing" and one.get("labels", {}).get("severity") != "none"
    ]
    if not firing:
        return [Verdict(True, "alerts", "none fires")]
    verdicts = []
    for one in firing:
        labels, notes = one.get("labels", {}), one.get("annotations", {})
        fix = notes.get("runbook") or notes.get("runbook_url") or "docs/TROUBLESHOOTING.md"
        verdicts.append(Verdict(False, f"alert {labels.get('alertname')}", notes.get("summary", "fires"), fix))
    return verdicts
