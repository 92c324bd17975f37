"""Images come from a process of their own, and go straight to the thread that is measured.

A thread beside the core's would take the interpreter from it whenever an image comes.
"""

from __future__ import annotations

import collections
import contextlib
import heapq
import json
import os
import queue
import select
import struct
import subprocess
import sys
import threading
import time
from typing import Any, Callable, Deque, Dict, Iterator, Sequence, Tuple

from s3dnn_ros.base.clock import SystemClock, sharpen_timers
from s3dnn_ros.bench.processes import ProcessError

# Which client's image came, and when. The pipe takes and gives whole records.
_RECORD = struct.Struct('<qd')
_READY, _END = -1, -2
_READ_BYTES = 256 * _RECORD.size


class Arrivals:
    """An inbox for a Driver that images of another process come into, too.

    Parameters
    ----------
    periods : sequence of (float, float)
        Of each client: when its first image comes after the start, and how long after each comes
        the next; 0: there is no other.
    event_of : callable
        Returns the event of an arrival from the client's place in `periods` and the time in
        seconds. The thread that gets the event calls it.

    Raises
    ------
    ProcessError
        The process does not start.

    """

    def __init__(self, periods: Sequence[Tuple[float, float]],
                 event_of: Callable[[int, float], Any]):
        self._periods = periods
        self._event_of = event_of
        self._events: Deque = collections.deque()
        self._reader = 0        # the thread that gets
        self._is_open = True
        self._door = threading.Lock()   # whoever wakes must not write into what came after
        self._process = subprocess.Popen([sys.executable, '-m', __name__], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE)
        self._pipe = self._process.stdout.fileno()
        self._wake, self._wakes = os.pipe()
        self._sources = [self._pipe, self._wake]
        if os.read(self._pipe, _RECORD.size) != _RECORD.pack(_READY, 0.0):
            self.close()
            raise ProcessError('the process that tells when images come does not start; look '
                               'above for what it says')
        for end in (self._pipe, self._wake, self._wakes):
            os.set_blocking(end, False)

    def start(self, started_s: float, until_s: float):
        """Let images come from one time to another."""
        order = {'periods': self._periods, 'started_s': started_s, 'until_s': until_s}
        self._process.stdin.write(json.dumps(order).encode() + b'\n')
        self._process.stdin.flush()

    def close(self):
        """End the process."""
        self._process.kill()
        self._process.communicate()
        with self._door:
            self._is_open = False
            for end in (self._wake, self._wakes):
                os.close(end)

    # as a queue.SimpleQueue

    def put(self, event):
        """Add an event of this process; any thread."""
        self._events.append(event)
        if threading.get_ident() != self._reader:
            with self._door, contextlib.suppress(BlockingIOError):  # so many wakes are enough
                if self._is_open:
                    os.write(self._wakes, b'.')

    def get(self, timeout=None):
        """Return the next event; raises queue.Empty if none comes for so many seconds.

        Also raises queue.Empty sooner, for a wake whose event was there before. Raises
        ProcessError if the process has died.
        """
        self._reader = threading.get_ident()
        for source in select.select(self._sources, [], [], 0.0 if self._events else timeout)[0]:
            self._read(source)
        if not self._events:
            raise queue.Empty
        return self._events.popleft()

    def get_nowait(self):
        """Return the next event that was read; raises queue.Empty if there is none.

        What the pipe holds since then is left for `get`: to look there takes a system call.
        """
        if not self._events:
            raise queue.Empty
        return self._events.popleft()

    def _read(self, source):
        content = os.read(source, _READ_BYTES)
        if source == self._wake:
            return
        if not content:
            self._sources.remove(source)
            raise ProcessError('the process that tells when images come has died')
        for client, now_s in _RECORD.iter_unpack(content):
            if client == _END:
                self._sources.remove(source)
                return
            self._events.append(self._event_of(client, now_s))


def times(periods: Sequence[Sequence[float]], started_s: float,
          until_s: float) -> Iterator[Tuple[float, int]]:
    """Give when images come and of which client, in order, until a time."""
    due = [(started_s + phase_s, client) for client, (phase_s, _) in enumerate(periods)]
    heapq.heapify(due)
    while due and due[0][0] < until_s:
        due_s, client = due[0]
        yield due_s, client
        period_s = periods[client][1]
        if period_s > 0.0:
            heapq.heapreplace(due, (due_s + period_s, client))
        else:
            heapq.heappop(due)


def main():
    """Write a record whenever an image comes, as the order says that comes in."""
    sharpen_timers()
    clock, output = SystemClock(), sys.stdout.fileno()
    os.write(output, _RECORD.pack(_READY, 0.0))
    line = sys.stdin.readline()
    if not line:
        return
    order: Dict[str, Any] = json.loads(line)
    with contextlib.suppress(BrokenPipeError):
        for due_s, client in times(order['periods'], order['started_s'], order['until_s']):
            time.sleep(max(0.0, due_s - clock.now_s()))
            # a frame is there when it is there: that this process woke late is no one's delay
            os.write(output, _RECORD.pack(client, clock.now_s()))
        os.write(output, _RECORD.pack(_END, 0.0))


if __name__ == '__main__':
    main()
