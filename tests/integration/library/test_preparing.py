"""Preparing loops with the real FFmpeg: whatever comes in, a loop of the profile comes out."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hook_service.library import catalog, encode, verify
from hook_service.library.basics import ensure_basics, prepare_audio
from hook_service.library.errors import Refused
from hook_service.library.profiles import Profile
from tests.integration.library.studio import SMALL, X264, Studio, deviation, leftovers, make, pixels


class TestBasics:
    def test_slate_and_floor(self, tmp_path: Path) -> None:
        begun = time.monotonic()
        ensure_basics(tmp_path, SMALL)
        first = time.monotonic() - begun
        with catalog.slate(tmp_path, SMALL) as loop:
            assert (loop.frames, loop.gops, loop.encoder) == (60, 1, "libx264")
            assert abs(deviation(loop)) < 0.05
            assert max(max(pixel) for pixel in pixels(loop, 0)) > 60, "the slate is black"
            assert max(max(pixel) for pixel in pixels(loop, 0, entry=True)) < 10, "the fade-in does not begin black"
        floor = catalog.floor(tmp_path)
        assert floor[:2] == b"\xff\xf1"
        assert 19 * 192_000 / 8 < len(floor) < 22 * 192_000 / 8
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
        begun = time.monotonic()
        ensure_basics(tmp_path, SMALL)
        assert time.monotonic() - begun < min(0.1, first)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before

    def test_two_processes_at_once_make_them_once(self, tmp_path: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from hook_service.library.basics import ensure_basics;"
            "from hook_service.library.profiles import Profile;"
            "ensure_basics(Path(sys.argv[1]), Profile('small', 320, 180, 30, 1, 400))"
        )
        both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
        assert [process.wait(30) for process in both] == [0, 0]
        assert catalog.slate(tmp_path, SMALL).frames == 60
        assert not leftovers(tmp_path)

    def test_a_nvenc_that_does_not_work_is_not_used(self, tmp_path: Path) -> None:
        if encode.nvenc_works():
            pytest.skip("this machine has a GPU that encodes")
        profile = Profile("gpu", 320, 180, 30, 1, 400, encoder="h264_nvenc")
        ensure_basics(tmp_path, profile)
        assert catalog.slate(tmp_path, profile).encoder == "libx264"


class TestPreparing:
    def test_a_loop(self, studio: Studio) -> None:
        path = make(studio.loops / "a.mp4", "testsrc2=s=640x360:r=30:d=3", *X264)
        seen: list[Path] = []
        with studio.prepare(path, on_encoding=seen.append) as loop, catalog.slate(studio.library, SMALL) as slate:
            assert (loop.frames, loop.gops) == (90, 2)
            assert [len(loop.read_gop(n)) for n in range(2)] == [60, 30]
            assert len(loop.read_gop(0, entry=True)) == 60
            assert loop.avcc == slate.avcc
            assert abs(deviation(loop)) <= 0.05
            assert seen == [loop.path.with_name(loop.path.name + ".partial")]
            for entry in (True, False):
                bright = [max(max(p) for p in pixels(loop, n, entry=entry)) for n in (0, 15, 45)]
                assert bright[2] > 150
                assert (bright[0] < 10) == entry
                assert (bright[1] < bright[2] - 40) == entry
        assert not leftovers(studio.library)
        made = (loop.path / "body.flv").stat().st_mtime_ns
        assert encode.prepare(studio.job(path)) == loop.path
        assert (loop.path / "body.flv").stat().st_mtime_ns == made, "it was encoded again"

    @pytest.mark.parametrize(
        ("name", "source", "options", "frames"),
        [
            ("portrait.mp4", "testsrc2=s=201x401:r=24000/1001:d=2", [*X264, "-pix_fmt", "yuv444p"], 60),
            ("pal.mp4", "testsrc2=s=720x576:r=25:d=2,setsar=64/45", [*X264, "-flags", "+ildct+ilme"], 60),
            ("jpeg-range.mp4", "testsrc2=s=320x180:r=30:d=1", [*X264, "-pix_fmt", "yuvj420p"], 30),
            ("ten-bit.mkv", "testsrc2=s=320x180:r=30:d=1", [*X264, "-pix_fmt", "yuv420p10le"], 30),
            ("slow.mp4", "testsrc2=s=320x180:r=1:d=3", X264, 90),
            ("fast.ts", "testsrc2=s=320x180:r=60:d=1", X264, 30),
            (
                "uneven.mkv",
                "testsrc2=s=320x180:r=30:d=3,select='lt(mod(n\\,9)\\,2)'",
                [*X264, "-fps_mode", "vfr"],
                84,
            ),
            ("other.avi", "testsrc2=s=320x180:r=25:d=2", ["-c:v", "mpeg4"], 60),
            ("other.webm", "testsrc2=s=320x180:r=25:d=1", ["-c:v", "libvpx"], 30),
            ("wide.mov", "testsrc2=s=2000x20:r=25:d=1", ["-c:v", "prores_ks"], 30),
            ("moving.gif", "testsrc2=s=160x90:r=10:d=2", [], 60),
            ("still.png", "testsrc2=s=333x111:d=1,format=rgba", ["-frames:v", "1"], 300),
            ("still.jpg", "testsrc2=s=333x111:d=1", ["-frames:v", "1"], 300),
        ],
    )
    def test_whatever_comes_in(self, studio: Studio, name: str, source: str, options: list[str], frames: int) -> None:
        path = make(studio.loops / name, source, *options)
        with studio.prepare(path) as loop:
            assert abs(loop.frames - frames) <= 1
            assert loop.avcc == catalog.reference_avcc(loop.path.parent)
            assert abs(deviation(loop)) <= 0.05

    @pytest.mark.parametrize(
        ("size", "aspect", "columns"),
        [("320x180", "1", 16), ("240x180", "1", 12), ("120x180", "2", 12), ("100x180", "1", 5)],
    )
    def test_letterboxed_with_its_pixel_aspect(self, studio: Studio, size: str, aspect: str, columns: int) -> None:
        path = make(studio.loops / "a.mp4", f"color=white:s={size}:r=30:d=1,setsar={aspect}", *X264)
        with studio.prepare(path) as loop:
            row = pixels(loop, 10)[16 * 4 : 16 * 5]
        assert abs(sum(pixel[1] for pixel in row) / 255 - columns) < 0.3
        assert [p[1] for p in row] == pytest.approx([p[1] for p in reversed(row)], abs=8), "not in the middle"

    def test_rotated_as_its_maker_held_the_camera(self, studio: Studio) -> None:
        upright = make(studio.loops / "up.mp4", "color=white:s=320x180:r=30:d=1", *X264)
        path = studio.loops / "turned.mov"
        command = [
            "ffmpeg",
            "-v",
            "error",
            "-nostdin",
            "-i",
            str(upright),
            "-c",
            "copy",
            "-metadata:s:v",
            "rotate=90",
        ]
        shown = subprocess.run(["ffmpeg", "-hide_banner", "-h", "full"], capture_output=True, check=True).stdout
        if b"-display_rotation" in shown:
            command = [
                "ffmpeg",
                "-v",
                "error",
                "-nostdin",
                "-display_rotation",
                "90",
                "-i",
                str(upright),
                "-c",
                "copy",
            ]
        subprocess.run([*command, str(path)], check=True)
        with studio.prepare(path) as loop:
            row = pixels(loop, 10)[16 * 4 : 16 * 5]
        assert abs(sum(pixel[1] for pixel in row) / 255 - 16 * (9 / 16) ** 2) < 0.4

    @pytest.mark.parametrize(
        "tags",
        [
            ["-pix_fmt", "yuv420p"],
            ["-pix_fmt", "yuvj420p"],
            ["-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709", "-pix_fmt", "yuv420p"],
            ["-vf", "scale=out_color_matrix=bt709:out_range=pc", "-colorspace", "bt709", "-color_range", "pc"],
        ],
    )
    def test_colours_stay_what_they_are(self, studio: Studio, tags: list[str]) -> None:
        source = "color=0xc83214:s=320x180:r=30:d=1,format=rgb24"
        with studio.prepare(make(studio.loops / "a.mp4", source, *tags, *X264)) as loop:
            assert pixels(loop, 10)[70] == pytest.approx([0xC8, 0x32, 0x14], abs=8)

    def test_what_is_transparent_lies_on_black(self, studio: Studio) -> None:
        path = make(studio.loops / "a.png", "color=white@0.5:s=320x180,format=rgba", "-frames:v", "1")
        with studio.prepare(path) as loop:
            assert pixels(loop, 10)[70] == pytest.approx([128] * 3, abs=8)

    def test_hdr_is_not_dull(self, studio: Studio) -> None:
        tags = "setparams=color_trc=smpte2084:color_primaries=bt2020:colorspace=bt2020nc"
        # PQ at 203 nits: what a sheet of paper has.
        white = f"color=0x949494:s=320x180:r=30:d=1,format=yuv420p10le,{tags}"
        hdr = ["-color_trc", "smpte2084", "-color_primaries", "bt2020", "-colorspace", "bt2020nc"]
        with studio.prepare(make(studio.loops / "a.mp4", white, *X264, *hdr)) as loop:
            assert min(pixels(loop, 10)[70]) > 170

    @pytest.mark.parametrize("fade", [0.0, 2.0])
    def test_other_fades(self, studio: Studio, fade: float) -> None:
        profile = SMALL.with_fade(fade)
        with studio.prepare(make(studio.loops / "a.mp4", "testsrc2=s=320x180:r=30:d=1", *X264), profile) as loop:
            assert loop.has_entry == (fade > 0)
            assert len(loop.read_gop(0, entry=True)) == 30

    def test_a_rate_that_is_no_whole_number(self, studio: Studio) -> None:
        film = Profile("film", 320, 180, 24000, 1001, 400)
        with studio.prepare(make(studio.loops / "a.mp4", "testsrc2=s=320x180:r=30:d=3", *X264), film) as loop:
            assert loop.frames == 72
            assert [len(loop.read_gop(n)) for n in range(2)] == [48, 24]

    @pytest.mark.parametrize(
        "name", [b"-i.mp4", b"a\nb.mp4", b"%03d.mp4", b"\xff\xfe.mp4", "concat:ö|'x\".mp4".encode()]
    )
    def test_names_of_every_kind(self, studio: Studio, name: bytes) -> None:
        made = make(studio.loops / "plain.mp4", "testsrc2=s=320x180:r=30:d=1", *X264)
        path = made.rename(studio.loops / os.fsdecode(name))
        assert studio.prepare(path).frames == 30

    def test_fallback_audio(self, studio: Studio) -> None:
        path = make(studio.loops / "a.mp3", "sine=d=3:r=48000", "-ac", "1")
        made = prepare_audio(path, studio.library, 128, studio.loops)
        assert made == prepare_audio(path, studio.library, 128, studio.loops)
        show = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,sample_rate,channels", "-of", "csv=p=0"]
        assert subprocess.run([*show, str(made)], capture_output=True, check=True).stdout.strip() == b"aac,44100,2"
        (studio.loops / "text.mp3").write_text("hello")
        with pytest.raises(Refused):
            prepare_audio(studio.loops / "text.mp3", studio.library)


class TestBitrate:
    @pytest.mark.parametrize("seconds", [1, 3])
    @pytest.mark.parametrize("kind", ["still", "noise", "moving"])
    def test_within_five_per_cent(self, studio: Studio, kind: str, seconds: int) -> None:
        source = {
            "still": "color=navy:s=320x180:r=30",
            "noise": "nullsrc=s=320x180:r=30,geq=random(1)*255:random(1)*255:128",
            "moving": "testsrc2=s=320x180:r=30",
        }[kind]
        path = make(studio.loops / "a.mkv", f"{source}:d={seconds}" if kind != "noise" else source,
                    "-t", str(seconds), *X264, "-qp", "15")  # fmt: skip
        with studio.prepare(path) as loop:
            assert abs(deviation(loop)) <= 0.05
            bits = sum(len(body) - 5 for n in range(loop.gops) for body, _ in loop.read_gop(n)) * 8
            assert bits * 30 / loop.frames == pytest.approx(400_000, rel=0.05)


class TestVerify:
    """What the check lets through is a loop of the profile and nothing else."""

    @pytest.mark.parametrize(
        ("options", "fault"),
        [
            (["-bf", "2"], "B-frames"),
            (["-g", "30"], "keyframes"),
            (["-s", "322x180"], "SPS"),
            (["-b:v", "200k", "-maxrate", "200k", "-bufsize", "200k"], "bitrate"),
        ],
    )
    def test_what_is_no_loop(self, studio: Studio, tmp_path: Path, options: list[str], fault: str) -> None:
        good = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "60", "-bf", "0"]
        good += ["-b:v", "400k", "-maxrate", "400k", "-bufsize", "400k"]
        good += ["-x264-params", "scenecut=0:filler=1", *options]
        good += ["-flvflags", "no_metadata+no_duration_filesize+no_sequence_end", "-f", "flv"]
        make(tmp_path / "body.flv", "testsrc2=s=320x180:r=30:d=20", *good)
        reference = catalog.slate(studio.library, SMALL).avcc
        with pytest.raises(verify.Unfit, match=fault):
            verify.check(tmp_path, SMALL, reference, nice=0, threads=1)

    def test_frames_that_do_not_decode(self, studio: Studio) -> None:
        loop = studio.prepare(make(studio.loops / "a.mp4", "testsrc2=s=320x180:r=30:d=1", *X264))
        data = bytearray((loop.path / "body.flv").read_bytes())
        for at in range(len(data) // 2, len(data) // 2 + 60):
            data[at] ^= 0x55
        (loop.path / "body.flv").write_bytes(data)
        with pytest.raises(verify.Unfit):
            verify.check(loop.path, SMALL, loop.avcc, nice=0, threads=1)
