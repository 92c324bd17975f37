"""Which waiting frames go into the next batch of an instance, and when.

S3DNN's governor (RTAS 2018, Algorithm 1; the rules here are DERIVED) fuses
requests of one model and shape, as long as the most urgent of them still meets
its deadline and one run costs less than several. Per camera only the newest
frame waits, so that nothing queues without bound.

W(k) is the time from now to the results of one run with k frames, in seconds. A
request is *lost* when even a run of its own would end after its deadline: now +
W(1) > deadline. One that was lost when it came runs where nobody loses by it. If
that is so of several in a row, their deadline says nothing: the camera is far away,
or the network slow. Then they count as if they had none.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from s3dnn_ros.scheduling.turns import Need, Turns, all_in_time

# A camera that comes later than its period says is waited for by this part of
# the period, so that jitter does not break its batches apart.
JITTER = 0.1
# A frame whose camera is ahead of its share by more than one waits for that of another
# camera, if it is expected within this part of a run: the device stands still no longer.
HOLD = 0.25
# So many frames of a camera in a row that were lost when they came are more than jitter.
HOPELESS_FRAMES = 3
NEVER = float('inf')


@dataclasses.dataclass(frozen=True)
class Request:
    """A frame that waits for a run of an instance; `item` is passed through."""

    camera: str
    deadline_s: float
    ready_s: float
    item: Any


def best_batch(deadlines_s: Sequence[float], now_s, time_s: Optional[Callable[[int], float]],
               max_batch, apart_s: Optional[Callable[[int], float]] = None) -> int:
    """Return how many of these requests, in this order, should run as one batch.

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
        self.turns = turns or Turns()
        self.name = name
        self._waiting: Dict[str, Request] = {}
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

    def put(self, request) -> Optional[Request]:
        """Add a request; return the older one of the same camera that it replaces.

        It takes over the older one's place.
        """
        camera = request.camera
        _, last_s = self._arrivals.get(camera, (0.0, float('-inf')))
        self._arrivals[camera] = last_s, request.ready_s
        self._allowances_s[camera] = request.deadline_s - request.ready_s
        replaced = self._waiting.get(camera)
        self._aside.discard(camera)
        self.turns.wait(self._stream(camera), self._weight(camera))
        self._waiting[camera] = request
        lost = request.ready_s + (self.time_s(1) if self.time_s else 0.0) > request.deadline_s
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
        oldest_s = min(request.ready_s for request in self._waiting.values())
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
            return min((request.item for request in self._expected(now_s)), default=0.0)
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
        return [Need(self._deadline_s(request), self._replaced_s(request.camera), alone_s)
                for request in self._waiting.values()]

    def first(self, now_s) -> Request:
        """Return the request that is next; something must wait."""
        return self._ordered(now_s)[0]

    def rank(self, request):
        """Return whose turn it is among requests of queues that share their `turns`."""
        return self.turns.rank(self._stream(request.camera), self._weight(request.camera))

    def share(self, turns: Turns):
        """Take turns with other queues from now on."""
        if turns is not self.turns:
            for camera in self.cameras:
                self.turns.leave(self._stream(camera))
            self.turns = turns
            for camera in self._waiting:
                turns.wait(self._stream(camera), self._weight(camera))

    def take(self, now_s) -> Tuple[Request, ...]:
        """Remove and return the next batch, the request that is next first.

        Requests that are lost come after all others: they ride along where the
        batch meets its deadlines in spite of them, else they wait for their turn.
        """
        order = self._ordered(now_s)
        size = best_batch(list(map(self._deadline_s, order)), now_s, self.time_s, self.max_batch,
                          self.apart_s)
        batch = tuple(order[:size])
        for request in batch:
            if request.camera not in self._aside:
                self.turns.serve(self._stream(request.camera), self._weight(request.camera))
            self._remove(request)
        return batch

    def is_hopeless(self, request) -> bool:
        """Tell whether a request that waits was lost when it came."""
        return self._hopeless.get(request.camera, 0) > 0

    def remove_lost(self, now_s) -> Tuple[Request, ...]:
        """Remove and return the requests that cannot be in time any more.

        One that was lost when it came stays, unless another one waits that can be in time, or is
        expected. Where the next frame might be late behind a run from now on, those go, too, that
        might be late themselves: otherwise one frame after the other starts too late. DERIVED.
        """
        lost = self._lost(now_s)
        for request in lost:
            self._remove(request)
            self.turns.lose(self._stream(request.camera))
        return lost

    def set_lost_aside(self, now_s) -> bool:
        """Have the requests that `remove_lost` would remove wait until nobody loses by them.

        They run where nothing can be in time. They have no turn, and take none from their cameras.
        Tells whether there were any.
        """
        lost = self._lost(now_s)
        for request in lost:
            self._aside.add(request.camera)
            self.turns.lose(self._stream(request.camera))
        return bool(lost)

    def watch(self, cameras) -> Tuple[Request, ...]:
        """Take frames of these cameras from now on; remove and return those of others."""
        gone = self.cameras.difference(cameras)
        self.cameras = frozenset(cameras)
        removed = tuple(request for camera, request in self._waiting.items() if camera in gone)
        for request in removed:
            self._remove(request)
        for camera in gone:
            for known in (self._arrivals, self._allowances_s, self._hopeless):
                known.pop(camera, None)
            self.turns.leave(self._stream(camera))
        return removed

    def discard(self) -> Tuple[Request, ...]:
        """Remove and return everything."""
        waiting = tuple(self._waiting.values())
        for request in waiting:
            self._remove(request)
            self.turns.leave(self._stream(request.camera))
        return waiting

    def _remove(self, request):
        del self._waiting[request.camera]
        self._aside.discard(request.camera)

    def _lost(self, now_s) -> Tuple[Request, ...]:
        """Return the requests that only take time from others."""
        if self.time_s is None:
            return ()
        two_runs_s = 2.0 * (self.time_s(1) + self.margin_s)
        delays = any(now_s + two_runs_s > request.deadline_s for request in self._expected(now_s))
        ahead_s = now_s + (self.margin_s if delays else 0.0)
        waiting = self._waiting.values()
        others = delays or not all(self._is_lost(request, now_s) for request in waiting)
        return tuple(request for request in waiting if self._is_lost(request, ahead_s)
                     and (others or not self.is_hopeless(request)))

    def _ordered(self, now_s) -> List[Request]:
        waiting = list(self._waiting.values())
        if self.time_s is not None and all_in_time(self.needs(), now_s):
            return sorted(waiting, key=lambda request: (self._deadline_s(request),
                                                        request.ready_s))
        return sorted(waiting, key=lambda request: (
            request.camera in self._aside, self._is_lost(request, now_s),
            () if request.camera in self._aside else self.rank(request),
            self._deadline_s(request), request.ready_s))

    def _is_lost(self, request, now_s):
        return (self.time_s is not None
                and now_s + self.time_s(1) > self._deadline_s(request))

    def _expected(self, now_s) -> List[Request]:
        """Return the next frames that come during a run from now on, as they should be.

        One that might be late in any case counts for nothing. `item` is by when it should be here.
        """
        took_s = self.time_s(1) + self.margin_s
        expected = []
        for camera, (before_s, newest_s) in self._arrivals.items():
            period_s, allowed_s = newest_s - before_s, self._allowances_s[camera]
            ready_s = newest_s + period_s
            if now_s < ready_s < now_s + took_s <= now_s + allowed_s:
                expected.append(Request(camera, ready_s + allowed_s, ready_s,
                                        ready_s + JITTER * period_s))
        return expected

    def _deadline_s(self, request):
        says_nothing = self._hopeless.get(request.camera, 0) >= HOPELESS_FRAMES
        return NEVER if says_nothing else request.deadline_s

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
