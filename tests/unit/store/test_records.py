import json
import math

from hypothesis import given
from hypothesis import strategies as st

from hook_service.store import plain, records
from hook_service.tracks.nowplaying import TrackEvent

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=20,
)


def forbidden(text: str) -> bool:
    return "\\u0000" in text or "\x00" in text


@given(ANYTHING, st.text())
def test_an_error_of_any_content_becomes_json_that_postgresql_takes(context: object, message: str) -> None:
    body = records.error(
        "id", 1.0, station=None, service="web", severity="error", message=message, context={"what": context}
    )
    values = json.loads(body)
    assert values["severity"] == "ERROR"
    assert values["station"] == "*"
    for text in (values["context"], values["message"]):
        assert "\x00" not in text
        text.encode("utf-8")
    json.loads(values["context"], parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise AssertionError(name)


def test_what_is_too_long_is_cut() -> None:
    values = json.loads(
        records.error(
            "id",
            1.0,
            station="s" * 200,
            service="w" * 100,
            severity="x" * 100,
            message="m" * 50_000,
            context={"big": "b" * 100_000},
        )
    )
    assert (len(values["station"]), len(values["service"]), len(values["severity"])) == (100, 64, 16)
    assert len(values["message"]) == records.MAX_MESSAGE
    assert len(values["context"]) <= plain.MAX_CONTEXT
    assert list(json.loads(values["context"])) == ["truncated"]


def test_a_context_that_holds_itself() -> None:
    context: dict[str, object] = {"n": math.nan}
    context["self"] = context
    body = records.error("id", 1.0, station="s", service="w", severity="e", message="m", context=context)
    assert json.loads(json.loads(body)["context"])["n"] == "nan"


def test_play() -> None:
    event = TrackEvent(station="demo", artist="A\x00" + "a" * 600, title="T", song_id="x" * 300)
    body = records.play_started(
        "id", event, loop="/l.mp4", rule="default", mapping_id=None, started_at=5.0, publisher_pid=None
    )
    values = json.loads(body)
    assert len(values["artist"]) <= 512
    assert len(values["song_id"]) == 128
    assert len(values["track_key"]) <= 512


def test_the_request_of_a_play() -> None:
    event = TrackEvent(station="demo", artist="A", title="T")
    told = records.play_told("id", event, loop=None, rule=None, mapping_id=None, request_id="r" * 99)
    assert json.loads(told)["request_id"] == "r" * 64
    assert json.loads(records.play_told("id", event, loop=None, rule=None, mapping_id=None))["request_id"] is None
