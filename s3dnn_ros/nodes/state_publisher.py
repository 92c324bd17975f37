"""Publishes what our instances tell in a thread of its own: the runtime's loop has no time."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import Callable, Dict

from s3dnn_ros.cohort import MemberState

# at 1,000 boundaries a second, the middleware may stand still for a quarter of a second
MOST_WAITING = 256
_END = None


class StatePublisher:
    """Publishes every state, in the order in which they were said.

    If too many wait, the oldest makes way that is not the newest of its instance: whatever
    happens, the newest of each is published, and after everything older of that instance.

    Parameters
    ----------
    publish : callable
        Called in the thread with a MemberState.
    report : callable
        Called with a sentence when states are left out, or cannot be published.
    most_waiting : int

    """

    def __init__(self, publish: Callable[[MemberState], None], report: Callable[[str], None],
                 most_waiting=MOST_WAITING):
        self._publish = publish
        self._report = report
        self._most_waiting = most_waiting
        # its `put` takes a third of what a Condition takes, and never waits for the other thread
        self._waiting: queue.SimpleQueue = queue.SimpleQueue()
        self._newest: Dict[str, MemberState] = {}
        self._thread = threading.Thread(target=self._run, name='s3dnn-states', daemon=True)
        self._thread.start()

    def say(self, state: MemberState):
        """Have a state published; one thread at a time, not after `close`."""
        self._newest[state.instance] = state
        if self._waiting.qsize() >= self._most_waiting:
            self._make_room()
        self._waiting.put(state)

    def close(self):
        """Publish what waits, and end the thread."""
        self._waiting.put(_END)
        self._thread.join()

    def _make_room(self):
        with contextlib.suppress(queue.Empty):      # the thread has caught up
            for _ in range(self._waiting.qsize()):
                oldest = self._waiting.get_nowait()
                if oldest is not self._newest[oldest.instance]:
                    self._report(f'more than {self._most_waiting} states wait to be published on '
                                 'cohort/states, and old ones are left out; see what takes the '
                                 'CPU from this process')
                    return
                self._waiting.put(oldest)

    def _run(self):
        for state in iter(self._waiting.get, _END):
            try:
                self._publish(state)
            except Exception as error:
                # whatever the middleware refuses, the next state may go through
                self._report(f'a state cannot be published on cohort/states: {error}')
