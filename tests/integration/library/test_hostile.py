"""Files that are no good, or mean harm, are refused with a reason; a host in trouble is not their fault."""

import errno
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hook_service.library import atomic, catalog, encode
from hook_service.library.encode import Job
from hook_service.library.errors import LibraryError, NotNow, Refused, SourceMissing
from hook_service.library.loopfile import LoopDamaged, open_loop
from tests.integration.library.studio import (
    SMALL,
    X264,
    Studio,
    leftovers,
    make,
)


@pytest.fixture
def tempting() -> Iterator[tuple[str, list[str]]]:
    """A server that no playlist may ever reach: its address and the requests it got."""
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    thread.join()
    server.server_close()


def hls(other: str) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{other}\n#EXT-X-ENDLIST\n"


PLAYLISTS: dict[str, Callable[[str], str]] = {
    "hls": hls,
    "late hls": lambda other: "\n" * 2000 + hls(other),
    "concat": lambda other: f"ffconcat version 1.0\nfile '{other}'\n",
    "bare concat": lambda other: f"file '{other}'\n",
    "dash": lambda other: (
        f"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>{other}</BaseURL></MPD>"
    ),
    "sdp": lambda other: f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 9 RTP/AVP 96\na=control:{other}\n",
    "svg": lambda other: f"<svg xmlns:x='http://www.w3.org/1999/xlink'><image x:href='{other}'/></svg>",
    "rtsp": lambda other: f"[Reference]\nRef1={other}\n",
}


