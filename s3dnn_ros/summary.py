"""What the whole pipeline did: every frame of every camera accounted for."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import Dict, Iterable, Tuple

from s3dnn_ros.counters import CameraCount, Percentiles

# Samples per camera that the report's percentiles are taken over.
KEPT = 100_000


STAGES = ('transport', 'governor', 'handover', 'queue', 'engine', 'finish')


class _Seen:
    def __init__(self):
        self.latencies_ms = collections.deque(maxlen=KEPT)
        self.overheads_ms = collections.deque(maxlen=KEPT)
        self.stages_ms = {stage: collections.deque(maxlen=KEPT) for stage in STAGES}
        self.results = self.detections = 0
        self.first_s = self.last_s = None


class Summary:
    """Collects results and the counters of all nodes.

    A frame is lost either inside a node, which counts it with a reason, or
    between two nodes: `transport` from camera to governor, `handover` from
    governor to executor.
    """

    def __init__(self, settle_s=0.0):
        self._settle_s = settle_s
        self._started_s = None
        self.classes = collections.Counter()
        self.engine = ''
        self.models: Tuple[str, ...] = ()
        self.power_mw = self.energy_j = math.nan     # NaN: nobody can tell
        self._seen: Dict[Tuple[str, str], _Seen] = {}
        self._source: Dict[str, CameraCount] = {}
        self._governor: Dict[Tuple[str, str], CameraCount] = {}
        self._executor: Dict[Tuple[str, str], CameraCount] = {}

    def result(self, camera, instance, labels, latency_ms, stages_ms, now_s):
        """Take note of one published result; `stages_ms` maps STAGES to milliseconds.

        Times of the first `settle_s` seconds do not enter the percentiles.
        """
        seen = self._seen.setdefault((camera, instance), _Seen())
        seen.results += 1
        seen.detections += len(labels)
        seen.first_s = now_s if seen.first_s is None else seen.first_s
        seen.last_s = now_s
        self.classes.update(labels)
        self._started_s = now_s if self._started_s is None else self._started_s
        if now_s - self._started_s >= self._settle_s:
            seen.latencies_ms.append(latency_ms)
            seen.overheads_ms.append(latency_ms - stages_ms['engine'])
            for stage, took_ms in stages_ms.items():
                seen.stages_ms[stage].append(took_ms)

    def source(self, counts: Iterable[CameraCount]):
        """Take over what the cameras say they published."""
        self._source = {count.camera: count for count in counts}

    def governor(self, counts: Iterable[CameraCount]):
        """Take over the governor's counters."""
        self._governor = {(count.camera, count.instance): count for count in counts}

    def executor(self, counts: Iterable[CameraCount]):
        """Take over the executor's counters."""
        self._executor = {(count.camera, count.instance): count for count in counts}

    def as_dict(self, seconds):
        """Return the report, as documented for summary.json."""
        return {'cameras': self.cameras(), 'classes': dict(self.classes.most_common()),
                'engine': self.engine, 'models': list(self.models),
                'seconds': round(seconds, 3)}

    def cameras(self, final=True):
        """Return one entry per camera; with several instances per camera, per both.

        What no node counts is under way as long as the nodes run, and lost
        between them when all is over (`final`).
        """
        streams = sorted(set(self._governor) | set(self._executor))
        instances = collections.Counter(camera for camera, _ in streams)
        return {
            _name(camera, instance if instances[camera] > 1 else ''):
                self._camera(camera, instance, final) for camera, instance in streams}

    def pending(self):
        """Return how many frames are under way, or lost between nodes."""
        return sum(entry['frames'] - entry['published'] - entry['dropped']
                   for entry in self.cameras(final=False).values())

    def _camera(self, camera, instance, final):
        key = (camera, instance)
        governor = self._governor.get(key, CameraCount(camera, instance))
        executor = self._executor.get(key, CameraCount(camera, instance))
        frames = self._source[camera].published if camera in self._source else governor.frames
        reasons = collections.Counter(dict(governor.dropped))
        reasons.update(dict(executor.dropped))
        # what the governor took back but the executor had after all, the executor counts
        twice = max(0, executor.frames - governor.published)
        reasons['lease'] -= min(twice, reasons['lease'])
        if final:
            reasons['transport'] += max(0, frames - governor.frames)
            reasons['handover'] += max(0, governor.published - executor.frames)
        # each node tells its counters at a moment of its own: what came out also went in
        frames = max(frames, governor.frames, executor.published + sum(reasons.values()))
        seen = self._seen.get(key, _Seen())
        took_s = (seen.last_s - seen.first_s) if seen.results > 1 else 0.0
        return {
            'frames': frames, 'published': executor.published,
            'dropped': sum(reasons.values()), 'missed': executor.missed,
            'detections': seen.detections,
            'fps': round((seen.results - 1) / took_s, 2) if took_s else 0.0,
            'latency_ms': _rounded(seen.latencies_ms),
            'overhead_ms': _rounded(seen.overheads_ms),
            'stages_ms': {stage: _rounded(samples) for stage, samples in seen.stages_ms.items()},
            'dropped_by': {reason: count for reason, count in sorted(reasons.items()) if count}}


def _rounded(samples):
    return {key: round(value, 2)
            for key, value in dataclasses.asdict(Percentiles.of(samples)).items()}


def _name(camera, instance):
    return f'{camera}/{instance}' if instance else camera


def table(summary, final=True):
    """Return the summary as a rich table, 80 columns wide at most for short names."""
    from rich import box
    from rich.table import Table

    cameras = summary.cameras(final)
    title = 's3dnn_ros'
    if summary.engine:
        title += f' · {", ".join(summary.models)} on {summary.engine}'
    if not math.isnan(summary.power_mw):
        title += f' · {summary.power_mw / 1e3:.1f} W, {summary.energy_j:.0f} J'
    view = Table(box=box.SIMPLE_HEAD, padding=(0, 0), title=title)
    for heading in ('camera', 'frames', 'results', 'dropped', 'missed', 'found', 'fps',
                    'p50', 'p95', 'p99 ms'):
        view.add_column(heading, justify='left' if heading == 'camera' else 'right', no_wrap=True)
    for name, entry in cameras.items():
        latency = entry['latency_ms']
        view.add_row(
            name, *(str(entry[key]) for key in ('frames', 'published', 'dropped', 'missed',
                                                'detections')),
            f"{entry['fps']:.1f}", *(f'{latency[key]:.0f}' for key in ('p50', 'p95', 'p99')))
    reasons = collections.Counter()
    for entry in cameras.values():
        reasons.update(entry['dropped_by'])
    view.caption = '\n'.join(
        f'{title}: ' + ', '.join(f'{name} {count}' for name, count in counts.most_common(8))
        for title, counts in (('seen', summary.classes), ('dropped because', reasons)) if counts)
    return view
