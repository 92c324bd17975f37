"""The runtime's core: take events in → schedule → submit → complete.

It has no thread, lock, queue or clock. Whoever drives it posts events and steps it: a thread of
its own (`driver.py`), or virtual time (`virtual_driver.py`).
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import math
from typing import Callable, Deque, Dict, List, Optional

from s3dnn_ros.engines.base import Engine, Run
from s3dnn_ros.runtime.admission import Load
from s3dnn_ros.runtime.events import (
    DEFAULTS,
    Arrival,
    ConfigurationChanged,
    HoldingChanged,
    LoadWanted,
    Parameters,
    ParametersChanged,
    SegmentEnded,
    Stopping,
    ThresholdChanged,
)
from s3dnn_ros.runtime.job import Job, Request
from s3dnn_ros.runtime.load_report import LoadReport
from s3dnn_ros.runtime.model_queue import ModelQueue
from s3dnn_ros.runtime.progress_watch import ProgressWatch, sentence_of
from s3dnn_ros.runtime.recorder import Recorder, Stage
from s3dnn_ros.runtime.segment_ends import SegmentEnds
from s3dnn_ros.runtime.variant_chooser import EXACT, VariantChooser

# A start is told so much later: the engine's thread needs the interpreter first.
START_TOLD_S = 0.0005
# Something that only waits is told so much later: mostly there is something else to tell by then.
ARRIVAL_TOLD_S = 0.01


class Core:
    """Runs requests on an engine in the order a scheduler decides.

    Not thread-safe: all calls come from whoever drives it.

    Parameters
    ----------
    scheduler : Scheduler
    engine : Engine
    finished : callable
        Called with every job whose last segment ended, well or not.
    dropped : callable
        Called with (request, reason, sentence) for every request that will not run.
    report : callable
        Called with a sentence when something failed that nobody answers for.
    parameters : Parameters
    chooser : VariantChooser
        Chooses the variant of every segment.
    tell : callable, optional
        Called with all that has started or waits, the time, and whether it must be told, when
        that has changed; see `LoadReport`.

    Attributes
    ----------
    notify : callable
        Called with the events of the engine, in its threads: `post`, unless a driver sets what
        brings them to its own thread.
    recorder : Recorder
        Knows what became of every request, and for how long something ran.
    step_s : float
        What the last step took; the driver tells it.

    """

    def __init__(self, scheduler, engine: Engine, finished: Callable[[Job], None],
                 dropped: Callable[[Request, str, str], None], report: Callable[[str], None],
                 parameters: Parameters = DEFAULTS, chooser: VariantChooser = EXACT,
                 tell: Optional[Callable[[List[Load], float, bool], bool]] = None,
                 recorder: Optional[Recorder] = None):
        self.recorder = recorder or Recorder()
        self.chooser = chooser
        self.notify: Callable = self.post
        self.step_s = 0.0
        self._scheduler = scheduler
        self._last_level = engine.levels - 1
        self._finished = finished
        self._dropped = dropped
        self._report = report
        self._parameters = parameters
        self._load_report = LoadReport(tell)
        self._events: Deque = collections.deque()
        self._handlers = {
            Arrival: self._arrive,
            SegmentEnded: self._complete,
            ConfigurationChanged: self._reckon_ends,
            ParametersChanged: self._change,
            LoadWanted: self._want_load,
            HoldingChanged: self._change_holding,
            ThresholdChanged: self._change_threshold,
            Stopping: self._stop,
        }
        self._waiting: Dict[int, Request] = {}     # by id, oldest first: those not started
        self._queued: Dict[int, Job] = {}          # by id of their work in the scheduler
        self._running: Dict[int, Job] = {}         # by id of their work on the device
        self._watch = ProgressWatch() if engine.gated else None
        self._ends = SegmentEnds(engine.lead_s, scheduler.whole_networks, scheduler.holds,
                                 lambda: engine.poll_s is not None)
        self._started: Dict[int, Job] = {}         # by id: jobs with a lane
        self._changed: Dict[ModelQueue, None] = {}       # queues with new requests or a free lane
        self._ended: Deque[Job] = collections.deque()           # to be handed on behind the step
        self._holding_changed: List[Callable[[], None]] = []    # to be called behind it, too
        self._stopping = False

    def post(self, event):
        """Add an event for the next step."""
        self._events.append(event)

    def step(self, now_s) -> Optional[float]:
        """Take the events in, and start what the scheduler chooses, until it chooses nothing.

        Returns when to step again though no event comes; None: never.
        """
        self._ends.settle(self.step_s)
        if self._scheduler.holds:
            self._scheduler.carried_out(self.step_s)
        while self._events:
            event = self._events.popleft()
            self._handlers[type(event)](event, now_s)
        if self._watch is not None and self._watch.due(now_s):
            self._give_up_standing(now_s)
        near_s = self._ends.near_s
        if near_s is not None and near_s <= now_s:
            self._foresee(now_s)
        self._schedule(now_s)
        while self._submit(now_s):
            # who holds jobs has decided about all that there are
            if not self._schedule(now_s) and self._scheduler.holds:
                break
        self._hand_on()
        if self._keep_bound():
            return now_s
        if self._stopping:
            self._drop_waiting()
        while self._holding_changed:
            self._holding_changed.pop()()
        self._load_report.tell(self._started.values(), self._waiting.values(), now_s)
        return self.wake_s(now_s)

    @property
    def has_events(self) -> bool:
        """Tell whether there is something to take in."""
        return bool(self._events)

    @property
    def has_stopped(self) -> bool:
        """Tell whether all has ended that was to be ended by `Stopping`."""
        return self._stopping and not self._started

    @property
    def look_s(self) -> Optional[float]:
        """Return from when on something may have ended that runs; None while nothing does."""
        return min((job.look_s for job in self._running.values()), default=None)

    def wake_s(self, now_s) -> Optional[float]:
        """Return when to step though no event comes; None: never."""
        first_s: Optional[float] = None
        for wake_s in (self._scheduler.next_wake_s(now_s), self._load_report.due_s,
                       self._ends.near_s, self._watch and self._watch.due_s):
            if wake_s is not None and (first_s is None or wake_s < first_s):
                first_s = wake_s
        return first_s

    # taking in

    def _arrive(self, event, now_s):
        request = event.request
        self.recorder.stamp(Stage.STAGED, request, now_s)
        if self._stopping:
            self._dropped(request, 'shutdown', '')
            return
        request.instance.queue.put(request)
        self._changed[request.instance.queue] = None
        self._waiting[id(request)] = request
        self._load_report.changed(now_s + ARRIVAL_TOLD_S)

    def _reckon_ends(self, _, now_s):
        """Expect the end of what runs earlier, if the device is faster now."""
        for job in dict.fromkeys(self._running.values()):
            self._ends.reckon(job)

    def _change(self, event, _):
        self._parameters = event.parameters

    def _want_load(self, _, now_s):
        self._load_report.ask(now_s)

    def _change_holding(self, event, _):
        if self._scheduler.holds:
            self._scheduler.allow_holding(event.allowed)
        self._holding_changed.append(event.done)

    def _change_threshold(self, event, _):
        self._scheduler.threshold = event.threshold

    def _stop(self, *_):
        self._stopping = True

    # scheduling

    def _foresee(self, now_s):
        """Tell the scheduler of segments that are nearly over.

        What it chooses then is behind them when they end, and the device does not stand still
        in between.
        """
        for job, work in self._ends.nearly_over(now_s, self._running):
            self._ends.hand_over(job, work, now_s)
            self._try(job, self._go_on, job, work, work.segment, now_s)
            # a batch that starts now was chosen when its last request came: look at it again
            self._changed.update((other.queue, None) for other in self._queued.values()
                                 if other.flight is None)

    def _schedule(self, now_s) -> bool:
        """Make jobs of what waits, and hand them to the scheduler; tell whether there are any."""
        has_news = False
        while self._changed:
            queue = next(iter(self._changed))
            del self._changed[queue]
            # what a batch costs that never ran, nobody knows: without a profile none is made
            fuse = self._parameters.fusion and queue.expect.profiled
            if fuse:
                self._refill(queue, now_s)
            if self._parameters.late_policy == 'drop' and queue.ready(fuse):
                self._drop_late(queue, now_s)
            while queue.ready(fuse):
                job = Job(queue, queue.take(now_s, fuse, self._parameters.max_batch))
                queue.pending.append(job)
                has_news = True
                self._try(job, self._enqueue, job, now_s)
                if job.error:
                    # a job that nobody knows of would keep its requests for ever
                    self._take_lane(job, now_s)
                    self._finish(job, now_s)
        return has_news

    def _refill(self, queue, now_s):
        """Let what waits for its start take in what arrived since."""
        for job in list(queue.pending):
            # one that stays as it is keeps its place with the scheduler
            if queue.choose(now_s, True, self._parameters.max_batch,
                            job.requests) != job.requests:
                self._dissolve(job)

    def _enqueue(self, job, now_s):
        work = job.next_work()
        if job.flight is not None:
            # that of the first segment is chosen when it starts
            work = job.run_as(self.chooser.choose(job, work.segment, now_s))
        self._scheduler.enqueue(work, now_s)
        self._queued[id(work)] = job

    def _dissolve(self, job):
        """Take a job that has not started back; its requests wait again."""
        self._scheduler.withdraw(job.work)
        del self._queued[id(job.work)]
        job.queue.pending.remove(job)
        job.queue.put_back(job.requests)

    # submitting

    def _submit(self, now_s) -> bool:
        """Start what the scheduler chooses; tell whether it may choose more."""
        if self._scheduler.holds and (self._queued or any(
                job.is_held for job in self._running.values())):
            self._tell_progress(now_s)
        chosen = self._scheduler.dequeue(now_s)
        if chosen.empty:
            return False
        for work in chosen.hold:
            self._hold(self._running[id(work)])
        for work in chosen.resume:
            self._resume(self._running[id(work)], work, now_s)
        has_news = bool(chosen.submit)
        for work, level in zip(chosen.submit, chosen.levels or itertools.repeat(0)):
            job = self._queued[id(work)]
            if job.flight is not None or not self._sort_out_late(job, now_s, submitted=True):
                del self._queued[id(work)]
                job.level = min(level, self._last_level)
                self._start(job, work, now_s)
        for work in chosen.late:
            has_news |= self._sort_out_late(self._queued[id(work)], now_s, submitted=False)
        for work in chosen.refuse:
            has_news |= self._refuse(self._queued[id(work)])
        return has_news and bool(self._queued or self._waiting)

    def _tell_progress(self, now_s):
        """Tell the scheduler how far all is that runs or is held."""
        for job in self._running.values():
            reached = None if job.flight is None else job.flight.progress()
            if reached is not None:
                self._scheduler.reached(job.work, reached, now_s)

    def _sort_out_late(self, job, now_s, submitted):
        """Drop what is too late to start, if that is the policy; the others wait again.

        `submitted` says whether the scheduler has given the job out.
        """
        if self._parameters.late_policy != 'drop':
            return False
        late = [request for request in job.requests if job.queue.is_late(request, now_s)]
        if late:
            if submitted:
                self._scheduler.complete(job.work, now_s)
            else:
                self._scheduler.withdraw(job.work)
            del self._queued[id(job.work)]
            job.queue.pending.remove(job)
            job.queue.put_back(job.requests)
            for request in late:
                job.queue.gave_up(request, now_s)
                self._drop(request, 'late', 'the deadline could not be met any more when the '
                           'batch was to start')
        return bool(late)

    def _refuse(self, job) -> bool:
        """Drop the most urgent request of a job that was refused, if it may be dropped.

        The others wait again. Tells whether it was dropped.
        """
        request = job.urgent
        if self._parameters.late_policy != 'drop' or request.run_late or job.flight is not None:
            return False
        self._drop(request, 'late', 'the scheduler did not expect it to be in time')
        return True

    def _hold(self, job):
        """Stop a job behind the segment that runs; not one that could not be started."""
        if job.flight is not None:
            job.held = job.is_held = True
            if job.flight.hold():
                job.look_s = math.inf

    def _resume(self, job, work, now_s):
        if job.flight is not None:
            job.is_held = False
            job.flight.resume()
            self._ends.expect(job, work, now_s)

    def _start(self, job, work, now_s):
        self._running[id(work)] = job
        alone = not job.under_way
        job.under_way += 1

        def done(run):
            self.notify(SegmentEnded(job, work, run))

        try:
            if job.flight is None:
                self._take_lane(job, now_s)
                job.network = job.queue.network
                job.flight = job.network.open([request.staged for request in job.requests],
                                              job.urgent.deadline_s)
                job.take(self.chooser.choose(job, 0, now_s), 0)
            job.flight.submit(work.segment, done, job.level, job.variant(work.segment),
                              self._last_of(job, work))
        except Exception as error:
            # an engine may refuse anything, and each in its own way
            done(Run(now_s, now_s, str(error) or repr(error)))
        else:
            # the device has its work first; whatever fails here, the job ends when that has ended
            if alone:
                self._try(job, self._ends.expect, job, work, now_s)
        self._stamp(Stage.SUBMITTED, job, now_s, work.segment)

    def _last_of(self, job, work) -> int:
        """Return the last segment that runs without a decision behind the first, `work`."""
        whole = self._scheduler.whole_networks
        return job.queue.network.segments - 1 if whole else work.segment

    def _take_lane(self, job, now_s):
        """Take a lane; from here on no request of the job can be dropped."""
        self._started[id(job)] = job
        self._load_report.changed(now_s + START_TOLD_S)
        job.queue.pending.remove(job)
        job.queue.lanes_taken += 1
        self._changed[job.queue] = None
        for request in job.requests:
            del self._waiting[id(request)]

    # completing

    def _complete(self, event, now_s):
        """Go on with the segment behind those that ran, or finish the job."""
        job, work, run = event.job, event.work, event.run
        last = self._last_of(job, work)
        if self._running.pop(id(work), None) is None:
            return      # it was given up before, because it stood still
        job.under_way -= 1
        self._stamp(Stage.ENDED, job, now_s, work.segment)
        if work.segment == 0:
            job.started_s = run.started_s
        job.error = job.error or run.error
        if run.exact:
            job.ran_exact(work.segment)
        job.units, job.untypical = run.units, run.untypical
        if not (job.error or job.held or job.untypical):
            self._try(job, job.queue.observe, job, work.segment, last, run)
        job.ended_s = run.ended_s
        if job.nearly_over is work:
            self._ends.heard(job, now_s)
        else:
            self._try(job, self._go_on, job, work, last, now_s)
        if job.error and self._queued.pop(id(job.work), None):
            self._scheduler.withdraw(job.work)
        # one given up before a segment's end may still fail in it
        job.late = job.late and not job.error
        if job.under_way:
            if not job.error:
                self._ends.expect(job, job.work, now_s)
        elif id(job.work) not in self._queued:
            self._finish(job, now_s)

    def _go_on(self, job, work, last, now_s):
        """Make room for others; hand over what is behind the last segment, if it is worth it."""
        self._scheduler.complete(work, now_s)
        if job.error or last + 1 >= job.queue.network.segments:
            return
        if self._is_hopeless(job, work, now_s):
            job.late = True
        else:
            self._enqueue(job, now_s)

    def _is_hopeless(self, job, work, now_s):
        """Tell whether what is left of a job can answer no request in time, and may be dropped."""
        if self._parameters.late_policy != 'drop':
            return False
        left_s = job.queue.expect.least_left_s(work.segment + 1, job.batch)
        return all(now_s + left_s > request.deadline_s and not request.run_late
                   for request in job.requests)

    def _give_up_standing(self, now_s):
        """End jobs that make no progress with an error; their lanes are lost."""
        for job in self._watch.standing(dict.fromkeys(self._running.values()), now_s):
            job.error = sentence_of(job, now_s)
            if self._queued.pop(id(job.work), None):
                self._scheduler.withdraw(job.work)
            elif job.nearly_over is not job.work:
                self._scheduler.complete(job.work, now_s)
            self._running = {work: other for work, other in self._running.items()
                             if other is not job}
            job.flight.abandon()
            job.flight = None
            self._finish(job, now_s)

    def _finish(self, job, now_s):
        try:
            if job.flight is not None:
                with contextlib.closing(job.flight):
                    if not job.error and not job.late:
                        job.outputs = job.flight.outputs()
        except Exception as error:
            job.error = job.error or str(error) or repr(error)
        if job.flight is not None and not job.late:
            self._stamp(Stage.FINISHED, job, now_s)
        if job.choices:
            self._try(job, self.chooser.ended, job, now_s)
        del self._started[id(job)]
        self._load_report.changed(now_s)
        job.queue.lanes_taken -= 1
        self._changed[job.queue] = None
        if job.late:
            for request in job.requests:
                self._dropped(request, 'late', 'the deadline could not be met any more when a '
                              'segment had ended')
            return
        self._ended.append(job)
        if job.error:
            # nothing is to start on a network that has to be loaded anew
            self._hand_on()

    def _hand_on(self):
        """Hand on the jobs that ended in this step, now that the device has work again."""
        while self._ended:
            try:
                self._finished(self._ended.popleft())
            except Exception as error:
                # the others are to be handed on all the same
                self._report(f'a batch ended, and then: {error!r}; please report this')

    def _stamp(self, stage, job, now_s, segment=0):
        for request in job.requests:
            self.recorder.stamp(stage, request, now_s, segment, job.frames)

    @staticmethod
    def _try(job, step, *arguments):
        """Do what may fail in its own way; then the job ends with that error."""
        try:
            step(*arguments)
        except Exception as error:
            job.error = str(error) or repr(error)

    # dropping

    def _keep_bound(self) -> bool:
        """Drop the oldest of too many that wait, now that all have started that could.

        Tells whether it dropped any.
        """
        max_queue = self._parameters.max_queue
        too_many = len(self._waiting) > max_queue
        while len(self._waiting) > max_queue:
            self._drop(next(iter(self._waiting.values())), 'queue',
                       f'more than max_queue ({max_queue}) batches waited')
        return too_many

    def _drop_late(self, queue, now_s):
        """Drop what waits and is late already, before anything is made of it.

        A host that cannot keep up has no time to make jobs of what nobody can answer in time.
        """
        for request in queue.late(now_s):
            queue.gave_up(request, now_s)
            del self._waiting[id(request)]
            self._dropped(request, 'late', 'the deadline could not be met any more, as it waited '
                          'for others')

    def _drop_waiting(self):
        for request in list(self._waiting.values()):
            self._drop(request, 'shutdown', '')

    def _drop(self, request, reason, sentence):
        queue = request.instance.queue
        for job in list(queue.pending):
            if request in job.requests:
                self._dissolve(job)
        queue.remove(request)
        self._changed[queue] = None
        del self._waiting[id(request)]
        self._dropped(request, reason, sentence)
