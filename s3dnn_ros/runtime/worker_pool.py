"""Threads for the work before and behind a network: the most urgent work goes first."""

from __future__ import annotations

import functools
import heapq
import itertools
import threading
from typing import Callable, List, Tuple


class WorkerPool:
    """Runs work in a few threads, by priority and then by deadline.

    What a thread has begun is not interrupted.

    Parameters
    ----------
    workers : int
    name : str
        Of the threads.

    """

    def __init__(self, workers, name):
        self._waiting: List[Tuple] = []         # a heap
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._workers = workers
        self._name = name
        self._threads: List[threading.Thread] = []      # they start with the first work

    def submit(self, request, work: Callable, *arguments):
        """Have work done for a request; raises RuntimeError after `shutdown`.

        The work must not raise.
        """
        entry = (-request.priority, request.deadline_s, next(self._numbers),
                 functools.partial(work, *arguments))
        with self._changed:
            if self._closed:
                raise RuntimeError('the pool was shut down')
            heapq.heappush(self._waiting, entry)
            if len(self._threads) < self._workers:
                self._start_thread()
            self._changed.notify()

    def shutdown(self):
        """Do what waits, and end the threads."""
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
                work = heapq.heappop(self._waiting)[-1]
            work()
            # what it was done on must not live until the next work comes
            del work
