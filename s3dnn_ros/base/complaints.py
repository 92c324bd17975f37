"""Which warnings are logged: not the same one again and again, and no flood of different ones."""

from __future__ import annotations

import threading
from typing import Dict

from s3dnn_ros.base.limits import cut

# About one subject, a warning comes once in this time; about all, so many do.
PERIOD_S = 5.0
MOST = 50
FLOOD = ('there are more warnings than are logged, perhaps because somebody publishes messages '
         'that cannot be used; see last_error in /diagnostics')


class Complaints:
    """Chooses what is logged of what there is to complain of; any thread may ask."""

    def __init__(self):
        self._lock = threading.Lock()
        self._said_s: Dict[str, float] = {}     # by subject, the oldest first

    def chosen(self, sentence: str, subject: str, now_s: float) -> str:
        """Return what is to be logged now: the sentence, FLOOD in its place, or nothing."""
        with self._lock:
            self._forget(now_s)
            if subject in self._said_s or len(self._said_s) > MOST:
                return ''
            if len(self._said_s) == MOST:
                sentence, subject = FLOOD, FLOOD
            self._said_s[subject] = now_s
            return cut(sentence)

    def _forget(self, now_s):
        while self._said_s:
            first = next(iter(self._said_s))
            if now_s - self._said_s[first] < PERIOD_S:
                return
            del self._said_s[first]
