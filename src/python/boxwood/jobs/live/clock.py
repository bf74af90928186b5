"""The time, which tests let run faster."""

from __future__ import annotations

import time


class Clock:
    """Seconds since 1970, and waiting."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
