"""What an executor can take, and when: its half of the one decision from camera to result."""

from __future__ import annotations

import dataclasses
from typing import Mapping, Tuple

from s3dnn_ros.base.limits import LONGEST_NAME
from s3dnn_ros.errors import shown

# A front end that knows so well when its next batch would start needs no new word of it; the
# second is a part of what a run takes.
START_TOLERANCE_S = 0.001
START_TOLERANCE = 0.1
# No executor tells more, or of longer times; what does is no capacity.
MOST_INSTANCES = 256
MOST_ITEMS = 1024
LONGEST_S = 1e6


@dataclasses.dataclass(frozen=True)
class InstanceCapacity:
    """What an executor tells of one instance; the fields of InstanceCapacity.msg.

    Attributes
    ----------
    instance : str
    model : str
        As the executor's parameter names it; empty: not told.
    description : int
        The fingerprint of its ModelSpec.
    priority : int
    wait_s : float
        Until a batch that is handed over now would start.
    run_s : tuple of float
        What a run with 1, 2, … images takes; empty: unknown yet.
    measured : tuple of bool
        Which of these were measured, and are no estimate from another size.
    margin_s : float
        What few runs of one image take longer than that.
    handover_s : float
        From the front end to the executor.
    finish_s : float
        From the end of a run to the publication of its results.
    results_s : float
        Between the results of two batches, where the threads that make them are the limit.
    taken : mapping of int to int
        By the front end's `epoch`: the newest of its batches that is here.
    in_time : mapping of str to float
        By camera: the part of its last frames here that were in time.
    largest : int
        Most frames of a batch; 0: not told.

    """

    instance: str
    model: str = ''
    description: int = 0
    priority: int = 0
    wait_s: float = 0.0
    run_s: Tuple[float, ...] = ()
    measured: Tuple[bool, ...] = ()
    margin_s: float = 0.0
    handover_s: float = 0.0
    finish_s: float = 0.0
    results_s: float = 0.0
    taken: Mapping[int, int] = dataclasses.field(default_factory=dict)
    in_time: Mapping[str, float] = dataclasses.field(default_factory=dict)
    largest: int = 0

    def follows(self, told: 'InstanceCapacity', since_s) -> bool:
        """Tell whether front ends know this from what they were told `since_s` ago.

        What was learned of the last run goes with what is told of the next one's start.
        """
        if not (self.run_s and told.run_s):
            return self == told
        early_s = max(0.0, told.wait_s - since_s) - self.wait_s
        return (abs(early_s) <= min(START_TOLERANCE_S, START_TOLERANCE * told.run_s[0])
                and self.taken == told.taken and self._identity() == told._identity())

    def objection(self) -> str:
        """Return why this cannot be what an executor tells, or an empty string."""
        times_s = (self.wait_s, self.margin_s, self.handover_s, self.finish_s, self.results_s,
                   *self.run_s)
        if max(map(len, (self.instance, self.model, *self.in_time))) > LONGEST_NAME:
            return f'has names of more than {LONGEST_NAME} letters'
        if max(map(len, (self.run_s, self.taken, self.in_time))) > MOST_ITEMS:
            return f'has lists of more than {MOST_ITEMS} items'
        if not all(-LONGEST_S <= time_s <= LONGEST_S for time_s in times_s):
            return 'has times that nothing takes'
        if min(self.run_s, default=1.0) <= 0.0:
            return 'has runs that take no time'
        if self.run_s and len(self.measured) not in (0, len(self.run_s)):
            return 'says of other runs that they were measured than it tells'
        if not all(0.0 <= part <= 1.0 for part in self.in_time.values()):
            return 'has parts of frames that are none'
        return ''

    def _identity(self):
        return (self.instance, self.model, self.description, self.priority, self.measured,
                self.largest)


@dataclasses.dataclass(frozen=True)
class Capacity:
    """What an executor tells of itself; the fields of Capacity.msg.

    Attributes
    ----------
    process : str
        Another one after a restart.
    serial : bool
        Its device runs one batch after the other, of whatever instance.
    drops_late : bool
        Batches that cannot be in time are given up (`late_policy: drop`).
    instances : tuple of InstanceCapacity
        None for an executor that takes nothing any more.

    """

    process: str
    serial: bool
    drops_late: bool
    instances: Tuple[InstanceCapacity, ...]

    def objection(self) -> str:
        """Return a sentence on why no executor can have told this, or an empty one."""
        if len(self.process) > LONGEST_NAME or len(self.instances) > MOST_INSTANCES:
            reason = f'has too long a name, or more than {MOST_INSTANCES} instances'
        else:
            reason = next((f'{reason} for instance {shown(item.instance)}' for item, reason in (
                (item, item.objection()) for item in self.instances) if reason), '')
        return reason and (f'the capacity of process {shown(self.process)} {reason}; see who '
                           'publishes it')

    def follows(self, told: 'Capacity', since_s) -> bool:
        """Tell whether front ends know this from what they were told `since_s` ago."""
        return ((self.process, self.serial, self.drops_late, len(self.instances))
                == (told.process, told.serial, told.drops_late, len(told.instances))
                and all(item.follows(before, since_s)
                        for item, before in zip(self.instances, told.instances)))
