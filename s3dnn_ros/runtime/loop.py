"""The runtime's loop: schedule → submit → complete.

One thread of our own runs it. Arrivals and completions come from other threads
through one inbox; everything that decides happens here, in order.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
from typing import Callable, Dict

from s3dnn_ros.engines.base import Engine, Run
from s3dnn_ros.runtime.instance import Job


class Loop:
    """Runs jobs on an engine in the order a scheduler decides.

    Parameters
    ----------
    scheduler : Scheduler
    engine : Engine
    clock : Clock
    finished : callable
        Called in the loop's thread with every job whose run ended, well or not.
    dropped : callable
        Called in the loop's thread with (job, reason, sentence) for every job
        that will not run.
    report : callable
        Called with a sentence when something failed that nobody answers for.

    """

    def __init__(self, scheduler, engine: Engine, clock, finished: Callable[[Job], None],
                 dropped: Callable[[Job, str, str], None], report: Callable[[str], None], *,
                 max_queue=32, late_policy='run'):
        self.max_queue = max_queue
        self.late_policy = late_policy
        self._scheduler = scheduler
        self._engine = engine
        self._clock = clock
        self._finished = finished
        self._dropped = dropped
        self._report = report
        self._inbox: queue.SimpleQueue = queue.SimpleQueue()
        self._waiting: Dict[int, Job] = {}     # by id of their work, oldest first
        self._running: Dict[int, Job] = {}
        self._stopping = False
        self._closed = False
        self._door = threading.Lock()          # admitted before the end, or refused
        self._thread = threading.Thread(target=self._run, name='s3dnn-loop', daemon=True)

    def start(self):
        """Start the thread."""
        self._thread.start()

    def admit(self, job: Job):
        """Hand a job over; any thread. After the end it is dropped at once."""
        with self._door:
            if not self._closed:
                self._inbox.put(functools.partial(self._schedule, job))
                return
        self._dropped(job, 'shutdown', '')

    def stop(self):
        """Drop what waits, wait for what runs, and end the thread."""
        self._inbox.put(self._stop)
        self._thread.join()

    def _run(self):
        while self._running or not self._stopping:
            try:
                self._inbox.get()()
                self._submit()
            except Exception as error:
                # without its thread the node would look alive and do nothing
                self._report(f'the runtime loop failed: {error!r}; please report this')
        with self._door:
            self._closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._inbox.get_nowait()()

    def _stop(self):
        self._stopping = True
        for job in list(self._waiting.values()):
            self._drop(job, 'shutdown', '')

    def _schedule(self, job):
        if self._stopping:
            self._dropped(job, 'shutdown', '')
            return
        work = job.next_work()
        self._waiting[id(work)] = job
        self._scheduler.enqueue(work, self._clock.now_s())
        while len(self._waiting) > self.max_queue:
            oldest = next(iter(self._waiting.values()))
            self._drop(oldest, 'queue', f'more than max_queue ({self.max_queue}) batches waited')

    def _submit(self):
        now_s = self._clock.now_s()
        for work in self._scheduler.dequeue(now_s).submit:
            job = self._waiting.pop(id(work))
            if self.late_policy == 'drop' and now_s > job.batch.deadline_s:
                self._scheduler.complete(work, now_s)
                self._dropped(job, 'late', 'the deadline had passed before the batch started')
                self._inbox.put(_nothing)     # the scheduler may have more to say
                continue
            self._running[id(work)] = job
            self._engine.submit(
                job.instance.network, job.batch.pixels,
                lambda run, job=job: self._inbox.put(
                    functools.partial(self._complete, job, run)))

    def _complete(self, job, run: Run):
        del self._running[id(job.work)]
        self._scheduler.complete(job.work, self._clock.now_s())
        job.run = run
        if not run.error:
            job.instance.observe(run)
        self._finished(job)

    def _drop(self, job, reason, sentence):
        del self._waiting[id(job.work)]
        self._scheduler.withdraw(job.work)
        self._dropped(job, reason, sentence)


def _nothing():
    pass
