"""Which waiting frames go into the next batch of an instance, and when.

S3DNN's governor (RTAS 2018, Algorithm 1; the rules here are DERIVED) fuses
frames of one model and shape, as long as the most urgent of them still meets
its deadline and one run costs less than several. Per camera only the newest
frame waits, so that nothing queues without bound.

W(k) is the time from now to the results of one run with k frames, in seconds. A
frame is *lost* when even a run of its own would end after its deadline: now +
W(1) > deadline. One that was lost when it came runs where nobody loses by it. If
that is so of several in a row, their deadline says nothing: the camera is far away,
or the network slow. Then they count as if they had none.
"""

from __future__ import annotations

import dataclasses
from typing import (
    Any,
    Callable,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from s3dnn_ros.scheduling.turns import Need, Turns, all_in_time

# A camera that comes later than its period says is waited for by this part of
# the period, so that jitter does not break its batches apart.
JITTER = 0.1
# A frame whose camera is ahead of its share by more than one waits for that of another
# camera, if it is expected within this part of a run: the device stands still no longer.
HOLD = 0.5
# So many frames of a camera in a row that were lost when they came are more than jitter.
HOPELESS_FRAMES = 3
# A camera whose frames are mostly late has so much of the device for what is in time, not more.
LEAST_CHANCE = 0.5
NEVER = float('inf')


@dataclasses.dataclass(frozen=True)
class WaitingFrame:
    """A frame that waits for a run of an instance; `item` is passed through."""

    camera: str
    deadline_s: float
    ready_s: float
    item: Any


class ExpectedFrame(NamedTuple):
    """The next frame of a camera: it should be ready at `ready_s`, and by `late_s` with jitter."""

    ready_s: float
    late_s: float
    deadline_s: float


def best_batch(deadlines_s: Sequence[float], now_s, time_s: Optional[Callable[[int], float]],
               max_batch, apart_s: Optional[Callable[[int], float]] = None) -> int:
    """Return how many of these frames, in this order, should run as one batch.

    The largest k with now + W(k) ≤ the earliest deadline among the first k and
    W(k) < k·W(1), else 1 (Algorithm 1, DERIVED). Deadlines that are lost hold back
    nobody: the earliest of the others counts. Where all are lost, the largest k that
    saves time is best, as it frees the device soonest. 0 for no deadlines.

    Parameters
    ----------
    deadlines_s : sequence of float
        The first ones are taken.
    now_s : float
    time_s : callable or None
        W; where it is None (nothing is known), everything is fused.
    max_batch : int
    apart_s : callable or None
        What the first k take one after another; None: k·W(1).

    """
    limit = min(len(deadlines_s), max_batch)
    if time_s is None:
        return limit
    alone_s = time_s(1)
    for size in range(limit, 1, -1):
        took_s = time_s(size)
        earliest_s = min((deadline_s for deadline_s in deadlines_s[:size]
                          if now_s + alone_s <= deadline_s), default=NEVER)
        saves = took_s < (apart_s(size) if apart_s else size * alone_s)
        if now_s + took_s <= earliest_s and saves:
            return size
    return min(limit, 1)


class FusionQueue:
    """The waiting frames of one instance. Times are seconds, given by the caller.

    While everything that waits can be in time, the earliest deadline goes first. Otherwise
    cameras take turns, in proportion to their weights.

    Attributes
    ----------
    max_batch, max_delay_s
        May change at any time.
    time_s : callable or None
        W; None where nothing is known.
    profiled : bool
        W was known from the beginning, by a profile.
    apart_s : callable or None
        What k frames take one after another; None: k·W(1).
    margin_s : float
        What few runs take longer than W says.
    weights : mapping of camera to float
        1 for those that are missing.
    in_time : mapping of camera to float
        The part of its last frames that were in time, 1 for those that are missing: cameras have
        equal shares of what is in time.

    Parameters
    ----------
    turns : Turns, optional
        Shared by the queues of instances that share a device.
    name : str
        Of the instance, among those.

    """

    def __init__(self, cameras, max_batch, max_delay_s, time_s=None, *,
                 turns: Optional[Turns] = None, name=''):
        self.cameras = frozenset(cameras)
        self.max_batch = max_batch
        self.max_delay_s = max_delay_s
        self.time_s = time_s
        self.profiled = time_s is not None
        self.apart_s = None
        self.margin_s = 0.0
        self.weights: Mapping[str, float] = {}
        self.in_time: Mapping[str, float] = {}
        self.turns = turns or Turns()
        self.name = name
        self._waiting: Dict[str, WaitingFrame] = {}
        # cameras whose frame waits until nothing else does
        self._aside: Set[str] = set()
        # by camera: how many of its last frames, in a row, were lost when they came
        self._hopeless: Dict[str, int] = {}
        # by camera: when its last two frames were ready, the newer one last
        self._arrivals: Dict[str, Tuple[float, float]] = {}
        # by camera: from its last arrival to its deadline
        self._allowances_s: Dict[str, float] = {}

    def __len__(self):
        return len(self._waiting)

    def put(self, frame) -> Optional[WaitingFrame]:
        """Add a frame; return the older one of the same camera that it replaces.

        It takes over the older one's place.
        """
        camera = frame.camera
        _, last_s = self._arrivals.get(camera, (0.0, float('-inf')))
        self._arrivals[camera] = last_s, frame.ready_s
        self._allowances_s[camera] = frame.deadline_s - frame.ready_s
        replaced = self._waiting.get(camera)
        self._aside.discard(camera)
        self.turns.wait(self._stream(camera), self._weight(camera))
        self._waiting[camera] = frame
        lost = frame.ready_s + (self.time_s(1) if self.time_s else 0.0) > frame.deadline_s
        self._hopeless[camera] = self._hopeless.get(camera, 0) + 1 if lost else 0
        return replaced

    def due_s(self) -> Optional[float]:
        """Return from when on a batch should be taken, None while nothing waits.

        A frame waits for `max_delay_s` after the oldest frame became ready, but not
        beyond the last moment at which one frame more would still meet the earliest
        deadline. With a profile (DERIVED), it waits only for cameras whose next frame
        is expected, one period after their last, before that. Nothing waits where
        everybody is here already.
        """
        if not self._waiting:
            return None
        oldest_s = min(frame.ready_s for frame in self._waiting.values())
        full = min(self.max_batch, len(self.cameras))
        if len(self._waiting) >= full:
            return oldest_s
        bound_s = oldest_s + self.max_delay_s
        if self.time_s is None or self.max_delay_s <= 0.0:
            return bound_s
        larger = len(self._waiting) + 1
        if not any(self.time_s(size) < self._apart_s(size) for size in range(larger, full + 1)):
            return oldest_s
        earliest_s = min(map(self._deadline_s, self._waiting.values()))
        bound_s = min(bound_s, earliest_s - self.time_s(larger))
        if self.profiled:
            bound_s = min(bound_s, self._last_expected_s(bound_s))
        return max(oldest_s, bound_s)

    def held_until_s(self, now_s) -> float:
        """Return until when the frame that is next should wait for another camera's; 0: not.

        Where frames of one instant arrive one after the other, the first of them would always
        find the device free. One that was set aside waits for all that can be in time.
        DERIVED.
        """
        if self.time_s is None or not self._waiting:
            return 0.0
        if self._aside.issuperset(self._waiting):
            return min((frame.late_s for frame in self._expected(now_s)), default=0.0)
        first = self._ordered(now_s)[0].camera
        latest_s = now_s + HOLD * self.time_s(1)
        until_s = 0.0
        for camera in self.cameras - set(self._waiting):
            before_s, newest_s = self._arrivals.get(camera, (0.0, NEVER))
            expected_s = newest_s + (newest_s - before_s)
            late_s = expected_s + JITTER * (newest_s - before_s)
            if (self._weight(camera) > 0.0 and now_s < late_s and expected_s <= latest_s
                    and self.turns.lead(self._stream(first), self._stream(camera)) > 1.0):
                until_s = max(until_s, min(late_s, latest_s))
        return until_s

    def needs(self) -> List[Need]:
        """Return what waits, as `all_in_time` takes it; W must be known."""
        alone_s = self.time_s(1)
        return [Need(self._deadline_s(frame), self._replaced_s(frame.camera), alone_s)
                for frame in self._waiting.values()]

    def first(self, now_s) -> WaitingFrame:
        """Return the frame that is next; something must wait."""
        return self._ordered(now_s)[0]

    def rank(self, frame):
        """Return whose turn it is among frames of queues that share their `turns`."""
        return self.turns.rank(self._stream(frame.camera), self._weight(frame.camera))

    def share(self, turns: Turns):
        """Take turns with other queues from now on."""
        if turns is not self.turns:
            for camera in self.cameras:
                self.turns.leave(self._stream(camera))
            self.turns = turns
            for camera in self._waiting:
                turns.wait(self._stream(camera), self._weight(camera))

    def take(self, now_s) -> Tuple[WaitingFrame, ...]:
        """Remove and return the next batch, the frame that is next first.

        Frames that are lost come after all others: they ride along where the
        batch meets its deadlines in spite of them, else they wait for their turn.
        """
        order = self._ordered(now_s)
        size = best_batch(list(map(self._deadline_s, order)), now_s, self.time_s, self.max_batch,
                          self.apart_s)
        batch = tuple(order[:size])
        for frame in batch:
            if frame.camera not in self._aside:
                self.turns.serve(self._stream(frame.camera), self._weight(frame.camera),
                                 self._chance(frame))
            self._remove(frame)
        return batch

    def is_hopeless(self, frame) -> bool:
        """Tell whether a frame that waits was lost when it came."""
        return self._hopeless.get(frame.camera, 0) > 0

    def remove_lost(self, now_s) -> Tuple[WaitingFrame, ...]:
        """Remove and return the frames that cannot be in time any more.

        One that was lost when it came stays, unless another one waits that can be in time, or is
        expected. Where the next frame might be late behind a run from now on, those go, too, that
        might be late themselves: otherwise one frame after the other starts too late. DERIVED.
        """
        lost = self._lost(now_s)
        for frame in lost:
            self._remove(frame)
            self.turns.lose(self._stream(frame.camera))
        return lost

    def set_lost_aside(self, now_s) -> bool:
        """Have the frames that `remove_lost` would remove wait until nobody loses by them.

        They run where nothing can be in time. They have no turn, and take none from their cameras.
        Tells whether there were any.
        """
        lost = self._lost(now_s)
        for frame in lost:
            self._aside.add(frame.camera)
            self.turns.lose(self._stream(frame.camera))
        return bool(lost)

    def watch(self, cameras) -> Tuple[WaitingFrame, ...]:
        """Take frames of these cameras from now on; remove and return those of others."""
        gone = self.cameras.difference(cameras)
        self.cameras = frozenset(cameras)
        removed = tuple(frame for camera, frame in self._waiting.items() if camera in gone)
        for frame in removed:
            self._remove(frame)
        for camera in gone:
            for known in (self._arrivals, self._allowances_s, self._hopeless):
                known.pop(camera, None)
            self.turns.leave(self._stream(camera))
        return removed

    def discard(self) -> Tuple[WaitingFrame, ...]:
        """Remove and return everything."""
        waiting = tuple(self._waiting.values())
        for frame in waiting:
            self._remove(frame)
            self.turns.leave(self._stream(frame.camera))
        return waiting

    def _remove(self, frame):
        del self._waiting[frame.camera]
        self._aside.discard(frame.camera)

    def _lost(self, now_s) -> Tuple[WaitingFrame, ...]:
        """Return the frames that only take time from others."""
        if self.time_s is None:
            return ()
        two_runs_s = 2.0 * (self.time_s(1) + self.margin_s)
        delays = any(now_s + two_runs_s > frame.deadline_s for frame in self._expected(now_s))
        ahead_s = now_s + (self.margin_s if delays else 0.0)
        waiting = self._waiting.values()
        others = delays or not all(self._is_lost(frame, now_s) for frame in waiting)
        return tuple(frame for frame in waiting if self._is_lost(frame, ahead_s)
                     and (others or not self.is_hopeless(frame)))

    def _ordered(self, now_s) -> List[WaitingFrame]:
        waiting = list(self._waiting.values())
        if self.time_s is not None and all_in_time(self.needs(), now_s):
            return sorted(waiting, key=lambda frame: (self._deadline_s(frame), frame.ready_s))
        return sorted(waiting, key=lambda frame: (
            frame.camera in self._aside, self._is_lost(frame, now_s),
            () if frame.camera in self._aside else self.rank(frame),
            self._deadline_s(frame), frame.ready_s))

    def _is_lost(self, frame, now_s):
        return (self.time_s is not None
                and now_s + self.time_s(1) > self._deadline_s(frame))

    def _chance(self, frame) -> float:
        """Return how much of a frame in time it is that this one runs.

        One that was lost when it came takes a turn like any other, and no more of them.
        """
        if self.is_hopeless(frame):
            return 1.0
        # whatever an executor tells, no camera loses its place for good
        return max(LEAST_CHANCE, min(1.0, self.in_time.get(frame.camera, 1.0)))

    def _expected(self, now_s) -> List[ExpectedFrame]:
        """Return the next frames that should come during a run from now on.

        One that might be late in any case counts for nothing.
        """
        took_s = self.time_s(1) + self.margin_s
        expected = []
        for camera, (before_s, newest_s) in self._arrivals.items():
            period_s, allowed_s = newest_s - before_s, self._allowances_s[camera]
            ready_s = newest_s + period_s
            if now_s < ready_s < now_s + took_s <= now_s + allowed_s:
                expected.append(ExpectedFrame(ready_s, ready_s + JITTER * period_s,
                                              ready_s + allowed_s))
        return expected

    def _deadline_s(self, frame):
        says_nothing = self._hopeless.get(frame.camera, 0) >= HOPELESS_FRAMES
        return NEVER if says_nothing else frame.deadline_s

    def _replaced_s(self, camera):
        """Return when a newer frame of the camera is expected."""
        before_s, newest_s = self._arrivals[camera]
        return newest_s + (newest_s - before_s)

    def _apart_s(self, size):
        return self.apart_s(size) if self.apart_s else size * self.time_s(1)

    def _stream(self, camera):
        return self.name, camera

    def _weight(self, camera):
        return self.weights.get(camera, 1.0)

    def _last_expected_s(self, bound_s):
        """Return until when to wait for the cameras that should come by `bound_s`."""
        last_s = float('-inf')
        for camera in self.cameras:
            if camera in self._waiting or camera not in self._arrivals:
                continue
            before_s, newest_s = self._arrivals[camera]
            period_s = newest_s - before_s
            # a single arrival has an infinite period; a clock set back, a negative one
            if period_s > 0.0 and newest_s + period_s <= bound_s:
                last_s = max(last_s, newest_s + period_s + JITTER * period_s)
        return last_s
