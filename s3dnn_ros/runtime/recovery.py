"""A network whose run failed is loaded again, while all others go on."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import Callable, ContextManager

from s3dnn_ros.errors import RestartError

_LOG = logging.getLogger(__name__)
# The first time a network is loaded again at once. If no run goes well after that, the next
# attempts come after these times, each twice as long as the one before.
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0


class Recovery:
    """Replaces a queue's network after a failed run.

    Until the new one is there, `refusal` says why requests are not taken; those that wait
    already fail when they start. An attempt that has to wait for its time comes with the first
    call of `refusal` after it.

    Parameters
    ----------
    instance : str
        The one that the network was loaded for, for the reports.
    queue : ModelQueue
    load : callable
        Returns the network anew, proven by a run; may raise anything.
    submit : callable
        Runs a function in another thread; after the end it raises RuntimeError.
    clock : Clock
    is_lost : callable
        Tells, after a failed attempt, whether there is no use in another one.
    quiet : callable
        Returns the context in which memory of the device is given back and taken.

    """

    def __init__(self, instance, queue, load, submit, clock,
                 is_lost: Callable[[], bool],
                 quiet: Callable[[], ContextManager] = contextlib.nullcontext):
        self._instance = instance
        self._queue = queue
        self._load = load
        self._submit = submit
        self._clock = clock
        self._is_lost = is_lost
        self._quiet = quiet
        self._failed = None         # the network, until its memory may be given back
        self._lock = threading.Lock()
        self._error = ''            # what the network failed with; empty while it is in use
        self._loading = False
        self._due_s = 0.0           # when the next attempt may start
        self._delay_s = 0.0         # and how long the one after it has to wait

    def ended(self, job):
        """Take note of a job's end; the first one that fails takes its network out of use."""
        with self._lock:
            if self._error or job.network is not self._queue.network:
                return      # it ran on a network that is out of use already
            if not job.error:
                self._delay_s = 0.0
                return
            self._error, self._failed = job.error, job.network
            self._queue.network = _OutOfUse(job.network, self._sentence())
            self._put_off()
            self._try()
        _LOG.warning(f"instance '{self._instance}': {self._sentence()}")

    def refusal(self) -> str:
        """Return why requests are refused now, or an empty string; any thread."""
        with self._lock:
            if not self._error:
                return ''
            self._try()
            return self._sentence()

    def _sentence(self):
        return f'its network is being restarted, as a run failed: {self._error}'

    def _put_off(self):
        wait_s = self._delay_s
        self._due_s = self._clock.now_s() + wait_s
        self._delay_s = min(max(2 * wait_s, FIRST_DELAY_S), LONGEST_DELAY_S)
        return wait_s

    def _try(self):
        if self._loading or self._clock.now_s() < self._due_s:
            return
        with contextlib.suppress(RuntimeError):
            self._submit(self._restart)
            self._loading = True

    def _restart(self):
        try:
            with self._quiet():
                self._failed = None
                network = self._load()
        except Exception as error:
            # whatever the device's driver raises, the next attempt may do better
            with self._lock:
                wait_s = self._put_off()
                self._loading = False
            if not self._is_lost():
                _LOG.warning(f"instance '{self._instance}': its network cannot be loaded again: "
                             f'{error}; the next attempt comes in {wait_s:g} s or later')
            return
        with self._lock:
            self._queue.network = network
            self._error = ''
            self._loading = False
        _LOG.warning(f"instance '{self._instance}': its network was restarted and runs again")


class _OutOfUse:
    """Stands in for a network that failed: keeps none of its memory, and takes nothing."""

    stages = False
    note = ''

    def __init__(self, network, sentence):
        self.segments, self.lanes = network.segments, network.lanes
        self.batch, self.largest = network.batch, network.largest
        self.output_shapes = network.output_shapes
        self._sentence = sentence

    def padded(self, frames):
        return frames

    def stage(self, pixels):
        raise RestartError(self._sentence)

    open = stage
