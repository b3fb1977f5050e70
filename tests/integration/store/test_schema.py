"""The schema, as the original architecture and others rely on it."""

from typing import Any

import psycopg
import pytest


def test_inserts_of_the_original(db: psycopg.Connection[dict[str, Any]]) -> None:
    db.execute(
        "INSERT INTO track_mappings (track_key, azuracast_song_id, loop_file_path)"
        " VALUES ('daft punk - one more time', 'abc123', '/srv/loops/a.mp4')"
    )
    db.execute(
        "INSERT INTO play_history (track_key, artist, title, album, azuracast_song_id, loop_file_path, started_at,"
        " duration_seconds, ffmpeg_pid, had_errors, error_message)"
        " VALUES ('k', 'A', 'T', 'L', 'abc123', '/srv/loops/a.mp4', NOW(), 320, 12345, FALSE, NULL)"
    )
    db.execute(
        "INSERT INTO error_log (timestamp, service, severity, message, context)"
        " VALUES (NOW(), 'metadata-watcher', 'ERROR', 'm', '{\"a\": 1}')"
    )
    db.execute("INSERT INTO default_config (key, value) VALUES ('default_loop', '/srv/loops/default.mp4')")
    [mapping] = db.execute("SELECT station, kind, play_count FROM track_mappings").fetchall()
    assert mapping == {"station": "*", "kind": "track", "play_count": 0}
    assert db.execute("SELECT station FROM default_config").fetchall() == [{"station": "*"}]


def test_one_mapping_for_a_station_kind_and_key(db: psycopg.Connection[dict[str, Any]]) -> None:
    insert = "INSERT INTO track_mappings (station, kind, track_key, loop_file_path) VALUES (%s, %s, 'k', 'a.mp4')"
    for station, kind in (("*", "track"), ("demo", "track"), ("demo", "artist")):
        db.execute(insert, [station, kind])
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.execute(insert, ["demo", "artist"])
    with pytest.raises(psycopg.errors.CheckViolation):
        db.execute(insert, ["demo", "genre"])


def test_indexes(db: psycopg.Connection[dict[str, Any]]) -> None:
    found = db.execute(
        "SELECT index.relname AS name, i.indrelid::regclass::text AS table, i.indkey::int[] AS columns,"
        " i.indpred IS NULL AS whole"
        " FROM pg_index i JOIN pg_class index ON index.oid = i.indexrelid WHERE i.indrelid::regclass::text IN"
        " ('track_mappings', 'play_history', 'error_log', 'default_config')"
    ).fetchall()
    names = {row["name"] for row in found}
    assert {"idx_track_key", "idx_song_id", "idx_play_history_started", "idx_error_log_timestamp"} <= names
    for one in found:
        for other in found:
            if one is not other and one["table"] == other["table"] and one["whole"] and other["whole"]:
                assert one["columns"] != other["columns"][: len(one["columns"])], (one["name"], other["name"])


def test_every_time_has_its_zone(db: psycopg.Connection[dict[str, Any]]) -> None:
    times = db.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name IN ('track_mappings', 'play_history', 'error_log', 'default_config')"
        " AND data_type LIKE 'timestamp%%without%%'".replace("%%", "%")
    ).fetchall()
    assert times == []


def test_updated_at_follows_edits_but_not_plays(db: psycopg.Connection[dict[str, Any]]) -> None:
    db.execute("INSERT INTO track_mappings (track_key, loop_file_path) VALUES ('k', 'a.mp4')")
    times = "SELECT updated_at, created_at FROM track_mappings"
    before = db.execute(times).fetchone()
    db.execute("UPDATE track_mappings SET play_count = play_count + 1")
    assert db.execute(times).fetchone() == before
    db.execute("UPDATE track_mappings SET loop_file_path = 'b.mp4'")
    after = db.execute(times).fetchone()
    assert before is not None
    assert after is not None
    assert after["updated_at"] > before["updated_at"]
    assert after["created_at"] == before["created_at"]
