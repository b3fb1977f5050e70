"""A YouTube channel as its API shows it: its streams, its broadcasts, and what may be done with them and when."""

import json
import time
from datetime import UTC, datetime
from typing import Any

STREAM = "AbCdEf0123456789_-stream"
_UPCOMING = ("created", "ready")
_LISTS = {
    "active": ("live", "liveStarting", "testing", "testStarting"),
    "upcoming": _UPCOMING,
    "completed": ("complete",),
}
_PARTS = ("snippet", "contentDetails", "status", "cdn")


class Refusal(Exception):
    """An error of the API, in Google's form."""

    def __init__(self, code: int, reason: str, message: str = "", domain: str = "youtube.liveBroadcast") -> None:
        self.code = code
        said = message or reason
        errors = [{"message": said, "domain": domain, "reason": reason}]
        self.document: dict[str, Any] = {"error": {"code": code, "message": said, "errors": errors}}


class Channel:
    """Change `streams` and `broadcasts` (by id) at will."""

    def __init__(self) -> None:
        self.streams: dict[str, dict[str, Any]] = {}
        self.broadcasts: dict[str, dict[str, Any]] = {}
        self.add_stream(STREAM)

    def add_stream(self, name: str, status: str = "active", health: str = "good") -> dict[str, Any]:
        """A stream that YouTube receives."""
        stream = {
            "kind": "youtube#liveStream",
            "id": name,
            "snippet": {"title": "Radio", "channelId": "UC0", "publishedAt": _now(), "isDefaultStream": False},
            "cdn": {"ingestionType": "rtmp", "ingestionInfo": {"streamName": "abcd-efgh-ijkl-mnop-qrst"}},
            "status": {
                "streamStatus": status,
                "healthStatus": {
                    "status": health,
                    "lastUpdateTimeSeconds": str(int(time.time())),
                    "configurationIssues": [],
                },
            },
            "contentDetails": {"isReusable": True},
        }
        self.streams[name] = stream
        return stream

    def add_broadcast(
        self, name: str, life_cycle: str, stream: str | None = STREAM, **snippet: Any
    ) -> dict[str, Any]:
        """A broadcast as somebody made it in YouTube Studio."""
        details = {
            "monitorStream": {"enableMonitorStream": True, "broadcastStreamDelayMs": 0},
            "enableDvr": True,
            "enableEmbed": True,
            "recordFromStart": True,
            "enableAutoStart": True,
            "enableAutoStop": True,
            "enableContentEncryption": False,
            "startWithSlate": False,
            "closedCaptionsType": "closedCaptionsDisabled",
            "latencyPreference": "normal",
            "projection": "rectangular",
            "stereoLayout": "mono",
        }
        if stream is not None:
            details["boundStreamId"] = stream
        broadcast = {
            "kind": "youtube#liveBroadcast",
            "id": name,
            "snippet": {
                "title": "Demo FM around the clock",
                "description": "Music.",
                "channelId": "UC0",
                "publishedAt": _now(),
                "scheduledStartTime": _now(),
                **snippet,
            },
            "contentDetails": details,
            "status": {"privacyStatus": "public", "selfDeclaredMadeForKids": False, "madeForKids": False},
        }
        self.broadcasts[name] = broadcast
        self.turn(name, life_cycle)
        return broadcast

    def turn(self, name: str, life_cycle: str) -> None:
        """A broadcast comes to another place in its life."""
        broadcast = self.broadcasts[name]
        broadcast["status"]["lifeCycleStatus"] = life_cycle
        if life_cycle == "live":
            broadcast["snippet"].setdefault("actualStartTime", _now())
        if life_cycle == "complete":
            broadcast["snippet"]["actualEndTime"] = _now()

    def listed(self, kind: str, all_of: dict[str, dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
        filters = [name for name in ("id", "mine", "broadcastStatus") if name in query]
        if len(filters) != 1:
            reason = "missingRequiredParameter" if not filters else "incompatibleParameters"
            raise Refusal(400, reason, "Exactly one filter.", "youtube.parameter")
        if filters == ["id"]:
            found = [all_of[name] for name in query["id"].split(",") if name in all_of]
        else:
            wanted = _LISTS.get(query.get("broadcastStatus", ""))
            # In which order is not described; the newest come first.
            newest = reversed(all_of.values())
            found = [one for one in newest if wanted is None or one["status"]["lifeCycleStatus"] in wanted]
        most = int(query.get("maxResults", "5"))
        items = [_with_parts(one, query["part"]) for one in found[:most]]
        page = {"totalResults": len(found), "resultsPerPage": most}
        return {"kind": f"youtube#{kind}ListResponse", "etag": "x", "pageInfo": page, "items": items}

    def insert(self, query: dict[str, str], body: bytes) -> dict[str, Any]:
        document = json.loads(body)
        snippet, status = document.get("snippet", {}), document.get("status", {})
        if not snippet.get("title") or len(snippet["title"]) > 100:
            raise Refusal(400, "titleRequired" if not snippet.get("title") else "invalidTitle")
        if "scheduledStartTime" not in snippet:
            raise Refusal(400, "scheduledStartTimeRequired")
        if datetime.fromisoformat(snippet["scheduledStartTime"]) <= datetime.now(UTC):
            raise Refusal(400, "invalidScheduledStartTime")
        if status.get("privacyStatus") not in ("public", "unlisted", "private"):
            raise Refusal(400, "privacyStatusRequired" if "privacyStatus" not in status else "invalidPrivacyStatus")
        name = f"made{len(self.broadcasts)}"
        made = self.add_broadcast(name, "ready", None, **snippet)
        made["status"].update(status)
        made["contentDetails"].update(document.get("contentDetails", {}))
        return _with_parts(made, query["part"])

    def bind(self, query: dict[str, str]) -> dict[str, Any]:
        broadcast = self._broadcast(query)
        if query.get("streamId") not in self.streams:
            raise Refusal(404, "liveStreamNotFound")
        if broadcast["status"]["lifeCycleStatus"] not in _UPCOMING:
            raise Refusal(403, "liveBroadcastBindingNotAllowed")
        broadcast["contentDetails"]["boundStreamId"] = query["streamId"]
        return _with_parts(broadcast, query["part"])

    def transition(self, query: dict[str, str]) -> dict[str, Any]:
        broadcast = self._broadcast(query)
        wanted, state = query.get("broadcastStatus"), broadcast["status"]["lifeCycleStatus"]
        if wanted != "live":
            raise Refusal(400, "statusRequired")
        if state in ("live", "liveStarting"):
            raise Refusal(403, "redundantTransition")
        monitored = broadcast["contentDetails"]["monitorStream"]["enableMonitorStream"]
        if state not in ("ready", "testing") or (state == "ready" and monitored):
            raise Refusal(403, "invalidTransition")
        stream = self.streams.get(broadcast["contentDetails"].get("boundStreamId", ""))
        if stream is None or stream["status"]["streamStatus"] != "active":
            raise Refusal(403, "errorStreamInactive")
        self.turn(broadcast["id"], "liveStarting")
        answer = _with_parts(broadcast, query["part"])
        # How long that takes is not described.
        self.turn(broadcast["id"], "live")
        return answer

    def _broadcast(self, query: dict[str, str]) -> dict[str, Any]:
        if "id" not in query:
            raise Refusal(400, "idRequired")
        if query["id"] not in self.broadcasts:
            raise Refusal(404, "liveBroadcastNotFound")
        return self.broadcasts[query["id"]]


def _with_parts(resource: dict[str, Any], parts: str) -> dict[str, Any]:
    wanted = parts.split(",")
    kept = {name: value for name, value in resource.items() if name not in _PARTS or name in wanted}
    return json.loads(json.dumps(kept))  # type: ignore[no-any-return]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
