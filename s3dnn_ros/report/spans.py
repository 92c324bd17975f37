"""A recording as what a page shows: segments, what became of requests, and what was left out."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import math
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.runtime.recorder import RequestTimes, Stage
from s3dnn_ros.runtime.recording import Change, Recording
from s3dnn_ros.runtime.variant_chooser import Boundary

# What a page draws at most: a browser draws so much in about a second.
WINDOW_S = 60.0
MOST_SPANS = 4000
MOST_INSTANCES = 32

IN_TIME, LATE, DROPPED, UNKNOWN = 'in time', 'late', 'dropped', 'unknown'
OUTCOMES = (IN_TIME, LATE, DROPPED, UNKNOWN)


class Span(NamedTuple):
    """A segment of a request on the device.

    Times count from the recording's begin. `boundary` is None where nobody chose.
    """

    request: int
    instance: str
    segment: int
    begin_s: float
    end_s: float
    images: int
    outcome: str
    boundary: Optional[Boundary]


class Missed(NamedTuple):
    """A deadline that was missed, by a late result or none, since the recording's begin."""

    request: int
    instance: str
    deadline_s: float
    outcome: str


@dataclasses.dataclass(frozen=True)
class Account:
    """What became of all requests of an instance in a recording.

    `responses_s` are the times from arrival to result, of those that got one.
    """

    model: str
    outcomes: Mapping[str, int]
    responses_s: Sequence[float]

    @property
    def missed_share(self) -> Optional[float]:
        """Return the share of late and dropped ones among those known; None of none."""
        known = sum(self.outcomes[name] for name in (IN_TIME, LATE, DROPPED))
        return (self.outcomes[LATE] + self.outcomes[DROPPED]) / known if known else None


@dataclasses.dataclass(frozen=True)
class View:
    """The part of a recording that is drawn; times in seconds since the recording's begin.

    Attributes
    ----------
    begin_s, end_s : float
        Of the part.
    whole_s : float
        Length of the recording.
    instances : sequence of str
        Those that are drawn.
    spans, missed, boundaries, changes
        Of the part. The times of `boundaries` and `changes` count from the recording's begin, too.
    accounts : mapping of instance to Account
        Of the whole recording, and of all instances.
    left_out : sequence of str
        Sentences that say what is not drawn.

    """

    begin_s: float
    end_s: float
    whole_s: float
    instances: Sequence[str]
    spans: Sequence[Span]
    missed: Sequence[Missed]
    boundaries: Sequence[Boundary]
    changes: Sequence[Change]
    accounts: Mapping[str, Account]
    left_out: Sequence[str]


def view(recording: Recording, from_s: Optional[float] = None, to_s: Optional[float] = None
         ) -> View:
    """Return what is drawn: of the part from..to, or of the newest minute, the newest segments.

    Raises ParameterError if nothing of the recording is in from..to.
    """
    origin_s, whole_s = _extent(recording)
    begin_s = max(0.0, whole_s - WINDOW_S) if from_s is None and to_s is None else from_s or 0.0
    end_s = whole_s if to_s is None else min(to_s, whole_s)
    if begin_s > end_s:
        raise ParameterError('--from, --to', (from_s, to_s), 'expected a part of the recording, '
                             f'which lasts {whole_s:.3f} s')
    outcomes, results_s = _outcomes(recording)
    drawn = sorted(recording.models)[:MOST_INSTANCES]
    shown = set(drawn)
    everything = _spans(recording, outcomes, origin_s)
    spans = [span for span in everything if span.instance in shown and span.begin_s <= end_s]
    missed = [each for each in _missed(recording, outcomes, origin_s)
              if each.instance in shown and each.deadline_s <= end_s]
    boundaries = [row._replace(now_s=row.now_s - origin_s) for row in recording.boundaries
                  if row.instance in shown and row.now_s - origin_s <= end_s]
    ends_s = ([span.end_s for span in spans], [each.deadline_s for each in missed],
              [row.now_s for row in boundaries])
    begin_s = max(begin_s, *map(_begin_of_newest, ends_s))
    spans = [span for span in spans if span.end_s >= begin_s]
    return View(
        begin_s, end_s, whole_s, drawn, spans,
        [each for each in missed if each.deadline_s >= begin_s],
        [row for row in boundaries if row.now_s >= begin_s],
        _changes(recording, origin_s, begin_s, end_s),
        _accounts(recording, outcomes, results_s),
        tuple(_left_out(recording, begin_s, end_s, whole_s, len(spans), len(everything))))


def _begin_of_newest(times_s: Sequence[float]) -> float:
    """Return from when on there are MOST_SPANS at most."""
    return sorted(times_s)[-MOST_SPANS] if len(times_s) > MOST_SPANS else 0.0


def _extent(recording) -> Tuple[float, float]:
    """Return when a recording begins, and how long it is; (0, 0) if it is empty."""
    moments_s = [stamp.now_s for stamp in recording.stamps]
    moments_s += [row.now_s for row in recording.boundaries]
    if not moments_s:
        return 0.0, 0.0
    return min(moments_s), max(moments_s) - min(moments_s)


