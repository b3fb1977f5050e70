"""What Liquidsoap is told, as AzuraCast tells it in Radio/Backend/Liquidsoap/ConfigWriter.php.

Encoders of FFmpeg, titles in UTF-8, a queue that interrupts what plays, and for tracks in "jingle mode" the title
before once more. Two things differ: AAC comes from FFmpeg's own encoder, as Debian's Liquidsoap has no libfdk_aac,
and what plays can be cut off by a command.
"""

import re
from pathlib import Path
from typing import Literal

from tests.rig.icecast import Icecast
from tests.rig.net import LOOPBACK

Format = Literal["mp3", "aac", "opus", "vorbis"]

_ENCODERS = {
    "mp3": 'format="mp3", %audio(codec="libmp3lame", ac=2, ar=44100, b="{kbps}k")',
    "aac": 'format="adts", %audio(codec="aac", samplerate=44100, channels=2, b="{kbps}k")',
    "opus": 'format="ogg", %audio(codec="libopus", samplerate=48000, b="{kbps}k", vbr="constrained",'
    ' application="audio", channels=2, compression_level=10, cutoff=20000)',
    "vorbis": 'format="ogg", %audio(codec="libvorbis", samplerate=48000, b="{kbps}k", channels=2)',
}

# One script for Liquidsoap 2.1 and 2.3. `rig` is a number of ours by which a track is known; it isn't sent on.
_SCRIPT = """settings.log.stdout.set(true)
settings.log.file.set(false)
settings.log.level.set(3)
settings.server.telnet.set(true)
settings.server.telnet.bind_addr.set("{host}")
settings.server.telnet.port.set({control})
settings.encoder.metadata.export.set(["artist", "title", "album", "song"])

rotation = {rotation}
requests = request.queue(id="requests")
radio = fallback(id="requests_fallback", track_sensitive=true, [requests, rotation])
cuts = request.queue(id="cuts")
radio = fallback(id="cuts_fallback", track_sensitive=false, [cuts, radio, blank()])

# Whatever is in the queue already is over: what comes is to be heard now.
def cut(uri) =
  waited = cuts.is_ready()
  cuts.push.uri(uri)
  if waited then cuts.skip() end
  "cut"
end
server.register(namespace="rig", "cut", cut)
def push(uri) =
  requests.push.uri(uri)
  "waits"
end
server.register(namespace="rig", "push", push)
def skip(_) =
  source.skip(radio)
  "skipped"
end
server.register(namespace="rig", "skip", skip)

def began(m) =
  log(label="began", "#{{m['rig']}} at #{{int_of_float(1000. * time())}}")
end
radio.on_metadata(began)

{titles}
output.icecast(
  %ffmpeg({encoder}),
  id="local_1", host="{host}", port={port}, user="source", password="{password}", mount="{mount}",
  name="Demo FM", description="", genre="", public=false, encoding="UTF-8", radio
)
"""
# A jingle has no title of its own: the one before is sent again.
_TITLES = """before = ref([])
def jingle_mode(m) =
  if m["jingle_mode"] == "true" then
    !before
  else
    before := m
    m
  end
end
radio = metadata.map(update=false, strip=true, jingle_mode, radio)
"""
_NO_TITLES = "radio = metadata.map(update=false, strip=true, fun (_) -> [], radio)\n"

BEGAN = re.compile(rb"\[began:\d\] (\d+) at (\d+)\n")
"""A line of its log: the number of a track, and when it began (ms)."""


def script(
    icecast: Icecast, mount: str, control: int, playlist: Path | None, *, format: Format, kbps: int, titles: bool
) -> str:
    """The script for one mount, which takes commands on the port `control`. Without a playlist there is silence."""
    rotation = "blank()"
    if playlist is not None:
        rotation = f'playlist(id="rotation", mode="normal", reload_mode="never", "{playlist}")'
    return _SCRIPT.format(
        host=LOOPBACK, control=control, rotation=rotation, titles=_TITLES if titles else _NO_TITLES,
        encoder=_ENCODERS[format].format(kbps=kbps), port=icecast.port, password=icecast.password, mount=mount,
    )  # fmt: skip


def escaped(text: str) -> str:
    """As it stands within quotes in an annotation."""
    return re.sub(r"[\r\n\t]", " ", text).replace("\\", "\\\\").replace('"', '\\"')
