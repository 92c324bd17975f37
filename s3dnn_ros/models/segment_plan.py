"""Which segments a network is cut into: chosen from measured times, kept in a file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Callable, List, Sequence, Tuple

import numpy as np
import onnx

from s3dnn_ros.base.cache import plan_path, write_whole
from s3dnn_ros.base.content import Fields, read_json
from s3dnn_ros.errors import DocumentError, ModelError
from s3dnn_ros.models.segmentation import CutPoint, Segment, cut_points, split

# No network has more tensors alive at a cut, or takes longer.
MOST_ALIVE, LARGEST_MS = 100_000, 1e18
# Given the models of consecutive segments, returns the seconds that each of them takes.
Measure = Callable[[Sequence[onnx.ModelProto]], Sequence[float]]


@dataclasses.dataclass(frozen=True)
class SegmentPlan:
    """The cuts of a network, by the tensors alive there, and how long each segment took.

    `sha256` is that of the ONNX file. `target_ms` is the time that a segment should take;
    `times_ms` were measured on `engine` and `device`, one more than there are cuts. `source`
    is the file that the plan was read from, if any.
    """

    model: str
    sha256: str
    max_alive: int
    target_ms: float
    engine: str
    device: str
    cuts: Tuple[Tuple[str, ...], ...]
    times_ms: Tuple[float, ...]
    source: str = dataclasses.field(default='', compare=False)

    def save(self, path: Path) -> None:
        """Write the plan as JSON; raises ModelError if that is not possible."""
        values = dataclasses.asdict(self)
        del values['source']
        try:
            write_whole(path, (json.dumps(values, indent=2) + '\n').encode())
        except OSError as error:
            raise ModelError(
                path, f'cannot be written ({error.strerror}); free space there or set $S3DNN_CACHE'
            ) from error


def load_plan(path: Path) -> SegmentPlan:
    """Read a plan; raises ModelError, naming the file, if it is missing or broken."""
    return read_json(path, 'a segment plan', lambda content: _plan(Fields(content), str(path)),
                     ModelError, f'run `s3dnn models segment {path.stem}` again')


def apply(plan: SegmentPlan, model: onnx.ModelProto, sha256: str) -> Tuple[Segment, ...]:
    """Return the segments of a network as planned; `sha256` is that of its ONNX file.

    `model` is the network with the image input in front, as it was when planned. Raises
    ModelError, naming the plan's file, if the plan was made for another network.
    """
    source = plan.source or plan_path(plan.model)
    again = f'run `s3dnn models segment {plan.model}` again'
    if plan.sha256 != sha256:
        raise ModelError(
            source,
            f'was made for the network with the SHA-256 {plan.sha256 or "(none)"}, and this one '
            f'has {sha256}; {again}',
        )
    return cut_at(model, plan.cuts, source, again)


def cut_at(model: onnx.ModelProto, cuts: Sequence[Tuple[str, ...]], source,
           again: str) -> Tuple[Segment, ...]:
    """Return the segments between cuts, given by the tensors alive there.

    Raises ModelError, naming `source` and what to do `again`, if the network has no such cuts.
    """
    most = max((len(tensors) for tensors in cuts), default=0)
    known = {cut.tensors: cut for cut in cut_points(model, most)} if cuts else {}
    for tensors in cuts:
        if tensors not in known:
            raise ModelError(
                source, f'cuts at {", ".join(tensors)}, where the network has no cut; {again}'
            )
    chosen = [known[tensors] for tensors in cuts]
    if any(cut.position >= later.position for cut, later in zip(chosen, chosen[1:])):
        raise ModelError(source, f'has its cuts in another order than the network; {again}')
    return split(model, chosen)


def plan_segments(
    model: onnx.ModelProto,
    name: str,
    sha256: str,
    measure: Measure,
    target_s: float,
    max_alive: int,
    engine: str,
    device: str,
) -> SegmentPlan:
    """Return the plan whose segments take about `target_s` seconds each.

    `measure` times first the whole network, which is not cut if it is about as short as that.
    Else it times the units, the stretches of whole layers between all cut points, and then the
    segments that `balanced` joins them to: these are the times of the plan.
    """
    def timed(cuts):
        return measure([segment.model for segment in split(model, cuts)])

    cuts: Sequence[CutPoint] = ()
    times_s = timed(cuts)
    # some engines take minutes to build all units
    if round(times_s[0] / target_s) > 1:
        candidates = cut_points(model, max_alive, whole_layers=True)
        cuts = [candidates[index] for index in balanced(timed(candidates), target_s)]
        times_s = timed(cuts)
    return SegmentPlan(
        name,
        sha256,
        max_alive,
        target_s * 1e3,
        engine,
        device,
        tuple(cut.tensors for cut in cuts),
        tuple(float(time_s) * 1e3 for time_s in times_s),
    )


def balanced(costs_s: Sequence[float], target_s: float) -> Tuple[int, ...]:
    """Return after which units to cut, so that each segment takes about `target_s` seconds.

    There will be at most n = max(1, round(total / target_s)) segments. Among all ways to cut,
    exactly: first the largest segment is as small as n segments allow; then the squares of the
    differences to `target_s` are least. So there are fewer than n where one unit is so long
    that more cuts would only make slivers. Raises ValueError for a time that is negative or not
    finite, or a target that is not above zero.
    """
    costs = np.asarray(costs_s, float)
    if not (costs.size and np.isfinite(costs).all() and (costs >= 0).all() and target_s > 0):
        raise ValueError(f'costs_s is {costs_s} and target_s {target_s}; expected times above 0')
    ends = np.concatenate(([0.0], np.cumsum(costs)))
    # time[i, j]: the units i to j - 1 as one segment
    time = ends[None, :] - ends[:, None]
    time[np.tril_indices(len(ends))] = np.inf
    count = min(len(costs), max(1, round(float(ends[-1]) / target_s)))
    largest = _cheapest(time, count, np.maximum)[0]
    time[time > largest * (1 + 1e-9)] = np.inf
    return _cheapest((time - target_s) ** 2, count, np.add)[1]


def _cheapest(cost: np.ndarray, count: int, join) -> Tuple[float, Tuple[int, ...]]:
    """Return the least joined cost of 1 to `count` segments, and the last unit of all but one.

    Dynamic programming over the number of segments; `cost[i, j]` is that of units i to j - 1.
    """
    costs = [cost[0]]
    choices: List[np.ndarray] = []
    for _ in range(count - 1):
        totals = join(costs[-1][:, None], cost)
        choices.append(totals.argmin(axis=0))
        costs.append(totals.min(axis=0))
    cuts = int(np.argmin([ends[-1] for ends in costs]))
    start = len(cost) - 1
    last: List[int] = []
    for choice in reversed(choices[:cuts]):
        start = int(choice[start])
        last.append(start - 1)
    return float(costs[cuts][-1]), tuple(reversed(last))


def _plan(fields: Fields, source: str) -> SegmentPlan:
    """Return a plan from JSON. Raises DocumentError."""
    cuts = fields.lists_of_texts('cuts')
    times_ms = fields.numbers('times_ms', 0.0, LARGEST_MS)
    if len(times_ms) != len(cuts) + 1:
        raise DocumentError(f'has {len(times_ms)} times for {len(cuts)} cuts')
    return SegmentPlan(
        fields.text('model'),
        fields.text('sha256'),
        fields.whole('max_alive', 0, MOST_ALIVE),
        fields.number('target_ms', 0.0, LARGEST_MS),
        fields.text('engine'),
        fields.text('device'),
        cuts,
        times_ms,
        source,
    )
