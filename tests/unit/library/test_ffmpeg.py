"""Command lines: nothing but the opened file is ever opened, and nothing depends on what is encoded."""

from dataclasses import replace
from fractions import Fraction

import pytest

from hook_service.library.ffmpeg import body_command, entry_command
from hook_service.library.filters import filters
from hook_service.library.media import DEMUXERS, Media
from hook_service.library.profiles import BUILT_IN

P720 = BUILT_IN["720p30"]
VIDEO = Media("mov,mp4,m4a,3gp,3g2,mj2", 0, 640, 360, Fraction(10), still=False)


def test_no_demuxer_that_opens_other_things() -> None:
    names = {name for entry in DEMUXERS for name in entry.split(",")}
    bad = {"hls", "applehttp", "dash", "concat", "concatf", "imf", "sdp", "rtsp", "rtp", "sap", "image2", "tty"}
    bad |= {"image2pipe", "lavfi", "webm_dash_manifest", "avisynth", "vapoursynth", "ffmetadata", "rawvideo"}
    assert not names & bad


@pytest.mark.parametrize("encoder", ["libx264", "h264_nvenc"])
def test_input_is_a_descriptor_and_one_demuxer(encoder: str) -> None:
    for command in (
        entry_command(7, VIDEO, P720, encoder, "entry.flv", 2),
        body_command(7, VIDEO, P720, encoder, "body.flv", 2, 3000.0),
    ):
        assert command.count("-i") == 1
        before = command[: command.index("-i")]
        assert command[command.index("-i") + 1] == "file:/proc/self/fd/7"
        assert before[before.index("-protocol_whitelist") + 1] == "file"
        assert before[before.index("-f") + 1] == "mov"


def test_the_fade_is_in_the_entry_alone() -> None:
    entry = entry_command(7, VIDEO, P720.with_fade(0.5), "libx264", "entry.flv", 2)
    assert "fade=t=in:start_frame=0:nb_frames=15" in entry[entry.index("-vf") + 1]
    assert entry[entry.index("-frames:v") + 1] == "60"
    assert "fade" not in " ".join(body_command(7, VIDEO, P720, "libx264", "body.flv", 2, 3000.0))


def test_filters_follow_the_source() -> None:
    assert "in_color_matrix=bt601" in filters(P720, VIDEO)
    assert "in_color_matrix=bt709" in filters(P720, replace(VIDEO, height=1080))
    assert "in_color_matrix" not in filters(P720, replace(VIDEO, color_space="bt709"))
    assert "yadif" in filters(P720, replace(VIDEO, interlaced=True))
    assert "premultiply" in filters(P720, replace(VIDEO, pix_fmt="yuva420p"))
    assert "tonemap" in filters(P720, replace(VIDEO, color_transfer="smpte2084"))
    assert "loop=loop=299:size=1" in filters(P720, replace(VIDEO, still=True))
