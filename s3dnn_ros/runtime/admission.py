"""What an executor tells its front ends: when the device takes the next batch, and for how long.

Front ends keep their frames until then, so that the frame that runs is the newest one.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import Callable, Dict, Iterable, Mapping, Optional, Sequence

from s3dnn_ros.capacity import Capacity, InstanceCapacity
from s3dnn_ros.recent import RecentTimes
from s3dnn_ros.runtime.job import Instance, Request
from s3dnn_ros.runtime.model_queue import ModelQueue
from s3dnn_ros.runtime.subtasks import SubTaskPool

# Front ends and cameras come and go; so many are remembered, of cameras for each instance.
MOST_FRONT_ENDS = 16
MOST_CAMERAS = 64
# What was in time is an average of about so many frames of a camera.
IN_TIME_FRAMES = 16
# A batch that seems to have been longer on its way is of another clock, or does not say when it
# was sent.
MOST_HANDOVER_S = 1.0
# Runs of more images are estimated from the largest that is told.
MOST_SIZES = 8


@dataclasses.dataclass(frozen=True)
class Load:
    """A job that has started, or a request that waits for its start.

    `left_s` is what it still takes, `segment_s` what of that cannot be interrupted: the rest of
    the segment that runs. Both are 0 where nothing is known yet.
    """

    queue: ModelQueue
    priority: int
    deadline_s: float
    left_s: float
    segment_s: float
    started: bool


@dataclasses.dataclass
class _Known:
    """What is known of one instance's requests."""

    handover: RecentTimes = dataclasses.field(default_factory=RecentTimes)
    finish: RecentTimes = dataclasses.field(default_factory=RecentTimes)
    allowance_s: float = 0.0        # from arrival to deadline, of the newest request
    taken: Dict[int, int] = dataclasses.field(default_factory=dict)
    in_time: Dict[str, float] = dataclasses.field(default_factory=dict)     # by camera


class Admission:
    """Collects what is learned of requests and runs, and tells it as a Capacity.

    Parameters
    ----------
    instances : mapping of str to Instance
    serial : bool
        The device runs one batch after the other.
    whole_networks : bool
        Nothing is let in between the segments of a network.
    process : str
        Names this executor, and another one after a restart.
    workers : SubTaskPool
        Makes results of what the device gave.
    tell : callable
        Called in the core's thread with every Capacity; returns at once.

    """

    def __init__(self, instances: Mapping[str, Instance], serial, whole_networks, process,
                 workers: SubTaskPool, tell: Callable[[Capacity], None]):
        self.drops_late = True
        self._instances = instances
        self._serial = serial
        self._whole_networks = whole_networks
        self._process = process
        self._workers = workers
        self._tell = tell
        self._lock = threading.Lock()
        self._told: Optional[Capacity] = None       # and when
        self._told_s = 0.0
        self._known: Dict[str, _Known] = {name: _Known() for name in instances}

    def arrived(self, request: Request):
        """Take note of a request that is here; any thread."""
        batch = request.batch
        with self._lock:
            known = self._known[request.instance.name]
            handover_s = request.arrived_s - batch.sent_s
            if handover_s <= MOST_HANDOVER_S:
                known.handover.add(max(0.0, handover_s))
            known.allowance_s = request.deadline_s - request.arrived_s
            known.taken.pop(batch.epoch, None)
            known.taken[batch.epoch] = batch.sequence
            while len(known.taken) > MOST_FRONT_ENDS:
                del known.taken[next(iter(known.taken))]

    def published(self, instance, took_s):
        """Take note of the time from a run's end to the publication of a result; any thread."""
        self._known[instance].finish.add(took_s)

    def settled(self, instance, camera, in_time):
        """Take note of whether a frame that came here had its result in time; any thread."""
        with self._lock:
            parts = self._known[instance].in_time
            part = parts.pop(camera, 1.0)
            parts[camera] = part + (in_time - part) / IN_TIME_FRAMES
            while len(parts) > MOST_CAMERAS:
                del parts[next(iter(parts))]

    def tell(self, loads: Sequence[Load], now_s, must=True) -> bool:
        """Tell what can be taken now, if it must be or is not what was told; return whether.

        Every message takes time from what runs and from front ends.
        """
        with self._lock:
            capacity = Capacity(self._process, self._serial, self.drops_late, tuple(
                self._instance(name, known, loads, now_s)
                for name, known in self._known.items()))
        if not must and self._told and capacity.follows(self._told, now_s - self._told_s):
            return False
        self._told, self._told_s = capacity, now_s
        self._tell(capacity)
        return True

    def _instance(self, name, known, loads, now_s):
        instance = self._instances[name]
        most = min(MOST_SIZES, instance.queue.network.largest)
        times = [instance.queue.known_run_s(frames) for frames in range(1, most + 1)]
        priority = instance.settings.priority
        # the results of all that is ahead are to be made while this would run
        workers_s = self._workers.wait_s(len(loads)) - times[0][0]
        return InstanceCapacity(
            name, instance.settings.model, instance.spec.fingerprint, priority,
            max(workers_s, self._wait_s(instance, priority, now_s + known.allowance_s, loads)),
            tuple(run_s for run_s, _ in times) if times[0][0] else (),
            tuple(measured for _, measured in times), instance.queue.margin_s(1),
            known.handover.typical_s, known.finish.typical_s, self._workers.each_s,
            dict(known.taken), dict(known.in_time), instance.queue.network.largest)

    def _wait_s(self, instance, priority, deadline_s, loads: Iterable[Load]):
        """Return when a request that came now would start; DERIVED.

        On a serial device it waits for the segment that runs, and for all that comes before it
        by priority and deadline. Elsewhere only its own network's lanes are in its way.
        """
        if not self._serial:
            own = [load for load in loads if load.queue is instance.queue]
            started = sorted(load.left_s for load in own if load.started)
            waiting_s = sum(load.left_s for load in own if not load.started)
            if len(started) < instance.queue.network.lanes:
                return waiting_s
            return started[0] + waiting_s
        wait_s = 0.0
        for load in loads:
            before = self._whole_networks or (
                (-load.priority, load.deadline_s) <= (-priority, deadline_s))
            wait_s += load.left_s if before else load.segment_s
        return wait_s
