"""For services under libfaketime 0.9.10, whose clock_nanosleep fails where the monotonic clock is left as it is."""

import select
import time
from typing import SupportsIndex


def _sleep(seconds: float | SupportsIndex, /) -> None:
    select.select((), (), (), float(seconds))


time.sleep = _sleep
