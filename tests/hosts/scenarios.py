"""`python -m tests.hosts.scenarios [NAME …]`: molecule's scenarios side by side, each with a log of its own.

To set hosts up keeps two cores busy, and what happens to them later mostly waits: two are set up at a time, and the
next begins once one of them is. One that fails is run a second time, alone.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / ".run/molecule"
# Those first that set up the most hosts.
SCENARIOS = ("upgrade", "cluster", "default", "trixie")
_SETTING_UP = threading.Semaphore(2)
_IS_UP = b"side_effect] Executing"


def _run(name: str) -> bool:
    with ExitStack() as setting_up:
        setting_up.enter_context(_SETTING_UP)
        return _test(name, setting_up.close)


def _test(name: str, is_up: Callable[[], None]) -> bool:
    """Whether it passed; `is_up` is called, perhaps often, once its hosts are set up."""
    began = time.monotonic()
    # molecule starts its tools by name.
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    log = LOGS / f"{name}.log"
    if log.exists():
        log.replace(log.with_suffix(".before.log"))
    with log.open("wb") as out, subprocess.Popen(
        [Path(sys.executable).with_name("molecule"), "test", "--scenario-name", name],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        env=dict(os.environ) | {"PATH": path, "NO_COLOR": "1"},
    ) as molecule:  # fmt: skip
        while molecule.poll() is None:
            if _IS_UP in log.read_bytes():
                is_up()
            time.sleep(1)
    passed = molecule.returncode == 0
    print(f"molecule: {name} {'passed' if passed else 'FAILED'} after {time.monotonic() - began:.0f} s", flush=True)
    if not passed:
        print("".join(f"  | {line}\n" for line in log.read_text(errors="replace").splitlines()[-60:]), flush=True)
    return passed


def main() -> int:
    """Exit 0 when all passed."""
    names = sys.argv[1:] or list(SCENARIOS)
    LOGS.mkdir(parents=True, exist_ok=True)
    print(f"molecule: {', '.join(names)}; logs in {LOGS}", flush=True)
    with ThreadPoolExecutor(len(names)) as pool:
        failed = [name for name, passed in zip(names, pool.map(_run, names), strict=True) if not passed]
    # Their limits are wall-clock, and several ran at once on a machine that others may share.
    return 0 if all(_run(name) for name in failed) else 1


if __name__ == "__main__":
    sys.exit(main())
