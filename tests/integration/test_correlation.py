"""One id from the webhook to the row: whoever is asked what became of a webhook can look for it everywhere."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.rig import azuracast
from tests.rig.azuracast import Track
from tests.rig.layout import WEBHOOK_USER
from tests.rig.net import http, wait_until
from tests.rig.station import Station


def lines(station: Station, request_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Service, message and context of each line of the log that names it, in their order."""
    found = [json.loads(line) for line in station.app_log.read_text().splitlines() if request_id in line]
    found.sort(key=lambda line: str(line["timestamp"]))
    return [(line["service"], line["message"], line["context"]) for line in found]


def test_one_id_finds_webhook_decision_switch_and_row(station: Station) -> None:
    track = Track("Correlated", "From end to end", loop="honey.mp4")
    login = f"{WEBHOOK_USER}:{station.secret('webhook-password')}"
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    status, answer = http(station.webhook_url, body=azuracast.body("demo", track), headers=headers)
    assert status == 202
    request_id = json.loads(answer)["request_id"]

    look = "SELECT event_id::text FROM play_history WHERE request_id = %s AND title = %s"
    wait_until(lambda: station.sql(look, [request_id, track.title]), "the play in the history", 20)
    [(play_id,)] = station.sql(look, [request_id, track.title])
    [found] = station.api(f"history?q={request_id}")["items"]
    assert (found["event_id"], found["request_id"]) == (play_id, request_id)

    wait_until(lambda: len(lines(station, request_id)) >= 4, "the log", 10)
    said = lines(station, request_id)
    # Without a delay it may be on the air before the order's answer is logged.
    assert said[0][:2] == ("radio-web", "Told of a track")
    assert {(service, text.split(":")[0]) for service, text, _ in said[1:]} == {
        ("radio-web", "Switch ordered"),
        ("radio-playout", "On the air"),
        ("radio-web", "Track switched"),
    }
    assert {context.get("play_id") for _, _, context in said[1:]} == {play_id}
