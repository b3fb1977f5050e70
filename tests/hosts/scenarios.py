"""`python -m tests.hosts.scenarios [NAME …]`: molecule's scenarios, two at a time, each with a log of its own.

One that fails is run a second time, alone.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / ".run/molecule"
# The longest first, so that none is left alone at the end.
SCENARIOS = ("default", "trixie", "cluster", "upgrade")
AT_ONCE = 2


def _run(name: str) -> bool:
    began = time.monotonic()
    # molecule starts its tools by name.
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    log = LOGS / f"{name}.log"
    if log.exists():
        log.replace(log.with_suffix(".before.log"))
    with log.open("wb") as out:
        done = subprocess.run(
            [Path(sys.executable).with_name("molecule"), "test", "--scenario-name", name],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False,
            env=dict(os.environ) | {"PATH": path, "NO_COLOR": "1"},
        )  # fmt: skip
    seconds = time.monotonic() - began
    print(f"molecule: {name} {'passed' if done.returncode == 0 else 'FAILED'} after {seconds:.0f} s", flush=True)
    if done.returncode != 0:
        print("".join(f"  | {line}\n" for line in log.read_text(errors="replace").splitlines()[-60:]), flush=True)
    return done.returncode == 0


def main() -> int:
    """Exit 0 when all passed."""
    names = sys.argv[1:] or list(SCENARIOS)
    LOGS.mkdir(parents=True, exist_ok=True)
    print(f"molecule: {', '.join(names)}; logs in {LOGS}", flush=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        failed = [name for name, passed in zip(names, pool.map(_run, names), strict=True) if not passed]
    # Their limits are wall-clock, and several ran at once on a machine that others may share.
    return 0 if all(_run(name) for name in failed) else 1


if __name__ == "__main__":
    sys.exit(main())
