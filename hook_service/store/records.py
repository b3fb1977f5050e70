"""What is written about the broadcast: the records in the outbox, and the SQL that each becomes.

Every statement can be repeated, with the ones that followed it, without changing the outcome. That is what
makes "delivered at least once, in order" into "there exactly once".

Plays that nobody saw the end of (the process that would have reported it died) are closed by two rules. One
thing is on the air on a station at a time, so the start of a play ends every earlier one that is still open,
at that moment. And a service that starts says, with `close_open`, when it was last alive and which play it
found on the air: all others end when it was last alive, or when the next one began if that was earlier.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg

from ..tracks.nowplaying import TrackEvent
from ..tracks.track_key import track_key
from .plain import bounded_json, dump

PLAY_STARTED: Final = "play_started"
PLAY_TOLD: Final = "play_told"
PLAY_ENDED: Final = "play_ended"
CLOSE_OPEN: Final = "close_open"
ERROR: Final = "error"
AUDIT: Final = "audit"
TOKEN_USED: Final = "token_used"  # noqa: S105 - a kind of record

MAX_MESSAGE: Final = 10_000
"""Characters kept of a message."""

# A mapping may have been deleted since the loop was chosen: the play is recorded without it. The lock keeps
# it from being deleted between the look and the reference.
_PLAY_STARTED: Final[LiteralString] = """
WITH played AS (
    INSERT INTO play_history (
        event_id, station, track_key, artist, title, album, azuracast_song_id, loop_file_path, started_at,
        ffmpeg_pid, resolved_by, request_id, mapping_id
    ) VALUES (
        %(event_id)s, %(station)s, %(track_key)s, %(artist)s, %(title)s, %(album)s, %(song_id)s, %(loop)s,
        to_timestamp(%(started_at)s::float8), %(pid)s, %(rule)s, %(request_id)s,
        (SELECT id FROM track_mappings WHERE id = %(mapping_id)s::integer FOR KEY SHARE)
    )
    ON CONFLICT (event_id) DO NOTHING
    RETURNING mapping_id
)
UPDATE track_mappings SET play_count = play_count + 1 WHERE id IN (SELECT mapping_id FROM played)
"""

# Without a loop the picture stayed what it was, and so does what led to it. The count of plays follows the mapping;
# repeated, nothing differs any more.
_PLAY_TOLD: Final[LiteralString] = """
WITH before AS (
    SELECT id, mapping_id FROM play_history WHERE event_id = %(event_id)s::uuid FOR UPDATE
), told AS (
    UPDATE play_history AS play
    SET track_key = %(track_key)s, artist = %(artist)s, title = %(title)s, album = %(album)s,
        azuracast_song_id = %(song_id)s, loop_file_path = coalesce(%(loop)s, loop_file_path),
        resolved_by = coalesce(%(rule)s, resolved_by), request_id = coalesce(%(request_id)s, request_id),
        mapping_id = CASE WHEN %(rule)s::text IS NULL THEN play.mapping_id ELSE
            (SELECT id FROM track_mappings WHERE id = %(mapping_id)s::integer FOR KEY SHARE) END
    FROM before
    WHERE play.id = before.id
    RETURNING before.mapping_id AS old, play.mapping_id AS new
)
UPDATE track_mappings AS mapping
SET play_count = play_count + CASE WHEN mapping.id = told.new THEN 1 ELSE -1 END
FROM told
WHERE told.new IS DISTINCT FROM told.old AND mapping.id IN (told.old, told.new)
"""

_PREVIOUS_ENDED: Final[LiteralString] = """
UPDATE play_history
SET ended_at = to_timestamp(%(started_at)s::float8),
    duration_seconds = round(extract(epoch FROM to_timestamp(%(started_at)s::float8) - started_at), 3),
    error_message = coalesce(error_message, 'its end was not reported; it ended when the next play began')
WHERE station = %(station)s AND ended_at IS NULL AND duration_seconds IS NULL
    AND started_at <= to_timestamp(%(started_at)s::float8) AND event_id <> %(event_id)s::uuid
"""

_PLAY_ENDED: Final[LiteralString] = """
UPDATE play_history
SET ended_at = greatest(to_timestamp(%(ended_at)s::float8), started_at),
    duration_seconds = round(extract(epoch FROM greatest(to_timestamp(%(ended_at)s::float8), started_at) -
    started_at), 3), had_errors = %(had_errors)s::boolean, error_message = %(error_message)s
WHERE event_id = %(event_id)s::uuid
"""

_CLOSE_OPEN: Final[LiteralString] = """
UPDATE play_history AS play
SET ended_at = finish.at,
    duration_seconds = round(extract(epoch FROM finish.at - play.started_at), 3),
    error_message = coalesce(play.error_message, 'its end was not seen; it ended at the latest by then')
FROM (
    SELECT id, greatest(started_at, least(to_timestamp(%(at)s::float8), (
        SELECT min(later.started_at) FROM play_history AS later
        WHERE later.station = open.station AND later.started_at > open.started_at
    ))) AS at
    FROM play_history AS open
    WHERE station = %(station)s AND ended_at IS NULL AND duration_seconds IS NULL
        AND event_id IS DISTINCT FROM %(still_on_air)s::uuid
) AS finish
WHERE play.id = finish.id
"""

_ERROR: Final[LiteralString] = """ INSERT INTO error_log (event_id, timestamp, station, service, severity,
message, context) VALUES (%(event_id)s, to_timestamp(%(timestamp)s::float8), %(station)s, %(service)s, %(severity)s,
%(message)s, %(context)s) ON CONFLICT (event_id) DO NOTHING
"""

_AUDIT: Final[LiteralString] = """
INSERT INTO audit_log (event_id, timestamp, actor, action, station, address, request_id, details)
VALUES (%(event_id)s, to_timestamp(%(timestamp)s::float8), %(actor)s, %(action)s, %(station)s, %(address)s,
    %(request_id)s, %(details)s)
