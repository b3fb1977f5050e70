"""The picture stands still, the times and the sound go on."""

import io
from pathlib import Path

import pytest

from tests.faults import freezer
from tests.rig.flvread import AUDIO, HEADER, VIDEO, Tag, encode, read


def picture(time: int, number: int, *, key: bool) -> Tag:
    return Tag(VIDEO, time, bytes([0x17 if key else 0x27, 1, 0, 0, 0]) + bytes([number]) * 4)


def programme() -> list[Tag]:
    tags = [Tag(VIDEO, 0, b"\x17\x00\x00\x00\x00header"), Tag(AUDIO, 0, b"\xaf\x00head")]
    for number in range(12):
        tags.append(picture(number * 33, number, key=number % 4 == 0))
        tags.append(Tag(AUDIO, number * 33, b"\xaf\x01" + bytes([number])))
    return tags


def through(tags: list[Tag]) -> list[Tag]:
    target = io.BytesIO()
    freezer._pump(io.BytesIO(HEADER + b"".join(map(encode, tags))), target)
    return list(read(io.BytesIO(target.getvalue())))


def test_nothing_is_changed_without_the_flag(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(freezer, "_FLAG", str(tmp_path / "freeze"))
    assert through(programme()) == programme()


def test_one_group_of_pictures_over_and_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flag = tmp_path / "freeze"
    flag.touch()
    monkeypatch.setattr(freezer, "_FLAG", str(flag))
    shown = through(programme())
    assert [tag.time for tag in shown] == [tag.time for tag in programme()]
    assert [tag for tag in shown if tag.kind == AUDIO] == [tag for tag in programme() if tag.kind == AUDIO]
    pictures = [tag for tag in shown if tag.is_frame and tag.kind == VIDEO]
    assert [tag.body[5] for tag in pictures] == [0, 1, 2, 3] * 3
    assert [tag.is_keyframe for tag in pictures] == [True, False, False, False] * 3
