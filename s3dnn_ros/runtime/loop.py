"""The runtime's loop: schedule → submit → complete.

One thread of our own runs it. Arrivals and completions come from other threads
through one inbox; everything that decides happens here, in order.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import math
import queue
import threading
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from s3dnn_ros.engines.base import Engine, Run
from s3dnn_ros.runtime.admission import Load
from s3dnn_ros.runtime.busy import BusyTimes
from s3dnn_ros.runtime.clock import sharpen_timers
from s3dnn_ros.runtime.instance import Job, Request
from s3dnn_ros.runtime.lead import Lead
from s3dnn_ros.runtime.line import Line
from s3dnn_ros.runtime.steering import EXACT, Steering
from s3dnn_ros.scheduling import SegmentWork

# Nothing is looked for before this part of its expected time has passed.
EARLIEST_END = 0.9
# The load is told no more often than this, and no less often than that.
LEAST_SILENCE_S = 0.002
MOST_SILENCE_S = 0.25
# Something that only waits is told so much later: mostly there is something else to tell by then.
ARRIVAL_TOLD_S = 0.01


class _End(NamedTuple):
    """When a segment is nearly over, by its expected time."""

    near_s: float
    number: int
    job: Job
    work: SegmentWork


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
    steering : Steering
        Chooses the variant of every segment.
    tell : callable, optional
        Called in the loop's thread with all that has started or waits, and the time, when that
        has changed, and at least every `MOST_SILENCE_S`.

    """

    def __init__(self, scheduler, engine: Engine, clock, finished: Callable[[Job], None],
                 dropped: Callable[[Request, str, str], None], report: Callable[[str], None], *,
                 max_queue=32, late_policy='run', fuse=True, max_batch=8,
                 steering: Steering = EXACT,
                 tell: Optional[Callable[[List[Load], float], None]] = None):
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
        self.steering = steering
        self.tell = tell
        self._inbox: queue.SimpleQueue = queue.SimpleQueue()
        self._waiting: Dict[int, Request] = {}     # by id, oldest first: those not started
        self._queued: Dict[int, Job] = {}          # by id of their work in the scheduler
        self._running: Dict[int, Job] = {}         # by id of their work on the device
        self._ends: List[_End] = []                # of what runs, as a heap
        self._lead = Lead(engine.lead_s)
        self._foretold: List[Job] = []             # what comes behind them is being chosen
        self._numbers = itertools.count()
        self._started: Dict[int, Job] = {}         # by id: jobs with a lane
        self._news_s = math.inf                    # from when on to tell what has changed
        self._told_s = -math.inf
        self._changed: Dict[Line, None] = {}       # lines with new requests or a free lane
        self._busy_since_s = 0.0
        self._busy = BusyTimes()
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

    def look_again(self):
        """Take note that the device takes another time now for what it runs; any thread."""
        self._inbox.put(self._reckon_ends)

    def tell_soon(self):
        """Tell the load although nothing has changed; any thread."""
        self._inbox.put(self._note_news)

    def stop(self):
        """Drop what waits, wait for what runs, and end the thread."""
        self._inbox.put(self._stop)
        self._thread.join()

    def cpu_s(self) -> float:
        """Return the CPU seconds that the loop's thread has used."""
        return time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))

    def busy_s_of_instances(self) -> Dict[str, float]:
        """Return how long each instance that ever ran had work on the device; any thread."""
        return self._busy.until(self._clock.now_s())

    def _run(self):
        sharpen_timers()
        while self._started or not self._stopping:
            try:
                self._listen()
                self._foresee()
                self._schedule()
                self._submit()
                self._note_handed_over()
                self._keep_bound()
                self._tell_load()
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
        """Wait for arrivals and completions, or until there is something to decide again."""
        now_s = self._clock.now_s()
        wake_s = self._scheduler.next_wake_s(now_s)
        if self._ends and (wake_s is None or self._ends[0].near_s < wake_s):
            wake_s = self._ends[0].near_s
        if self.tell is not None:
            wake_s = min(self._tell_s(), math.inf if wake_s is None else wake_s)
        while True:
            wait_s = None if wake_s is None else max(0.0, wake_s - now_s)
            look_s = self._look_s(now_s)
            looking = look_s is not None and (wait_s is None or look_s < wait_s)
            try:
                event = self._inbox.get(timeout=look_s if looking else wait_s)
            except queue.Empty:
                if looking:
                    now_s = self._clock.now_s()
                    continue
                return
            break
        event()
        with contextlib.suppress(queue.Empty):
            while True:
                self._inbox.get_nowait()()

    def _look_s(self, now_s):
        """Look whether anything has ended; return when to look again, None for never."""
        if not self._running or self._engine.poll_s is None:
            return None
        self._engine.poll()
        return max(self._engine.poll_s,
                   min(job.look_s for job in self._running.values()) - now_s)

    def _foresee(self):
        """Tell the scheduler of segments that are nearly over.

        What it chooses then is behind them when they end, and the device does not stand still
        in between. Only the most urgent is told of: the others fill that gap already, and how
        long they take beside it nobody knows.
        """
        now_s = self._clock.now_s()
        while self._ends and self._ends[0].near_s <= now_s:
            job, work = heapq.heappop(self._ends)[2:]
            if id(work) not in self._running or job.foretold is work:
                continue
            first = all(job.level <= other.level for other in self._running.values())
            if first and (work.successor is not None or len(self._running) == 1):
                job.foretold = work
                self._foretold.append(job)
                self._try(job, self._go_on, job, work, 1, now_s)

    def _reckon_ends(self):
        """Expect the end of what runs earlier, if the device is faster now."""
        for job in dict.fromkeys(self._running.values()):
            self._reckon_end(job)

    def _arrive(self, request):
        if self._stopping:
            self._dropped(request, 'shutdown', '')
            return
        request.instance.line.put(request)
        self._changed[request.instance.line] = None
        self._waiting[id(request)] = request
        self._news_s = min(self._news_s, self._clock.now_s() + ARRIVAL_TOLD_S)

    def _schedule(self):
        """Make jobs of what waits, and hand them to the scheduler."""
        now_s = self._clock.now_s()
        while self._changed:
            line = next(iter(self._changed))
            del self._changed[line]
            # what a batch costs that never ran, nobody knows: without a profile none is made
            fuse = self.fuse and line.expect.profiled
            if fuse:
                self._refill(line, now_s)
            while line.ready(fuse):
                job = Job(line, line.take(now_s, fuse, self.max_batch))
                line.pending.append(job)
                self._try(job, self._enqueue, job, now_s)
                if job.error:
                    # a job that nobody knows of would keep its requests for ever
                    self._take_lane(job)
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
            chosen = self._scheduler.dequeue(now_s)
            if not chosen.submit:
                return
            for work, level in zip(chosen.submit, chosen.levels or itertools.repeat(0)):
                job = self._queued.pop(id(work))
                if job.flight is None and self._sort_out_late(job, now_s):
                    self._scheduler.complete(work, now_s)
                else:
                    job.level = level
                    self._start(job, work, now_s)
            self._schedule()

    def _note_handed_over(self):
        """Note when all was submitted that comes behind what is nearly over."""
        if self._foretold:
            now_s = self._clock.now_s()
            while self._foretold:
                self._foretold.pop().handed_over_s = now_s

    def _note_news(self):
        self._news_s = self._clock.now_s()

    def _tell_s(self):
        """Return when the load is to be told next."""
        news_s = self._news_s
        if news_s > self._told_s:       # simulated time may stand still
            news_s = max(news_s, self._told_s + LEAST_SILENCE_S)
        return min(self._told_s + MOST_SILENCE_S, news_s)

    def _tell_load(self):
        """Tell what the device has to do, if that has changed, or was told long ago."""
        if self.tell is None:
            return
        now_s = self._clock.now_s()
        if now_s >= self._tell_s():
            self._told_s, self._news_s = now_s, math.inf
            self.tell(self._loads(now_s), now_s)

    def _loads(self, now_s) -> List[Load]:
        loads = []
        for job in self._started.values():
            left_s, segment_s = job.left_s(now_s)
            loads.append(Load(job.line, job.priority, job.urgent.deadline_s, left_s, segment_s,
                              True))
        for request in self._waiting.values():
            line = request.instance.line
            loads.append(Load(line, request.priority, request.deadline_s,
                              line.told_run_s(request.frames)[0], 0.0, False))
        return loads

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
                job.line.expect.doubt()
                self._drop(request, 'late', 'the deadline could not be met any more when the '
                           'batch was to start')
        return bool(late)

    def _start(self, job, work, now_s):
        if not self._running:
            self._busy_since_s = now_s
        self._running[id(work)] = job
        alone = not job.under_way
        job.under_way += 1
        if alone:
            self._busy.began(job.instances, now_s)
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
                job.take(self.steering.choose(job, 0, now_s), 0)
            if alone:
                self._expect_end(job, work, now_s)
            while segment <= last:
                job.flight.submit(segment, done, job.level, job.variant(segment))
                segment += 1
        except Exception as error:
            # an engine may refuse anything, and each in its own way; what it took still runs
            for _ in range(segment, last + 1):
                done(Run(now_s, now_s, str(error) or repr(error)))

    def _take_lane(self, job):
        """Take a lane; from here on no request of the job can be dropped."""
        self._started[id(job)] = job
        self._note_news()
        job.line.pending.remove(job)
        job.line.lanes_taken += 1
        self._changed[job.line] = None
        for request in job.requests:
            del self._waiting[id(request)]

    def _expect_end(self, job, work, started_s):
        job.expected, job.expected_from_s, job.look_s = work, started_s, math.inf
        self._reckon_end(job)

    def _reckon_end(self, job):
        work = job.expected
        # since the scheduler had it, a variant may have been chosen, or the device been configured
        time_s = job.line.expect.segment_s(work.segment, job.batch) * job.time_factor(work.segment)
        job.look_s = min(job.look_s, job.expected_from_s + EARLIEST_END * time_s)
        if self._lead.seconds and not self._scheduler.whole_networks:
            near_s = job.expected_from_s + time_s - self._lead.seconds
            heapq.heappush(self._ends, _End(near_s, next(self._numbers), job, work))

    def _complete(self, job, work, runs: Sequence[Run]):
        """Go on with the segment behind those that ran, or finish the job."""
        now_s = self._clock.now_s()
        del self._running[id(work)]
        job.under_way -= 1
        self.busy_s += now_s - self._busy_since_s
        self._busy_since_s = now_s
        if not job.under_way:
            self._busy.ended(job.instances, now_s)
        if work.segment == 0:
            job.started_s = runs[0].started_s
        job.error = job.error or next((run.error for run in runs if run.error), '')
        if not job.error:
            self._try(job, job.line.observe, job, work.segment, runs)
        job.ended_s = runs[-1].ended_s
        if job.foretold is work:
            self._lead.learn(now_s - job.handed_over_s)
        else:
            self._try(job, self._go_on, job, work, len(runs), now_s)
        if job.error and self._queued.pop(id(job.work), None):
            self._scheduler.withdraw(job.work)
        # one given up before a segment's end may still fail in it
        job.late = job.late and not job.error
        if job.under_way:
            if not job.error:
                self._expect_end(job, job.work, now_s)
        elif id(job.work) not in self._queued:
            self._finish(job)

    def _go_on(self, job, work, segments, now_s):
        """Make room for others; hand over what is behind so many segments, if it is worth it."""
        self._scheduler.complete(work, now_s)
        if job.error or work.segment + segments >= job.line.network.segments:
            return
        if self._is_hopeless(job, work, now_s):
            job.late = True
        else:
            self._enqueue(job, now_s)

    @staticmethod
    def _try(job, step, *arguments):
        """Do what may fail in its own way; then the job ends with that error."""
        try:
            step(*arguments)
        except Exception as error:
            job.error = str(error) or repr(error)

    def _is_hopeless(self, job, work, now_s):
        """Tell whether what is left of a job can answer no request in time, and may be dropped."""
        if self.late_policy != 'drop':
            return False
        left_s = job.line.expect.least_left_s(work.segment + 1, job.batch)
        return all(now_s + left_s > request.deadline_s and not request.run_late
                   for request in job.requests)

    def _finish(self, job):
        try:
            if job.flight is not None:
                with contextlib.closing(job.flight):
                    if not job.error and not job.late:
                        job.outputs = job.flight.outputs()
        except Exception as error:
            job.error = job.error or str(error) or repr(error)
        if job.choices:
            self._try(job, self.steering.ended, job, self._clock.now_s())
        del self._started[id(job)]
        self._note_news()
        job.line.lanes_taken -= 1
        self._changed[job.line] = None
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

    def _enqueue(self, job, now_s):
        work = job.next_work()
        if job.flight is not None:
            # that of the first segment is chosen when it starts
            work = job.steer(self.steering.choose(job, work.segment, now_s))
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
        self._changed[line] = None
        del self._waiting[id(request)]
        self._dropped(request, reason, sentence)

    def _stop(self):
        self._stopping = True

    def _drop_waiting(self):
        for request in list(self._waiting.values()):
            self._drop(request, 'shutdown', '')
