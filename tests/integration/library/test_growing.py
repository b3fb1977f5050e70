"""Loops that are played while they are encoded, encoders that die, and callers that meet."""

import os
import shutil
import signal
import threading
from functools import partial
from pathlib import Path

import pytest

from hook_service.library import catalog, encode
from hook_service.library.basics import ensure_basics
from hook_service.library.child import Cancelled
from hook_service.library.encode import Job
from hook_service.library.errors import NotNow
from hook_service.library.loopfile import GrowingLoop, open_loop
from hook_service.library.preparer import Preparer
from tests.integration.library.studio import P720, SMALL, X264, Studio, ffmpegs_of, leftovers, make, until


def follow(job: Job) -> GrowingLoop:
    """The loop of a job, as soon as there is something to follow."""
    until(lambda: job.partial, 20, "the directory")
    assert job.partial is not None
    return GrowingLoop(job.partial)


def _has_thirty(loop: GrowingLoop) -> bool:
    return loop.frames_ready(entry=True) >= 30


class TestWhileItIsEncoded:
    def test_the_first_second_is_there_long_before_the_rest(self, studio: Studio) -> None:
        """How soon is measured by make bench."""
        ensure_basics(studio.library, P720)
        path = make(studio.loops / "a.mp4", "testsrc2=s=1280x720:r=30:d=10", *X264)
        job = studio.job(path, P720, urgent=True)
        thread = threading.Thread(target=self._until_cancelled, args=(job,))
        thread.start()
        loop = follow(job)
        until(partial(_has_thirty, loop), 20, "30 frames")
        assert thread.is_alive()
        job.cancel.set()
        thread.join(10)
        loop.close()

    @staticmethod
    def _until_cancelled(job: Job) -> None:
        with pytest.raises(Cancelled):
            encode.prepare(job)

    def test_followed_from_the_first_frame_to_the_finished_loop(self, studio: Studio) -> None:
        path = make(studio.loops / "a.mp4", "testsrc2=s=640x360:r=30:d=5", *X264)
        job = studio.job(path)
        thread = threading.Thread(target=encode.prepare, args=(job,))
        thread.start()
        loop = follow(job)
        entry = until(lambda: loop.read_gop(0, entry=True), 20, "the entry")
        gops = [until(partial(loop.read_gop, n), 30, "a GOP") for n in range(3)]
        thread.join(30)
        assert loop.finished
        with open_loop(loop.final) as whole:
            assert entry is not None
            assert entry == whole.read_gop(0, entry=True)
            assert loop.avcc == whole.avcc
            assert [len(gop or []) for gop in gops] == [60, 60, 30]
            if not (whole.path / "body.retry.flv").exists() and gops[0] == whole.read_gop(0):
                assert gops == [whole.read_gop(n) for n in range(3)]

    def test_one_content_is_encoded_once(self, studio: Studio) -> None:
        path = make(studio.loops / "a.mp4", "testsrc2=s=640x360:r=30:d=5", *X264)
        twin = studio.loops / "twin.mp4"
        shutil.copy(path, twin)
        preparer = Preparer(studio.library, studio.loops, [SMALL])
        results: list[Path] = []
        partials: list[Path] = []

        def run(source: Path, urgent: bool) -> None:
            results.append(preparer.prepare(source, SMALL, urgent=urgent, on_encoding=partials.append))

        threads = [threading.Thread(target=run, args=(path, False))]
        threads[0].start()
        until(lambda: partials, 20, "the first encoder")
        threads.append(threading.Thread(target=run, args=(twin, True)))
        threads[1].start()
        until(lambda: len(partials) == 2, 5, "the second caller is told where to look")
        assert len(ffmpegs_of(studio.library)) <= 1
        assert preparer.encoding()[0]["urgent"] is True
        for thread in threads:
            thread.join(60)
        assert len(set(results)) == len(results) - 1 == len(set(partials)) == 1

    def test_an_encoder_that_is_killed_is_not_the_files_fault(self, studio: Studio) -> None:
        path = make(studio.loops / "a.mp4", "testsrc2=s=640x360:r=30:d=5", *X264)

        def kill(directory: Path) -> None:
            for pid in until(lambda: ffmpegs_of(directory), 10, "the encoder"):
                os.kill(pid, signal.SIGKILL)

        job = studio.job(path, on_encoding=kill)
        with pytest.raises(NotNow, match="signal 9"):
            encode.prepare(job)
        assert not leftovers(studio.library)
        assert catalog.refusal(studio.library, job.source.sha256) is None
        job.partial, job.on_encoding = None, None
        assert encode.prepare(job).is_dir()

    def test_a_damaged_loop_is_made_again_under_its_readers(self, studio: Studio) -> None:
        path = make(studio.loops / "a.mp4", "testsrc2=s=320x180:r=30:d=1", *X264)
        loop = studio.prepare(path)
        (loop.path / "index.json").write_text("{}")
        again = studio.prepare(path)
        assert len(again.read_gop(0)) == len(loop.read_gop(0)) == 30
        assert not leftovers(studio.library)
