"""Whether a node's process that has ended is started again, and after which delay."""

from __future__ import annotations

from typing import Optional

# Exit status of a node that cannot work until the user changes something.
UNUSABLE = 2
# A process that ends this soon after its start has failed at its start.
SOON_S = 5.0
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 10.0
# A node that has worked may find its GPU or its files missing for a while.
RETRIES = 8


class RespawnPolicy:
    """Starts a node again at once, and ever later while it keeps failing at its start.

    A node that is unusable at its first start stays ended. One that has worked before is tried
    `RETRIES` times more.
    """

    def __init__(self):
        self._failures = 0
        self._has_worked = False

    def delay_s(self, status: int, lifetime_s: float) -> Optional[float]:
        """Return the delay of the next start, or None if there is none.

        Parameters
        ----------
        status : int
            Exit status of the process; below 0: the signal that killed it.
        lifetime_s : float
            How long the process ran.

        """
        # a start that fails may take long
        if status != UNUSABLE and lifetime_s >= SOON_S:
            self._failures, self._has_worked = 0, True
        if status == UNUSABLE and not (self._has_worked and self._failures < RETRIES):
            return None
        delay_s = min(FIRST_DELAY_S * 2.0 ** self._failures, LONGEST_DELAY_S)
        self._failures += 1
        return delay_s
