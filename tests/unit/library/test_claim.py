"""What is removed that nobody will finish."""

import os
import threading
import time
from pathlib import Path

from hook_service.library.claim import claimed, clean


def test_what_was_never_finished_goes_and_what_is_at_work_stays(library: Path) -> None:
    place = library / ("f" * 16)
    dead, damaged, alive = (place / name for name in ("a.partial", "b.damaged-1", "c.partial"))
    for directory in (dead, damaged):
        directory.mkdir(parents=True)
        (directory / "body.flv").write_bytes(b"half")
    with claimed(alive, threading.Event(), lambda: None) as partial:
        assert partial is not None
        assert clean(library) == 2
        assert [path.name for path in place.iterdir()] == ["c.partial"]
    assert clean(library) == 1


def test_drafts_of_yesterday_go(library: Path) -> None:
    place = library / "audio"
    place.mkdir(parents=True)
    long_ago = time.time() - 3 * 86400
    for name, age in ((".a.aac.x", long_ago), (".b.aac.x", time.time()), ("c.aac", long_ago)):
        (place / name).write_bytes(b"sound")
        os.utime(place / name, (age, age))
    (posters := library / "posters" / ".tmp").mkdir(parents=True)
    (posters / "still.jpg").write_bytes(b"")
    os.utime(posters, (long_ago, long_ago))
    assert clean(library) == 0
    assert sorted(path.name for path in place.iterdir()) == [".b.aac.x", "c.aac"]
    assert not posters.exists()
