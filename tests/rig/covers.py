"""Covers on an HTTP server of loopback, as AzuraCast serves them, and whatever else an address may answer."""

import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.rig import child
from tests.rig.media import FONT
from tests.rig.net import LOOPBACK

Answer = Callable[[BaseHTTPRequestHandler], None]


def jpeg(word: str, colours: tuple[str, str] = ("0xff5533", "0x2233aa"), size: tuple[int, int] = (600, 600)) -> bytes:
    """A cover that can be told from another, as a JPEG."""
    width, height = size
    gradient = f"gradients=s={width}x{height}:c0={colours[0]}:c1={colours[1]}:x0=0:y0=0:x1={width}:y1={height}:d=1"
    text = f"drawtext=fontfile={FONT}:text='{word}':fontsize=h/5:x=(w-tw)/2:y=(h-th)/2:fontcolor=white"
    command = ["-v", "error", "-nostdin", "-f", "lavfi", "-i", f"{gradient},format=yuvj420p,{text}"]
    done = subprocess.run(
        [child.find_program("ffmpeg"), *command, "-frames:v", "1", "-c:v", "mjpeg", "-f", "image2pipe", "-"],
        capture_output=True,
        check=True,
    )
    return done.stdout


class Covers:
    """Serves `files` (path → bytes, or a function that answers the request by itself); `asked` are the paths."""

    def __init__(self, files: dict[str, bytes | Answer]) -> None:
        self.files = files
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                file = site.files.get(self.path)
                if callable(file):
                    file(self)
                    return
                self.send_response(404 if file is None else 200)
                self.send_header("Content-Type", "image/jpeg")
                self.send_header("Content-Length", str(len(file or b"")))
                self.end_headers()
                self.wfile.write(file or b"")

            def log_message(self, *_: object) -> None:
                """`asked` is the log."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self.host = f"{LOOPBACK}:{self._server.server_port}"

    def url(self, path: str) -> str:
        """The address of a file."""
        return f"http://{self.host}{path}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="covers", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
