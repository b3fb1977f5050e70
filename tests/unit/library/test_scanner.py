"""What there is to prepare, and what is removed when nothing has needed it for long."""

import os
import time
from pathlib import Path

from hook_service.library import catalog
from hook_service.library.profiles import BUILT_IN
from hook_service.library.scanner import Scanner, prune
from tests.unit.library.samples import write_loop

PROFILES = tuple(BUILT_IN.values())


def old(path: Path, content: bytes, age: float = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_media_files_are_found_first_things_first(loops: Path, library: Path) -> None:
    for name in ("z.mp4", "a.mov", "sub/b.webm", ".hidden.mp4", "notes.txt", "up.mp4.part"):
        old(loops / name, name.encode())
    (loops / "out.mp4").symlink_to("/etc/hostname")
    os.mkfifo(loops / "pipe.mp4")
    items = Scanner(loops, library, PROFILES, [loops / "z.mp4"]).scan()
    names = [str(item.path.relative_to(loops)) for item in items if item.profile.name == "720p30"]
    assert names == ["z.mp4", "a.mov", "out.mp4", "sub/b.webm"]
    assert {item.state for item in items if item.path.name == "out.mp4"} == {"unreadable"}
    assert {item.state for item in items if item.path.name != "out.mp4"} == {"queued"}
    assert len(items) == 2 * len(names)


def test_a_file_that_is_still_being_copied_is_left_alone(loops: Path, library: Path) -> None:
    scanner = Scanner(loops, library, PROFILES, [])
    path = old(loops / "a.mp4", b"one", age=0)
    assert scanner.scan() == []
    old(path, b"one and more")
    assert scanner.scan() == []
    assert len(scanner.scan()) == 2


def test_states(loops: Path, library: Path) -> None:
    path = old(loops / "a.mp4", b"one")
    scanner = Scanner(loops, library, PROFILES, [])
    scanner.scan()
    source = catalog.identify(path, library)
    ready = write_loop(catalog.prepared_dir(library, PROFILES[0], source.sha256), [60])
    catalog.refuse(library, source, "why", PROFILES[1])
    assert [(item.state, item.reason) for item in scanner.scan()] == [("ready", None), ("refused", "why")]
    (ready / "index.json").unlink()
    ready.rename(ready.with_name("gone"))
    assert [item.state for item in scanner.scan()] == ["queued", "refused"]


def test_no_directory_of_loops_is_no_loops(loops: Path, library: Path) -> None:
    assert Scanner(loops / "none", library, PROFILES, []).scan() == []


def test_loops_go_when_nothing_has_needed_them_for_long(loops: Path, library: Path) -> None:
    path = old(loops / "a.mp4", b"one")
    scanner = Scanner(loops, library, PROFILES[:1], [])
    needed = write_loop(catalog.prepared_dir(library, PROFILES[0], scanner.scan()[0].sha256), [60])
    slate = write_loop(catalog.slate_dir(library, PROFILES[0]), [60])
    unneeded = write_loop(library / ("f" * 16) / ("ab" * 32), [60])
    assert prune(library, PROFILES[:1], scanner.scan()) == 0
    assert (unneeded / ".unused").exists()
    week = time.time() - 7 * 86400
    os.utime(unneeded / ".unused", (week, week))
    assert prune(library, PROFILES[:1], scanner.scan()) == 0
    assert prune(library, PROFILES[:1], scanner.scan(), keep_days=6) == 1
    assert not unneeded.exists()
    assert needed.exists()
    assert slate.exists()
    path.unlink()
    assert prune(library, PROFILES[:1], scanner.scan()) == 0
    assert (needed / ".unused").exists()
    old(path, b"one")
    assert prune(library, PROFILES[:1], scanner.scan()) == 0
    assert not (needed / ".unused").exists()


def test_the_hash_of_a_file_in_use_is_kept_for_ever(loops: Path, library: Path) -> None:
    used, gone = old(loops / "used.mp4", b"one"), old(loops / "gone.mp4", b"two")
    scanner = Scanner(loops, library, PROFILES, [])
    scanner.scan()
    year = time.time() - 365 * 86400
    for memory in library.glob("sources/*.json"):
        os.utime(memory, (year, year))
    gone.unlink()
    prune(library, PROFILES, scanner.scan())
    assert catalog.recall(used, library) is not None
    assert [*library.glob("sources/*.json")] == [catalog.memory(used, library)]
