"""What a run of the bench recorded, and the figures that it comes to."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.runtime.recorder import Stage, Stamp


class Offered(NamedTuple):
    """An image that a client had."""

    client: str
    stamp_s: float
    deadline_s: float


class Answer(NamedTuple):
    """An image that was answered, in a batch of so many, in time or not.

    `variants` is how each segment ran; empty if nobody chose.
    """

    client: str
    stamp_s: float
    ended_s: float
    deadline_s: float
    batch: int
    variants: Tuple[int, ...] = ()


class Span(NamedTuple):
    """A segment, or a whole network, from its submission until the core knew of its end.

    One for each request in the batch.
    """

    client: str
    deadline_s: float
    segment: int
    submitted_s: float
    completed_s: float


def spans_of(stamps: Sequence[Stamp], asked: Mapping[int, Tuple[str, float]]) -> List[Span]:
    """Return the spans in a recorder's stamps; `asked` has client and deadline by request."""
    spans, submitted_s = [], {}
    for stamp in stamps:
        key = stamp.request, stamp.segment
        if stamp.stage is Stage.SUBMITTED:
            submitted_s[key] = stamp.now_s
        elif stamp.stage is Stage.ENDED and key in submitted_s:
            spans.append(Span(*asked[stamp.request], stamp.segment, submitted_s.pop(key),
                              stamp.now_s))
    return spans


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one run showed; times in ms, rates in images per second.

    `work_share` is the time that the finished images take alone on this device, one after
    another, per second: unlike images per second, it does not grow by answering cheap
    requests first. `busy_share` is the core's view: the share of time in which something was
    submitted; None where several loops ran. `gpu_busy_share` is NVML's: the share in which any
    kernel ran, on however few multiprocessors; None where unknown.
    """

    offered_hz: float
    finished_hz: float
    work_share: float
    in_time_hz: float
    missed_share: float
    response_ms: Dict[str, float]
    batch: float
    busy_share: Optional[float]
    gpu_busy_share: Optional[float]
    decision_us: Dict[str, float]
    decisions_hz: float
    loop_cpu_share: float
    seconds: float
    missed_by_client: Dict[str, float]
    finished_by_client: Dict[str, float]    # per second


@dataclasses.dataclass(frozen=True)
class Record:
    """A run as it went, before and after its window too; figures are those of the window."""

    begin_s: float
    end_s: float
    models: Mapping[str, str]       # by client
    offered: Sequence[Offered]
    answers: Sequence[Answer]
    spans: Sequence[Span]           # empty unless they were asked for
    decisions_us: Sequence[float]
    cpu_s: float                    # of the core's thread
    busy_s: Optional[float]

    def measured(self, alone_s: Mapping[str, float], gpu_busy_share=None) -> Measured:
        """Return the figures; `alone_s` is what an image takes alone, by model."""
        span_s = self.end_s - self.begin_s
        offered, answers = self.of_window()
        ended = [entry for entry in self.answers if self._holds(entry.ended_s)]
        in_time = [entry for entry in answers if entry.ended_s <= entry.deadline_s]
        by_client = {}
        for name in self.models:
            asked = sum(entry.client == name for entry in offered)
            answered = sum(entry.client == name for entry in in_time)
            by_client[name] = round(1.0 - answered / asked, 4) if asked else 0.0
        return Measured(
            offered_hz=len(offered) / span_s, finished_hz=len(ended) / span_s,
            work_share=sum(alone_s[self.models[entry.client]] for entry in ended) / span_s,
            in_time_hz=len(in_time) / span_s,
            missed_share=1.0 - len(in_time) / len(offered) if offered else 0.0,
            response_ms=_percentiles([1e3 * (entry.ended_s - entry.stamp_s)
                                      for entry in answers], 3),
            batch=float(np.mean([entry.batch for entry in ended] or [0.0])),
            busy_share=None if self.busy_s is None else self.busy_s / span_s,
            gpu_busy_share=gpu_busy_share, decision_us=_percentiles(self.decisions_us, 1),
            decisions_hz=len(self.decisions_us) / span_s, loop_cpu_share=self.cpu_s / span_s,
            seconds=span_s, missed_by_client=by_client,
            finished_by_client={name: sum(entry.client == name for entry in ended) / span_s
                                for name in self.models})

    def of_window(self) -> Tuple[List[Offered], List[Answer]]:
        """Return the frames of the window and the answers to them.

        A frame counts by its stamp, so that each is in one window, answered or not.
        """
        return ([entry for entry in self.offered if self._holds(entry.stamp_s)],
                [entry for entry in self.answers if self._holds(entry.stamp_s)])

    def _holds(self, moment_s):
        return self.begin_s <= moment_s < self.end_s


def joined(records: Sequence[Record]) -> Record:
    """Return one record of several loops that ran at once, in the same window."""
    def together(field) -> List:
        return list(itertools.chain.from_iterable(getattr(record, field) for record in records))

    return Record(
        records[0].begin_s, records[0].end_s,
        {name: model for record in records for name, model in record.models.items()},
        together('offered'), together('answers'), together('spans'), together('decisions_us'),
        sum(record.cpu_s for record in records), busy_s=None)


def percentiles_us(times_ns: Sequence[int]) -> Dict[str, float]:
    """Return p50, p95 and p99 in µs; nothing of nothing."""
    return _percentiles([time_ns / 1e3 for time_ns in times_ns], 1)


def _percentiles(values, digits):
    if not len(values):
        return {}
    return {f'p{rank}': round(float(np.percentile(values, rank)), digits)
            for rank in (50, 95, 99)}
