"""A request's work on the CPU, before its segments and behind them: the most urgent goes first.

The segments between are the core's: what the GPU does next is up to a scheduler.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from typing import Any, Callable, List, NamedTuple, Protocol, Tuple

from s3dnn_ros.recent import RecentTimes

BEFORE, BEHIND = 'before', 'behind'


class Urgency(Protocol):
    """What a sub-task is for, as far as its order goes: a Request."""

    @property
    def priority(self) -> int:
        """Return its priority; larger is more important."""

    deadline_s: float


class SubTask(NamedTuple):
    """Work on the CPU that a request needs, `BEFORE` or `BEHIND` its segments.

    `run` must not raise.
    """

    request: Urgency
    place: str
    run: Callable[[], None]


def most_urgent_first(subtask: SubTask) -> Tuple[Any, ...]:
    """Return what the least of goes first: by priority, then by deadline."""
    return -subtask.request.priority, subtask.request.deadline_s


class SubTaskPool:
    """Runs sub-tasks in a few threads; what a thread has begun is not interrupted.

    Parameters
    ----------
    workers : int
    name : str
        Of the threads.
    clock : Clock
    order : callable
        Returns what a sub-task is compared by; those that are equal go as they came.

    """

    def __init__(self, workers, name, clock,
                 order: Callable[[SubTask], Tuple[Any, ...]] = most_urgent_first):
        self._waiting: List[Tuple] = []         # a heap
        self._numbers = itertools.count()
        self._order = order
        self._changed = threading.Condition()
        self._closed = False
        self._workers = workers
        self._name = name
        self._clock = clock
        self._unfinished = 0
        self._took = RecentTimes()
        self._threads: List[threading.Thread] = []      # they start with the first work

    def submit(self, subtask: SubTask):
        """Have a sub-task run; raises RuntimeError after `shutdown`."""
        entry = (self._order(subtask), next(self._numbers), subtask.run)
        with self._changed:
            if self._closed:
                raise RuntimeError('the pool was shut down')
            heapq.heappush(self._waiting, entry)
            self._unfinished += 1
            if len(self._threads) < self._workers:
                self._start_thread()
            self._changed.notify()

    def wait_s(self, ahead=0) -> float:
        """Return how long work would wait for a thread, behind all that is here and `ahead`."""
        with self._changed:
            before = self._unfinished + ahead + 1 - self._workers
            return max(0, before) * self.each_s

    @property
    def each_s(self) -> float:
        """Return what all threads together take for one of many; 0 before the second."""
        return self._took.average_s / self._workers

    def shutdown(self):
        """Run what waits, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _start_thread(self):
        thread = threading.Thread(target=self._run, name=f'{self._name}_{len(self._threads)}',
                                  daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self):
        while True:
            with self._changed:
                while not self._waiting:
                    if self._closed:
                        return
                    self._changed.wait()
                run = heapq.heappop(self._waiting)[-1]
            began_s = self._clock.now_s()
            run()
            # what it was done on must not live until the next work comes
            del run
            with self._changed:
                self._unfinished -= 1
                # simulated time may go back
                self._took.add(max(0.0, self._clock.now_s() - began_s))
