"""When executors can take the next batch, and when its results would be there.

Executors tell their `Capacity` when it changes. What was sent since, and is not in what they
told yet, is added here. Knows no ROS; one thread owns it. Times are seconds on one clock.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import Deque, Dict, List, Mapping, Optional, Tuple

from s3dnn_ros.capacity import Capacity, InstanceCapacity
from s3dnn_ros.recent import RecentTimes

# A batch that an executor does not know of for so long, although it has told its capacity since,
# was lost on the way. Executors tell it four times a second.
LOST_S = 0.3
# An executor that tells nothing for so long is reported.
SILENT_S = 3.0
# Of each instance, so many processes that had it before are remembered. If all of them had it in
# this time, no other one gets it: executors do not start so often.
MOST_FORMER = 8
FLOOD_S = 10.0


@dataclasses.dataclass(frozen=True)
class Sent:
    """A batch that its executor has not told of yet."""

    instance: str
    sequence: int
    run_s: float
    sent_s: float


class _Executor:
    """What one executor process told last, and what is on its way there."""

    def __init__(self, process):
        self.process = process
        self.on_the_way: List[Sent] = []
        self.heard_s = 0.0

    def tell(self, capacity: Capacity, epoch, now_s):
        self.serial, self.drops_late = capacity.serial, capacity.drops_late
        self.instances = {item.instance: item for item in capacity.instances}
        self.heard_s = now_s
        self.on_the_way = [
            sent for sent in self.on_the_way
            if sent.instance in self.instances and now_s - sent.sent_s < LOST_S
            and self.instances[sent.instance].taken.get(epoch, -1) < sent.sequence]

    def ahead(self, instance) -> List[Sent]:
        """Return what is on its way and would start before a batch that is sent now."""
        return [sent for sent in self.on_the_way if self.serial or sent.instance == instance]


class Outlook:
    """What all executors can take, as far as one front end knows.

    Parameters
    ----------
    epoch : int
        Of this front end, as it stands in its batches.

    """

    def __init__(self, epoch=0):
        self.epoch = epoch
        self._executors: Dict[str, _Executor] = {}      # by process
        self._process_of: Dict[str, str] = {}           # by instance
        # by instance: processes that another one took over from, and when; and another one that
        # tells of it, and when
        self._former: Dict[str, Deque[Tuple[str, float]]] = {}
        self._rivals: Dict[str, Tuple[str, float]] = {}
        self._preparation: Dict[str, RecentTimes] = {}  # by instance
        # by instance, as they are asked for several times for each frame: `lead_s`, and `time_s`
        # of 1, 2, … frames
        self._leads_s: Dict[str, float] = {}
        self._times_s: Dict[str, Tuple[float, ...]] = {}

    def tell(self, capacity: Capacity, now_s) -> Tuple[str, ...]:
        """Take over what an executor tells; return instances that another process had before.

        What was sent for these to the other process is lost. A process that takes over is taken
        for the successor of one that died. If that one still tells of the instance, it is not
        heard, as long as the other is not silent.
        """
        heard = tuple(item for item in capacity.instances
                      if not self._is_rival(item.instance, capacity.process, now_s))
        if len(heard) < len(capacity.instances):
            capacity = dataclasses.replace(capacity, instances=heard)
        moved = tuple(item.instance for item in capacity.instances
                      if self._process_of.get(item.instance, capacity.process)
                      != capacity.process)
        for instance in moved:
            former = self._former.setdefault(instance, collections.deque(maxlen=MOST_FORMER))
            former.append((self._process_of[instance], now_s))
        executor = self._executors.setdefault(capacity.process, _Executor(capacity.process))
        executor.tell(capacity, self.epoch, now_s)
        gone = [name for name, process in self._process_of.items()
                if process == capacity.process and name not in executor.instances]
        for instance in gone:
            del self._process_of[instance]
        self._process_of.update(dict.fromkeys(executor.instances, capacity.process))
        for process in set(self._executors) - set(self._process_of.values()):
            del self._executors[process]
        for instance in (*gone, *executor.instances):
            self._reckon(instance)
        return moved

    def sent(self, instance, sequence, frames, now_s):
        """Take note of a batch that was just sent."""
        executor = self._executor_of(instance)
        if executor is not None:
            executor.on_the_way.append(
                Sent(instance, sequence, self.run_s(instance, frames) or LOST_S, now_s))

    def prepared(self, instance, took_s):
        """Take note of how long it took to choose, open and fit the frames of a batch."""
        self._preparation.setdefault(instance, RecentTimes()).add(took_s)
        self._reckon(instance)

    def takes(self, instance) -> bool:
        """Tell whether any executor takes batches of this instance."""
        return instance in self._process_of

    def process_of(self, instance) -> str:
        """Return the executor that takes batches of this instance; empty if there is none."""
        return self._process_of.get(instance, '')

    def rival_of(self, instance, now_s) -> str:
        """Return a second process that tells of this instance; empty if there is none."""
        process, heard_s = self._rivals.get(instance, ('', 0.0))
        # it may have taken over meanwhile
        is_rival = process != self.process_of(instance) and now_s - heard_s < SILENT_S
        return process if is_rival else ''

    def silent_s(self, instance, now_s) -> float:
        """Return for how long its executor has told nothing."""
        executor = self._executor_of(instance)
        return now_s - executor.heard_s if executor else 0.0

    def device(self, instance) -> Optional[str]:
        """Return what names the device that runs one batch after the other, if it is shared."""
        executor = self._executor_of(instance)
        return executor.process if executor and executor.serial else None

    def drops_late(self, instance) -> bool:
        """Tell whether frames that cannot be in time are to be given up."""
        executor = self._executor_of(instance)
        return bool(executor and executor.drops_late)

    def largest(self, instance) -> int:
        """Return how many frames its executor takes at most in a batch; 0: it has not told."""
        return self._capacity_of(instance).largest

    def priority(self, instance) -> int:
        """Return the instance's priority."""
        return self._capacity_of(instance).priority

    def opens_s(self, instance, now_s) -> Optional[float]:
        """Return from when on the next batch should be chosen; None: not before more is told.

        It is chosen so early that it arrives when the device is about to be free. While an
        executor has not told of what was sent last, nothing follows unless that is done before
        the next can be there.
        """
        executor = self._executor_of(instance)
        if executor is None:
            return None
        lead_s = self.lead_s(instance)
        ahead = executor.ahead(instance)
        if ahead:
            # the results of one are made while the next is on its way
            results_s = executor.instances[instance].results_s * (len(executor.on_the_way) - 1)
            taken_s = max(sum(sent.run_s for sent in ahead), results_s)
            return now_s if taken_s < lead_s else None
        # simulated time goes back when a bag begins again
        heard_s = min(executor.heard_s, now_s)
        return heard_s + executor.instances[instance].wait_s - lead_s

    def lead_s(self, instance) -> float:
        """Return how long a batch takes from its choice to the executor."""
        return self._leads_s.get(instance, 0.0)

    def time_s(self, instance, frames) -> Optional[float]:
        """Return the time from the choice of a batch to its results on a free device.

        None where it is not known yet.
        """
        times_s = self._times_s.get(instance)
        if not times_s:
            return None
        if frames <= len(times_s):
            return times_s[frames - 1]
        return times_s[-1] + self.run_s(instance, frames) - self.run_s(instance, len(times_s))

    def run_s(self, instance, frames) -> Optional[float]:
        """Return what a run of so many frames takes; None where it is not known yet."""
        run_s = self._capacity_of(instance).run_s
        if not run_s:
            return None
        most = len(run_s)
        return run_s[frames - 1] if frames <= most else run_s[-1] * frames / most

    def margin_s(self, instance) -> float:
        """Return by what few runs exceed `time_s`."""
        return self._capacity_of(instance).margin_s

    def in_time(self, instance) -> Mapping[str, float]:
        """Return by camera what part of its last frames was in time."""
        return self._capacity_of(instance).in_time

    def apart_s(self, instance, frames) -> float:
        """Return what so many frames take in runs of their own, like `time_s`.

        As long as nobody has measured both a run of so many and one of a single frame, fusing
        them is taken to pay.
        """
        measured = self._capacity_of(instance).measured
        if frames > len(measured) or not (measured[0] and measured[frames - 1]):
            return math.inf
        return self.time_s(instance, 1) + (frames - 1) * self.run_s(instance, 1)

    def _reckon(self, instance):
        capacity, preparation = self._capacity_of(instance), self._preparation.get(instance)
        lead_s = (preparation.typical_s if preparation else 0.0) + capacity.handover_s
        self._leads_s[instance] = lead_s
        self._times_s[instance] = tuple(lead_s + run_s + capacity.finish_s
                                        for run_s in capacity.run_s)

    def _is_rival(self, instance, process, now_s):
        """Tell whether an instance is kept from this process by one that has it now."""
        holder = self._executor_of(instance)
        if holder is None or holder.process == process or now_s - holder.heard_s >= SILENT_S:
            return False
        former = self._former.get(instance, ())
        is_flood = len(former) == MOST_FORMER and 0.0 <= now_s - former[0][1] < FLOOD_S
        if not is_flood and process not in (name for name, _ in former):
            return False
        self._rivals[instance] = process, now_s
        return True

    def _executor_of(self, instance) -> Optional[_Executor]:
        return self._executors.get(self._process_of.get(instance, ''))

    def _capacity_of(self, instance) -> InstanceCapacity:
        executor = self._executor_of(instance)
        return executor.instances[instance] if executor else InstanceCapacity(instance)