ON CONFLICT (event_id) DO NOTHING
"""

_USED: Final[LiteralString] = """
UPDATE api_tokens SET last_used_at = greatest(last_used_at, to_timestamp(%(at)s::float8)) WHERE id = %(id)s
"""

_STATEMENTS: Final[dict[str, tuple[LiteralString, ...]]] = {
    PLAY_STARTED: (_PLAY_STARTED, _PREVIOUS_ENDED),
    PLAY_TOLD: (_PLAY_TOLD,),
    PLAY_ENDED: (_PLAY_ENDED,),
    CLOSE_OPEN: (_CLOSE_OPEN,),
    ERROR: (_ERROR,),
    AUDIT: (_AUDIT,),
    TOKEN_USED: (_USED,),
}


_SHAPE: Final = (None, "42804", "42725", "42P18")
"""States of a ProgrammingError that come from values a statement can't be given, rather than from the schema."""


def apply(connection: psycopg.Connection[Any], kind: str, body: str) -> None:
    """Carry out one record in the connection's transaction.

    Raises psycopg.Error, and ValueError or KeyError for a record that is not one.
    """
    # What was written before there were request ids has none.
    values = {"request_id": None, **json.loads(body)}
    try:
        for statement in _STATEMENTS[kind]:
            connection.execute(statement, values)
    except psycopg.ProgrammingError as error:
        if error.sqlstate in _SHAPE:
            raise ValueError(f"not a record of the kind {kind}: {error}") from error
        raise


def play_started(
    event_id: UUID | str,
    event: TrackEvent,
    *,
    loop: str,
    rule: str,
    mapping_id: int | None,
    started_at: float,
    publisher_pid: int | None,
    request_id: str | None = None,
) -> str:
    """The body of a record: this track's loop went on the air. `started_at` is unix seconds."""
    return dump(
        {
            "event_id": str(event_id),
            "station": event.station[:100],
            **_song(event),
            "loop": loop[:1024],
            "rule": rule[:32],
            "mapping_id": mapping_id,
            "started_at": started_at,
            "pid": publisher_pid,
            "request_id": _id(request_id),
        }
    )


def play_told(
    event_id: UUID | str,
    event: TrackEvent,
    *,
    loop: str | None,
    rule: str | None,
    mapping_id: int | None,
    request_id: str | None = None,
) -> str:
    """The body of a record: more is known of that play. `loop` and `rule` None: its picture stayed what it was."""
    return dump(
        {
            "event_id": str(event_id),
            **_song(event),
            "loop": loop and loop[:1024],
            "rule": rule and rule[:32],
            "mapping_id": mapping_id,
            "request_id": _id(request_id),
        }
    )


def play_ended(event_id: UUID | str, *, ended_at: float, had_errors: bool, error_message: str | None) -> str:
    """The body of a record: that play left the air. `ended_at` is unix seconds."""
    return dump(
        {
            "event_id": str(event_id),
            "ended_at": ended_at,
            "had_errors": had_errors,
            "error_message": error_message and error_message[:MAX_MESSAGE],
        }
    )


def close_open(station: str, *, at: float, still_on_air: UUID | str | None) -> str:
    """The body of a record: no play of the station but `still_on_air` outlived `at`, unix seconds."""
    return dump(
        {"station": station[:100], "at": at, "still_on_air": None if still_on_air is None else str(still_on_air)}
    )


def error(
    event_id: UUID | str,
    timestamp: float,
    *,
    station: str | None,
    service: str,
    severity: str,
    message: str,
    context: Mapping[str, Any] | None,
) -> str:
    """The body of a record: a row for the error log. `timestamp` is unix seconds; no station is the whole
    host.
    """
    return dump(
        {
            "event_id": str(event_id),
            "timestamp": timestamp,
            "station": (station or "*")[:100],
            "service": service[:64],
            "severity": severity.upper()[:16],
            "message": message[:MAX_MESSAGE],
            "context": bounded_json(context or {}),
        }
    )


def audit(
    event_id: UUID | str,
    timestamp: float,
    *,
    actor: str,
    action: str,
    station: str | None,
    address: str | None,
    request_id: str | None,
    details: Mapping[str, Any],
) -> str:
    """The body of a record: what someone did. `timestamp` is unix seconds; no station is the whole host."""
    return dump(
        {
            "event_id": str(event_id),
            "timestamp": timestamp,
            "actor": actor[:128],
            "action": action[:64],
            "station": (station or "*")[:100],
            "address": address and address[:64],
            "request_id": _id(request_id),
            "details": bounded_json(details),
        }
    )


def token_used(token_id: int, at: float) -> str:
    """The body of a record: a token was used at `at`, unix seconds."""
    return dump({"id": token_id, "at": at})


def _song(event: TrackEvent) -> dict[str, Any]:
    return {
        "track_key": track_key(event.artist, event.title),
        "artist": event.artist[:512],
        "title": event.title[:512],
        "album": event.album[:512],
        "song_id": event.song_id and event.song_id[:128],
    }


def _id(request_id: str | None) -> str | None:
    return request_id[:64] if request_id else None
