"""The runtime's loop: schedule → submit → complete.

One thread of our own runs it. Arrivals and completions come from other threads
through one inbox; everything that decides happens here, in order.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import queue
import threading
import time
from typing import Callable, Dict, List, Sequence

from s3dnn_ros.engines.base import Engine, Run
from s3dnn_ros.runtime.clock import sharpen_timers
from s3dnn_ros.runtime.instance import Job, Request


class Loop:
    """Runs requests on an engine in the order a scheduler decides.

    Parameters
    ----------
    scheduler : Scheduler
    engine : Engine
    clock : Clock
    finished : callable
        Called in the loop's thread with every job whose last segment ended, well or not.
    dropped : callable
        Called in the loop's thread with (request, reason, sentence) for every request
        that will not run.
    report : callable
        Called with a sentence when something failed that nobody answers for.

    """

    def __init__(self, scheduler, engine: Engine, clock, finished: Callable[[Job], None],
                 dropped: Callable[[Request, str, str], None], report: Callable[[str], None], *,
                 max_queue=32, late_policy='run', fuse=True, max_batch=8):
        self.max_queue = max_queue
        self.late_policy = late_policy
        self.fuse = fuse
        self.max_batch = max_batch
        self.busy_s = 0.0       # how long something ran
        self._scheduler = scheduler
        self._engine = engine
        self._clock = clock
        self._finished = finished
        self._dropped = dropped
        self._report = report
        self._inbox: queue.SimpleQueue = queue.SimpleQueue()
        self._waiting: Dict[int, Request] = {}     # by id, oldest first: those not started
        self._queued: Dict[int, Job] = {}          # by id of their work in the scheduler
        self._running: Dict[int, Job] = {}         # by id of their work on the device
        self._started = 0                          # jobs with a lane
        self._changed = set()                      # lines with new requests or a free lane
        self._busy_since_s = 0.0
        self._stopping = False
        self._closed = False
        self._door = threading.Lock()          # admitted before the end, or refused
        self._thread = threading.Thread(target=self._run, name='s3dnn-loop', daemon=True)

    def start(self):
        """Start the thread."""
        self._thread.start()

    def admit(self, request: Request):
        """Hand a request over; any thread. After the end it is dropped at once."""
        with self._door:
            if not self._closed:
                self._inbox.put(functools.partial(self._arrive, request))
                return
        self._dropped(request, 'shutdown', '')

    def stop(self):
        """Drop what waits, wait for what runs, and end the thread."""
        self._inbox.put(self._stop)
        self._thread.join()

    def cpu_s(self) -> float:
        """Return the CPU seconds that the loop's thread has used."""
        return time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))

    def _run(self):
        sharpen_timers()
        while self._started or not self._stopping:
            try:
                self._listen()
                self._schedule()
                self._submit()
                self._keep_bound()
                if self._stopping:
                    self._drop_waiting()
            except Exception as error:
                # without its thread the node would look alive and do nothing
                self._report(f'the runtime loop failed: {error!r}; please report this')
        with self._door:
            self._closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._inbox.get_nowait()()

    def _listen(self):
        """Wait for arrivals and completions, or until the scheduler wants to be asked again."""
        wake_s = self._scheduler.next_wake_s(self._clock.now_s())
        while True:
            wait_s = None if wake_s is None else max(0.0, wake_s - self._clock.now_s())
            poll_s = self._engine.poll_s if self._running else None
            looking = poll_s is not None and (wait_s is None or poll_s < wait_s)
            if self._running:
                self._engine.poll()
            try:
                event = self._inbox.get(timeout=poll_s if looking else wait_s)
            except queue.Empty:
                if looking:
                    continue
                return
            break
        event()
        with contextlib.suppress(queue.Empty):
            while True:
                self._inbox.get_nowait()()

    def _arrive(self, request):
        if self._stopping:
            self._dropped(request, 'shutdown', '')
            return
        request.instance.line.put(request)
        self._changed.add(request.instance.line)
        self._waiting[id(request)] = request

    def _schedule(self):
        """Make jobs of what waits, and hand them to the scheduler."""
        now_s = self._clock.now_s()
        while self._changed:
            line = self._changed.pop()
            # what a batch costs that never ran, nobody knows: without a profile none is made
            fuse = self.fuse and line.expect.profiled
            if fuse:
                self._refill(line, now_s)
            while line.ready(fuse):
                job = Job(line, line.take(now_s, fuse, self.max_batch))
                line.pending.append(job)
                try:
                    self._enqueue(job, 0, now_s)
                except Exception as error:
                    # a job that nobody knows of would keep its requests for ever
                    self._take_lane(job)
                    job.error = str(error) or repr(error)
                    self._finish(job)

    def _refill(self, line, now_s):
        """Let what waits for its start take in what arrived since."""
        for job in list(line.pending):
            # one that stays as it is keeps its place with the scheduler
            if line.choose(now_s, True, self.max_batch, job.requests) != job.requests:
                self._dissolve(job)

    def _submit(self):
        """Start what the scheduler chooses, until it chooses nothing."""
        while True:
            now_s = self._clock.now_s()
            chosen = self._scheduler.dequeue(now_s).submit
            if not chosen:
                return
            for work in chosen:
                job = self._queued.pop(id(work))
                if job.flight is None and self._sort_out_late(job, now_s):
                    self._scheduler.complete(work, now_s)
                else:
                    self._start(job, work, now_s)
            self._schedule()

    def _keep_bound(self):
        """Drop the oldest of too many that wait, now that all have started that could."""
        if len(self._waiting) <= self.max_queue:
            return
        while len(self._waiting) > self.max_queue:
            self._drop(next(iter(self._waiting.values())), 'queue',
                       f'more than max_queue ({self.max_queue}) batches waited')
        self._schedule()
        self._submit()

    def _sort_out_late(self, job, now_s):
        """Drop what is too late to start, if that is the policy; the others wait again."""
        late = [request for request in job.requests
                if self.late_policy == 'drop' and job.line.is_late(request, now_s)]
        if late:
            job.line.pending.remove(job)
            job.line.put_back(job.requests)
            for request in late:
                self._drop(request, 'late', 'the deadline could not be met any more when the '
                           'batch was to start')
        return bool(late)

    def _start(self, job, work, now_s):
        if not self._running:
            self._busy_since_s = now_s
        self._running[id(work)] = job
        whole = self._scheduler.whole_networks
        last = job.line.network.segments - 1 if whole else work.segment
        runs: List[Run] = []
        ended = itertools.count(work.segment)   # whoever ends the last one tells

        def done(run):
            runs.append(run)
            if next(ended) == last:
                self._inbox.put(functools.partial(self._complete, job, work, runs))

        segment = work.segment
        try:
            if job.flight is None:
                self._take_lane(job)
                job.network = job.line.network
                job.flight = job.network.open([request.staged for request in job.requests])
            while segment <= last:
                job.flight.submit(segment, done)
                segment += 1
        except Exception as error:
            # an engine may refuse anything, and each in its own way; what it took still runs
            for _ in range(segment, last + 1):
                done(Run(now_s, now_s, str(error) or repr(error)))

    def _take_lane(self, job):
        """Take a lane; from here on no request of the job can be dropped."""
        self._started += 1
        job.line.pending.remove(job)
        job.line.lanes_taken += 1
        self._changed.add(job.line)
        for request in job.requests:
            del self._waiting[id(request)]

    def _complete(self, job, work, runs: Sequence[Run]):
        """Go on with the segment behind those that ran, or finish the job."""
        now_s = self._clock.now_s()
        del self._running[id(work)]
        self.busy_s += now_s - self._busy_since_s
        self._busy_since_s = now_s
        self._scheduler.complete(work, now_s)
        if work.segment == 0:
            job.started_s = runs[0].started_s
        job.ended_s = runs[-1].ended_s
        job.error = next((run.error for run in runs if run.error), '')
        try:
            if not job.error and self._goes_on(job, work, runs, now_s):
                return
        except Exception as error:
            job.error = str(error) or repr(error)
        self._finish(job)

    def _goes_on(self, job, work, runs, now_s):
        """Learn from what went well; tell whether the job waits for its next segment now."""
        job.line.observe(job, work.segment, runs)
        if work.segment + len(runs) == job.line.network.segments:
            return False
        job.late = self._is_hopeless(job, work, now_s)
        if not job.late:
            self._enqueue(job, work.segment + len(runs), now_s)
        return not job.late

    def _is_hopeless(self, job, work, now_s):
        """Tell whether what is left of a job can answer no request in time, and may be dropped."""
        return self.late_policy == 'drop' and all(
            now_s + work.successor.remaining_s > request.deadline_s for request in job.requests)

    def _finish(self, job):
        try:
            if job.flight is not None:
                with contextlib.closing(job.flight):
                    if not job.error and not job.late:
                        job.outputs = job.flight.outputs()
        except Exception as error:
            job.error = job.error or str(error) or repr(error)
        self._started -= 1
        job.line.lanes_taken -= 1
        self._changed.add(job.line)
        if not job.late:
            try:
                self._finished(job)
            except Exception as error:
                # raised further, it would keep those that wait from the lane that is free now
                self._report(f'a batch ended, and then: {error!r}; please report this')
            return
        for request in job.requests:
            self._dropped(request, 'late', 'the deadline could not be met any more when a segment '
                          'had ended')

    def _enqueue(self, job, segment, now_s):
        work = job.next_work(segment)
        self._scheduler.enqueue(work, now_s)
        self._queued[id(work)] = job

    def _dissolve(self, job):
        """Take a job that has not started back; its requests wait again."""
        self._scheduler.withdraw(job.work)
        del self._queued[id(job.work)]
        job.line.pending.remove(job)
        job.line.put_back(job.requests)

    def _drop(self, request, reason, sentence):
        line = request.instance.line
        for job in list(line.pending):
            if request in job.requests:
                self._dissolve(job)
        line.remove(request)
        self._changed.add(line)
        del self._waiting[id(request)]
        self._dropped(request, reason, sentence)

    def _stop(self):
        self._stopping = True

    def _drop_waiting(self):
        for request in list(self._waiting.values()):
            self._drop(request, 'shutdown', '')
