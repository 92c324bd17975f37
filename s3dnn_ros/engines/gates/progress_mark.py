"""How far a job is, by the word that it writes."""

from __future__ import annotations

import time
from typing import Any, Callable, Sequence

LOOK_EVERY = 256
WAIT_PERIOD_S = 20e-6
# Whoever waits for the end of a job looks so often, for 10 s at least, before it gives up.
MOST_LOOKS = 500_000


class ProgressMark:
    """Has passed once a word has become so large, as an `Event` that a stream has reached.

    Parameters
    ----------
    words : sequence of int
        Where the device writes.
    index : int
        Which of them it is.
    least : int
    look : callable
        Raises RuntimeError after an error of the device, which writes nothing any more. That is a
        call of CUDA, so only one of `LOOK_EVERY` queries makes it.

    """

    def __init__(self, words: Sequence[int], index: int, least: int, look: Callable[[], Any]):
        self._words = words
        self._index = index
        self._least = least
        self._look = look
        self._queries = 0

    def query(self) -> bool:
        """Tell whether it has passed; raises RuntimeError after an error of the device."""
        if self._words[self._index] >= self._least:
            return True
        self._queries += 1
        if self._queries % LOOK_EVERY == 0:
            self._look()
        return False

    def synchronize(self):
        """Wait until it has passed; raises RuntimeError if it does not for very long."""
        for _ in range(MOST_LOOKS):
            if self.query():
                return
            time.sleep(WAIT_PERIOD_S)
        raise RuntimeError('a job has not ended on the device for 10 s; the device or its driver '
                           'hangs, or another program takes all of it')
