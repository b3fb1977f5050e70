"""What a playout leaves to the next one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hook_service.playout import state
from hook_service.playout.state import Anchor, OnAir
from hook_service.playout.timeline import NS, RATE_LIMIT_PPM, Clock, FrameRate, Timeline

YEAR = 365 * 86_400 * NS
ANY_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "timeline-demo.json"


@given(st.integers(0, 100 * YEAR), st.integers(0, 100 * YEAR), st.text(), st.integers(0, 200 * YEAR // 1_000_000))
@ANY_FILE
def test_anchor_round_trip(path: Path, position: int, monotonic: int, key: str, behind: int) -> None:
    anchor = Anchor(position, monotonic, key, position // 1_000_000 - behind)
    state.save_anchor(path, anchor)
    assert state.load_anchor(path) == anchor
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@given(
    st.builds(
        OnAir, loop=st.text(), default=st.text(), play_id=st.none() | st.text(), request_id=st.none() | st.text()
    )
)
@ANY_FILE
def test_on_air_round_trip(path: Path, on_air: OnAir) -> None:
    state.save_on_air(path, on_air)
    assert state.load_on_air(path) == on_air


def test_an_anchor_of_another_boot_says_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.save_anchor(path, Anchor(5 * NS, 7 * NS, "demo-a", 3))
    monkeypatch.setattr(state, "_boot_id", lambda: "another")
    assert state.load_anchor(path) is None


def test_the_boot_is_the_kernels(path: Path) -> None:
    state.save_anchor(path, Anchor(5 * NS, 7 * NS, "demo-a", 3))
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert json.loads(path.read_text())["boot"] == boot


def test_no_file_is_no_state(path: Path) -> None:
    assert state.load_anchor(path) is None
    assert state.load_on_air(path) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NOT_A_STATE = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff\xfe\x00",
    b"\x00" * 4096,
    b"{}",
    b'{"loop": "a"}',
    b'{"loop": "a", "default": "b", "play_id": null, "request_id": 1}',
    b'{"position": 1, "monotonic": 2, "relay_key": "k", "base": 3}',
]


@pytest.mark.parametrize("content", NOT_A_STATE)
def test_garbage_is_no_state(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert state.load_anchor(path) is None
    assert state.load_on_air(path) is None


@given(st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
@ANY_FILE
def test_no_content_makes_loading_fail(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    state.load_anchor(path)
    state.load_on_air(path)


@given(
    st.fixed_dictionaries(
        {"position": JSON, "monotonic": JSON, "relay_key": JSON, "base": JSON}, optional={"more": JSON}
    )
)
@ANY_FILE
def test_an_anchor_has_its_types_or_is_none(path: Path, values: dict[str, object]) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    path.write_text(json.dumps({"boot": boot, **values}))
    anchor = state.load_anchor(path)
    if anchor is not None:
        assert all(isinstance(n, int) for n in (anchor.position, anchor.monotonic, anchor.base))
        assert isinstance(anchor.relay_key, str)


@pytest.mark.parametrize("values", [{"loop": 5}, {"loop": None}, {"default": ["a"]}, {"play_id": 3}], ids=str)
def test_the_loop_on_the_air_has_its_types_or_is_none(path: Path, values: dict[str, object]) -> None:
    path.write_text(json.dumps({"loop": "a", "default": "b", "play_id": None, **values}))
    assert state.load_on_air(path) is None


def test_deep_garbage_is_no_state(path: Path) -> None:
    path.write_bytes(b"[" * 100_000)
    assert state.load_on_air(path) is None


@pytest.mark.parametrize("values", [{"position": -5}, {"base": 10**9}, {"monotonic": True}], ids=str)
def test_an_anchor_that_no_timeline_wrote_is_none(path: Path, values: dict[str, int]) -> None:
    """A negative FLV time can't be written: it would end the playout at its first frame, every time."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    path.write_text(
        json.dumps({"boot": boot, "position": NS, "monotonic": 1, "relay_key": "demo-a", "base": 0, **values})
    )
    assert state.load_anchor(path) is None


@pytest.mark.parametrize(
    ("position", "base"), [(0, 0), (NS, 1000), (NS, -5), (0, -(10**9)), (5 * NS + 999_999, 5000)]
)
def test_a_lines_time_begins_before_or_with_its_anchor(path: Path, position: int, base: int) -> None:
    """A base is negative where the time of the line before was handed on."""
    state.save_anchor(path, Anchor(position, 7, "demo-a", base))
    assert state.load_anchor(path) == Anchor(position, 7, "demo-a", base)


@pytest.mark.parametrize(("position", "base"), [(0, 1), (NS, 1001), (5 * NS - 1, 5000)])
def test_a_lines_time_does_not_begin_after_its_anchor(path: Path, position: int, base: int) -> None:
    state.save_anchor(path, Anchor(position, 7, "demo-a", base))
    assert state.load_anchor(path) is None


def test_a_directory_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    state.save_anchor(tmp_path / "absent" / "timeline.json", Anchor(1, 2, "k", 3))
    state.save_on_air(tmp_path / "absent" / "on-air.json", OnAir("a", "b", None))
    assert list(tmp_path.iterdir()) == []


def test_a_torn_write_leaves_the_old_state(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.save_on_air(path, OnAir("old", "default", None))

    def full(self: Path, *_: object, **__: object) -> int:
        with self.open("w") as file:
            file.write('{"loop": "ne')
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    state.save_on_air(path, OnAir("new", "default", None))
    monkeypatch.undo()
    assert state.load_on_air(path) == OnAir("old", "default", None)


@given(
    position=st.integers(0, 10 * YEAR),
    ppm=st.integers(-RATE_LIMIT_PPM, RATE_LIMIT_PPM),
    age=st.integers(0, 5 * NS),
    away=st.integers(0, 3600 * NS),
)
def test_a_restarted_timeline_never_steps_back(position: int, ppm: int, age: int, away: int) -> None:
    """The playout goes on for `age` after its last anchor, dies, and comes back `away` later."""
    now = 1_000 * NS
    clock = Clock(position, now)
    clock.rate_ppm = ppm
    anchor = Anchor(clock.advance(now), now, "demo-a", 0)
    last = clock.advance(now + age)
    rate = FrameRate(30)
    successor = Timeline(rate, anchor.position_at(now + age + away))
    assert successor.next_video_due > last
    assert successor.next_video_due - last < away + NS // 4, "the gap is the outage and next to nothing more"


def test_a_clock_that_stepped_back_does_not_step_the_timeline_back() -> None:
    assert Anchor(100 * NS, 50 * NS, "k", 0).position_at(40 * NS) >= 100 * NS


def test_what_other_versions_kept_is_read(path: Path) -> None:
    """An upgrade and a rollback keep the loop on the air."""
    path.write_text('{"loop": "a", "default": "b", "play_id": "p"}')
    assert state.load_on_air(path) == OnAir("a", "b", "p", None)
    path.write_text('{"loop": "a", "default": "b", "play_id": "p", "request_id": "r", "of_a_later_version": 1}')
    assert state.load_on_air(path) == OnAir("a", "b", "p", "r")


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"names": 3}', b'{"names": [1, {}]}', b"\xff"])
def test_names_that_can_not_be_read_are_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "stopped-demo.json"
    if content is not None:
        path.write_bytes(content)
    assert state.load_names(path) == frozenset()


def test_names_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "stopped-demo.json"
    assert state.save_names(path, {"b", "a"})
    assert state.load_names(path) == {"a", "b"}
    assert not state.save_names(tmp_path / "none" / "x.json", {"a"})