def _outcomes(recording) -> Tuple[Dict[int, str], Dict[int, float]]:
    """Return by request what became of it, and when its result was there."""
    deadlines_s = {each.request: each.deadline_s for each in recording.requests}
    outcomes: Dict[int, str] = {}
    results_s: Dict[int, float] = {}
    for stamp in recording.stamps:
        if stamp.stage in (Stage.FINISHED, Stage.PUBLISHED):
            results_s[stamp.request] = stamp.now_s
            deadline_s = deadlines_s.get(stamp.request)
            if outcomes.get(stamp.request) != DROPPED and deadline_s is not None:
                outcomes[stamp.request] = IN_TIME if stamp.now_s <= deadline_s else LATE
        elif stamp.stage == Stage.DROPPED:
            outcomes[stamp.request] = DROPPED
    return outcomes, results_s


def _spans(recording, outcomes, origin_s) -> List[Span]:
    """Return all segments that began and ended, by their begin."""
    boundaries = {(row.request, row.segment): row for row in recording.boundaries}
    # who runs in a batch of another's request has no boundary of its own
    batches: Dict[Tuple[str, int], _Boundaries] = collections.defaultdict(_Boundaries)
    for row in recording.boundaries:
        batches[recording.models[row.instance], row.segment].add(row)
    spans, begun = [], {}
    for stamp in recording.stamps:
        key = stamp.request, stamp.segment
        if stamp.stage == Stage.SUBMITTED:
            begun[key] = stamp.now_s
        elif stamp.stage == Stage.ENDED and key in begun:
            begin_s = begun.pop(key)
            boundary = boundaries.get(key)
            if boundary is None and stamp.images > 1:
                boundary = batches[recording.models[stamp.instance], stamp.segment].at(begin_s)
            spans.append(Span(stamp.request, stamp.instance, stamp.segment, begin_s - origin_s,
                              stamp.now_s - origin_s, stamp.images,
                              outcomes.get(stamp.request, UNKNOWN), boundary))
    return sorted(spans, key=lambda span: span.begin_s)


class _Boundaries:
    """Those of one segment of a model, by time."""

    def __init__(self):
        self._rows: List[Boundary] = []
        self._times_s: List[float] = []

    def add(self, row: Boundary):
        """Add one that is no older than the others."""
        self._rows.append(row)
        self._times_s.append(row.now_s)

    def at(self, now_s: float) -> Optional[Boundary]:
        """Return the newest of then; None if there is none."""
        place = bisect.bisect_right(self._times_s, now_s)
        return self._rows[place - 1] if place else None


def _missed(recording, outcomes, origin_s) -> List[Missed]:
    return [Missed(each.request, each.instance, each.deadline_s - origin_s,
                   outcomes[each.request])
            for each in recording.requests if math.isfinite(each.deadline_s)
            and outcomes.get(each.request) in (LATE, DROPPED)]


def _changes(recording, origin_s, begin_s, end_s) -> List[Change]:
    """Return when the configuration changed, with the one that was set at the begin and the end.

    Where nobody wrote the changes down, boundaries tell which configuration was set at what time.
    """
    changes = [Change(each.now_s - origin_s, each.configuration)
               for each in recording.changes or recording.boundaries]
    if not recording.configurations or not changes:
        return []
    changes.sort(key=lambda change: change.now_s)
    before = [change for change in changes if change.now_s <= begin_s][-1:]
    kept = [change._replace(now_s=begin_s) for change in before]
    for change in changes:
        if begin_s < change.now_s <= end_s and (
                not kept or kept[-1].configuration != change.configuration):
            kept.append(change)
    return [*kept, kept[-1]._replace(now_s=end_s)] if kept else []


def _accounts(recording, outcomes, results_s) -> Dict[str, Account]:
    counts = {name: dict.fromkeys(OUTCOMES, 0) for name in recording.models}
    responses_s: Dict[str, List[float]] = {name: [] for name in recording.models}
    known: Dict[int, RequestTimes] = {each.request: each for each in recording.requests}
    instances = {stamp.request: stamp.instance for stamp in recording.stamps}
    instances.update({each.request: each.instance for each in recording.requests})
    for request, instance in instances.items():
        outcome = outcomes.get(request, UNKNOWN)
        counts[instance][outcome] += 1
        if outcome in (IN_TIME, LATE) and request in known:
            responses_s[instance].append(results_s[request] - known[request].arrived_s)
    return {name: Account(model, counts[name], responses_s[name])
            for name, model in recording.models.items()}


def _left_out(recording, begin_s, end_s, whole_s, drawn, count):
    if drawn < count or begin_s > 0.0 or end_s < whole_s:
        yield (f'Drawn are {drawn:,} of {count:,} segments, from {begin_s:.3f} s to {end_s:.3f} s '
               f'of the {whole_s:.3f} s that were recorded; --from and --to choose others. The '
               'table counts all of them.')
    if len(recording.models) > MOST_INSTANCES:
        yield (f'Drawn are the first {MOST_INSTANCES} of {len(recording.models)} instances by '
               'name.')
