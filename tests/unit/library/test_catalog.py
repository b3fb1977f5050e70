"""From paths to content: hashes, what may be opened, refusals."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from hook_service.library import catalog
from hook_service.library.errors import NotNow, SourceMissing
from hook_service.library.loopfile import LoopDamaged
from hook_service.library.profiles import BUILT_IN
from tests.unit.library.samples import AVCC, write_loop

P720 = BUILT_IN["720p30"]


def test_a_file_is_hashed_once(loops: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = loops / "a.mp4"
    path.write_bytes(b"abc" * 1000)
    assert catalog.recall(path, library) is None
    source = catalog.identify(path, library, loops)
    assert source.sha256 == hashlib.sha256(b"abc" * 1000).hexdigest()
    monkeypatch.setattr(os, "pread", lambda *_: pytest.fail("read again"))
    assert catalog.identify(path, library, loops) == source
    assert catalog.recall(path, library) == source


def test_a_changed_file_is_other_content(loops: Path, library: Path) -> None:
    path = loops / "a.mp4"
    path.write_bytes(b"one")
    first = catalog.identify(path, library)
    other = loops / "b.mp4"
    other.write_bytes(b"two")
    os.utime(other, ns=(first.mtime_ns, first.mtime_ns))
    other.replace(path)
    assert catalog.identify(path, library).sha256 == hashlib.sha256(b"two").hexdigest()


def test_a_memory_that_is_rubbish_is_no_memory(loops: Path, library: Path) -> None:
    path = loops / "a.mp4"
    path.write_bytes(b"one")
    source = catalog.identify(path, library)
    (memory,) = (library / "sources").iterdir()
    for rubbish in (b"", b"\xff", b"[]", b'{"size":3}', memory.read_bytes()[:40]):
        memory.write_bytes(rubbish)
        assert catalog.recall(path, library) is None
        assert catalog.identify(path, library) == source


def test_a_file_that_is_being_written(loops: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = loops / "a.mp4"
    path.write_bytes(b"one")
    read = os.pread

    def pread(fd: int, length: int, offset: int) -> bytes:
        with path.open("ab") as file:
            file.write(b"more")
        return read(fd, 3, offset) if not offset else b""

    monkeypatch.setattr(os, "pread", pread)
    with pytest.raises(NotNow, match="written to"):
        catalog.identify(path, library)


def test_no_place_to_remember_costs_nothing_else(loops: Path, tmp_path: Path) -> None:
    path = loops / "a.mp4"
    path.write_bytes(b"one")
    (tmp_path / "file").touch()
    assert catalog.identify(path, tmp_path / "file" / "library").size == 3


@pytest.mark.parametrize(
    "kind", ["missing", "directory", "fifo", "device", "outside", "link", "loop", "nul", "dotdot"]
)
def test_what_is_not_opened(loops: Path, library: Path, tmp_path: Path, kind: str) -> None:
    path = loops / "a.mp4"
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    match kind:
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            path = Path("/dev/zero")
        case "outside":
            path = secret
        case "link":
            path.symlink_to(secret)
        case "loop":
            path.symlink_to(path)
        case "nul":
            path = loops / "a\0b"
        case "dotdot":
            path = loops / ".." / "secret.mp4"
    done: list[BaseException] = []

    def attempt() -> None:
        try:
            catalog.identify(path, library, loops)
        except SourceMissing as error:
            done.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(5)
    assert len(done) == 1, "it was opened, or hangs"
    assert str(done[0]).isprintable()


def test_a_link_within_the_loops_is_followed(loops: Path, library: Path) -> None:
    (loops / "real.mp4").write_bytes(b"one")
    (loops / "a.mp4").symlink_to("real.mp4")
    assert catalog.identify(loops / "a.mp4", library, loops).size == 3


@pytest.mark.parametrize("name", [b"-i.mp4", b"a\nb.mp4", b"%d%s.mp4", b"\xff\xfe.mp4", "ö 'x\".mp4".encode()])
def test_names_of_every_kind(loops: Path, library: Path, name: bytes) -> None:
    path = loops / os.fsdecode(name)
    path.write_bytes(b"one")
    assert catalog.recall(path, library) is None
    source = catalog.identify(path, library, loops)
    assert catalog.recall(path, library) == source
    assert catalog.printable(path).isprintable()


def test_refusals_at_all_and_for_one_profile(loops: Path, library: Path) -> None:
    path = loops / "a.mp4"
    path.write_bytes(b"one")
    source = catalog.identify(path, library)
    assert catalog.refusal(library, source.sha256, P720) is None
    catalog.refuse(library, source, "too hard", P720)
    assert catalog.refusal(library, source.sha256, P720) == "too hard"
    assert catalog.refusal(library, source.sha256, BUILT_IN["1080p30"]) is None
    catalog.refuse(library, source, "damaged")
    assert catalog.refusal(library, source.sha256, BUILT_IN["1080p30"]) == "damaged"
    catalog.forget_refusal(library, source.sha256)
    assert catalog.refusal(library, source.sha256, P720) is None


def test_the_slate_is_the_reference(library: Path) -> None:
    directory = catalog.profile_dir(library, P720)
    with pytest.raises(LoopDamaged):
        catalog.reference_avcc(directory)
    with pytest.raises(LoopDamaged):
        catalog.slate(library, P720)
    write_loop(catalog.slate_dir(library, P720), [60])
    assert catalog.reference_avcc(directory) == AVCC == catalog.slate(library, P720).avcc
