"""Running programs and taking turns."""

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

# Where what is on this machine now is kept: gone after a reboot, as the hosts themselves are.
RUN = Path("/run/steadycast-hosts")


class HostsError(RuntimeError):
    """A host could not be made, reached or removed; the message says what, and how to mend it."""


def run(argv: Sequence[object], *, text: str | None = None, check: bool = True, seconds: float = 600) -> str:
    """Run a program to its end; its standard output. HostsError with what it said when it fails."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=seconds)
    except FileNotFoundError:
        raise HostsError(f"{words[0]} is not installed: run tests/hosts/install-packages.sh") from None
    except subprocess.TimeoutExpired:
        raise HostsError(f"not done after {seconds:g} s: {' '.join(words)}") from None
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-3000:]
        raise HostsError(f"{' '.join(words)} ended with {done.returncode}:\n{said}")
    return done.stdout


@contextlib.contextmanager
def turn(path: Path) -> Iterator[None]:
    """Hold a lock file: what is made once for everybody is made by one at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cache() -> Path:
    """Where images, package archives and generated media are kept from run to run."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "steadycast/hosts"
    place.mkdir(parents=True, exist_ok=True)
    return place
