"""The small pictures of loops, and the look at a file before it becomes one."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hook_service.library import catalog, intake, posters
from hook_service.library.errors import Refused
from tests.integration.library.studio import SMALL, X264, Studio, make


def about(path: Path) -> dict[str, Any]:
    """What ffprobe says of the one stream of a file."""
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=30).stdout)
    [stream] = found["streams"]
    return dict(stream)


def test_a_loop_gets_a_still_and_a_moving_picture(studio: Studio) -> None:
    path = make(studio.loops / "a.mp4", "testsrc2=s=640x360:r=30:d=14", *X264)
    studio.prepare(path).close()
    sha256 = catalog.identify(path, studio.library).sha256
    posters.make(studio.library, SMALL, sha256)
    still, moving = (about(posters.path_of(studio.library, sha256, moving)) for moving in (False, True))
    assert (still["codec_name"], still["width"], still["height"], still["nb_read_frames"]) == ("mjpeg", 320, 180, "1")
    assert (moving["codec_name"], moving["width"], moving["height"]) == ("h264", 320, 180)
    # Three scenes of two seconds, ten pictures a second.
    assert moving["nb_read_frames"] == "60"
    assert abs(float(moving["duration"]) - 6) < 0.2
    assert sorted(path.suffix for path in (studio.library / "posters").iterdir()) == [".jpg", ".mp4"]


def test_the_shortest_loop_has_pictures_too(studio: Studio) -> None:
    path = make(studio.loops / "a.mp4", "color=red:s=320x180:r=30:d=1.2", *X264)
    studio.prepare(path).close()
    sha256 = catalog.identify(path, studio.library).sha256
    posters.make(studio.library, SMALL, sha256)
    assert about(posters.path_of(studio.library, sha256))["width"] == 320


def test_what_is_examined_is_told_or_refused(studio: Studio) -> None:
    (studio.loops / ".uploads").mkdir()
    path = make(studio.loops / ".uploads/a.part", "testsrc2=s=640x360:r=30:d=3", *X264, "-f", "mp4")
    found = intake.examine(path, studio.loops, studio.library)
    assert (found.width, found.height, found.still) == (640, 360, False)
    assert found.seconds == pytest.approx(3, abs=0.1)
    assert found.sha256 == catalog.identify(path, studio.library).sha256
    catalog.refuse(studio.library, catalog.identify(path, studio.library), "damaged: by hand")
    with pytest.raises(Refused, match="by hand"):
        intake.examine(path, studio.loops, studio.library)
    path.write_bytes(b"#EXTM3U\nhttp://127.0.0.1/x.ts\n")
    with pytest.raises(Refused, match="playlist"):
        intake.examine(path, studio.loops, studio.library)