class TestHostile:
    @pytest.mark.parametrize("kind", PLAYLISTS)
    def test_a_playlist_opens_nothing(self, studio: Studio, tempting: tuple[str, list[str]], kind: str) -> None:
        address, requests = tempting
        # A FIFO, too: whoever opened it would hang, and a writer that waits is told that somebody did.
        fifo = studio.loops / "secret.ts"
        os.mkfifo(fifo)
        for other in (f"{address}/x.ts", f"file:{fifo}", str(fifo)):
            path = studio.loops / "a.mp4"
            path.write_text(PLAYLISTS[kind](other))
            with pytest.raises(Refused, match="not a"):
                studio.prepare(path)
            with pytest.raises(OSError) as opened:
                os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            assert opened.value.errno == errno.ENXIO, "somebody has opened what the playlist names"
        assert requests == []

    def test_the_only_file_that_is_opened(self, studio: Studio, tmp_path: Path) -> None:
        """By strace, where there is one: of all media below the loops, FFmpeg opens only what it was given."""
        if shutil.which("strace") is None:
            pytest.skip("strace is not installed")
        secret = make(studio.loops / "secret.mp4", "testsrc2=s=64x64:d=1", *X264)
        path = studio.loops / "a.mp4"
        path.write_text("\n" * 3000 + hls(f"file:{secret}"))
        trace = tmp_path / "trace"
        code = (
            "import os, sys; from hook_service.library.probe import probe\n"
            "try: probe(os.open(sys.argv[1], os.O_RDONLY), 0)\nexcept Exception as e: print(e)"
        )
        command = ["strace", "-f", "-qq", "-e", "trace=openat,open,connect,socket", "-o", str(trace)]
        done = subprocess.run(
            [*command, sys.executable, "-c", code, str(path)], capture_output=True, timeout=60, check=False
        )
        if done.returncode:
            pytest.skip(f"strace may not trace here: {done.stderr.decode()[-200:]}")
        text = trace.read_text()
        assert "/proc/self/fd/" in text
        assert str(secret) not in text
        assert "AF_INET" not in text

    @pytest.mark.parametrize(
        ("harm", "reason"),
        [
            ("zero", "zero bytes"),
            ("text", "text"),
            ("random", "not a video"),
            ("no moov", "moov"),
            ("cut mp4", "damaged"),
            ("cut mkv", "damaged"),
            ("cut ts", "damaged"),
            ("sound", "no video: sound only"),
            ("cover", "no video: only a cover"),
            ("short", "too short"),
            ("long", "too long"),
            ("enormous", "."),
        ],
    )
    def test_refused_with_a_reason(self, studio: Studio, harm: str, reason: str) -> None:
        path = studio.loops / "a.mp4"
        picture = "testsrc2=s=320x180:r=30:d=4"
        match harm:
            case "zero":
                path.touch()
            case "text":
                path.write_text("this is no video\n" * 100)
            case "random":
                path.write_bytes(bytes(n * n * 7919 % 251 for n in range(50_000)))
            case "no moov" | "cut mp4" | "cut mkv" | "cut ts":
                suffix, extra = {
                    "no moov": ("mp4", []),
                    "cut mp4": ("mp4", ["-movflags", "+faststart"]),
                    "cut mkv": ("mkv", []),
                    "cut ts": ("ts", []),
                }[harm]
                path = make(studio.loops / f"a.{suffix}", picture, *X264, *extra)
                os.truncate(path, path.stat().st_size * 6 // 10)
            case "sound":
                make(path, "sine=d=2")
            case "cover":
                sound = make(studio.loops / "sound.mp3", "sine=d=2")
                more = ("-i", str(sound))
                options = ["-map", "1:a", "-map", "0:v", "-c:a", "copy", "-c:v", "mjpeg", "-frames:v", "1"]
                path = make(studio.loops / "a.mp3", "testsrc2=s=64x64:d=0.04", *options,
                            "-disposition:v", "attached_pic", inputs=more)  # fmt: skip
            case "short":
                make(path, "testsrc2=s=320x180:r=30:d=0.5", *X264)
            case "long":
                make(path, "color=s=64x64:r=1/60", *X264, "-t", "7300")
            case "enormous":
                # A PNG that claims 60000 x 60000 pixels in its header.
                head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60000).to_bytes(4, "big") * 2 + b"\x08\x06\0\0\0"
                path.write_bytes(head + b"\0\0\0\0" + b"\0\0\x10\0IDAT" + b"\0" * 5000)
        with pytest.raises(Refused, match=reason) as refused:
            studio.prepare(path)
        assert str(refused.value).isprintable()
        assert not leftovers(studio.library)
        sha256 = catalog.identify(path, studio.library).sha256
        assert catalog.refusal(studio.library, sha256) == str(refused.value)
        with pytest.raises(LoopDamaged):
            open_loop(catalog.prepared_dir(studio.library, SMALL, sha256))

    def test_no_room_is_not_the_files_fault(self, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
        path = make(studio.loops / "a.mp4", "testsrc2=s=320x180:r=30:d=1", *X264)
        job = studio.job(path)

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(atomic, "write_json", full)
            with pytest.raises(NotNow, match="no space"):
                encode.prepare(job)
        assert not leftovers(studio.library)
        assert catalog.refusal(studio.library, job.source.sha256) is None
        assert encode.prepare(job).is_dir()

    def test_a_disk_that_is_full(self, studio: Studio) -> None:
        """On a file system of one megabyte, where this process may mount one."""
        place = studio.library.parent / "tiny"
        place.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
        try:
            shutil.copytree(studio.library / SMALL.fingerprint(), place / SMALL.fingerprint())
            tiny = Studio(studio.loops, place)
            path = make(studio.loops / "a.mkv", "testsrc2=s=320x180:r=30:d=20", *X264)
            fd = catalog.open_source(path)
            job = Job(tiny.library, SMALL, catalog.identify_open(fd, path, tiny.library), fd)
            with pytest.raises(NotNow, match="no space"):
                encode.prepare(job)
            os.close(fd)
            assert not leftovers(place)
            assert catalog.refusal(place, job.source.sha256) is None
            assert catalog.slate(place, SMALL).frames == 60
        finally:
            subprocess.run(["umount", str(place)], check=True)

    def test_a_source_that_changes_meanwhile(self, studio: Studio) -> None:
        path = make(studio.loops / "a.mkv", "testsrc2=s=320x180:r=30:d=1", *X264)
        job = studio.job(path, on_encoding=lambda _: os.utime(path))
        with pytest.raises(NotNow, match="written to"):
            encode.prepare(job)
        assert not leftovers(studio.library)


def test_what_may_not_be_opened_is_missing(studio: Studio) -> None:
    (studio.loops / "out.mp4").symlink_to("/etc/hostname")
    with pytest.raises(SourceMissing):
        studio.prepare(studio.loops / "out.mp4")
    with pytest.raises(LibraryError):
        studio.prepare(studio.loops)
