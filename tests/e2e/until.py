"""The one way to wait."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(what: str, found: Callable[[], T], seconds: float = 60) -> T:
    """Asks again until the answer counts as true. Says what it waited for when it never does."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)
    return answer
