"""Counts what became of every camera's frames, and how long they took.

A frame that several instances watch has a fate for each of them, so counts are
kept per camera and instance (an empty instance where there is none yet).
"""

from __future__ import annotations

import collections
import dataclasses
import threading
from typing import Collection, Dict, Iterable, Tuple

import numpy as np

from s3dnn_ros.base.limits import LONGEST_NAME

WINDOW = 1024   # samples that percentiles are taken over
# Messages of others name cameras and instances as they like. So many of these are counted under
# their names, all others together.
MOST_STRANGERS = 256
STRANGERS = ('(others)', '')


@dataclasses.dataclass(frozen=True)
class Percentiles:
    """p50, p95 and p99 of the last samples, 0 when there are none."""

    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0

    @classmethod
    def of(cls, samples):
        """Return the percentiles of a sequence of numbers."""
        return cls(*np.percentile(samples, (50, 95, 99)).tolist()) if len(samples) else cls()


@dataclasses.dataclass(frozen=True)
class CameraCount:
    """The counters of one camera and instance at one moment; the fields of CameraStats.msg."""

    camera: str
    instance: str = ''
    frames: int = 0
    published: int = 0
    missed: int = 0
    dropped: Tuple[Tuple[str, int], ...] = ()
    last_error: str = ''
    latency_ms: Percentiles = Percentiles()
    tracks: int = 0
    tracks_lost: int = 0
    tracks_found: int = 0

    @property
    def dropped_total(self):
        """Return the number of frames dropped, whatever the reason."""
        return sum(count for _, count in self.dropped)


class _Counts:
    def __init__(self):
        self.frames = self.published = self.missed = 0
        self.dropped = collections.Counter()
        self.last_error = ''
        self.latencies_ms = collections.deque(maxlen=WINDOW)
        self.tracks = self.tracks_lost = self.tracks_found = 0


class Counters:
    """The counters of one node; may be used from several threads.

    For every camera and instance, frames = published + dropped + frames still inside. What comes
    after MOST_STRANGERS of those that nobody expects is counted as STRANGERS.
    """

    def __init__(self, streams: Iterable[Tuple[str, str]] = ()):
        # numpy takes 20 ms for its first percentile: not between two frames
        Percentiles.of((0.0,))
        self._lock = threading.Lock()
        self._counts: Dict[Tuple[str, str], _Counts] = {stream: _Counts() for stream in streams}
        self._names: Collection[Tuple[str, str]] = ()
        self._strangers = 0

    def expect(self, camera, instance=''):
        """Show a camera before its first frame."""
        with self._lock:
            self._counts.setdefault((camera, instance), _Counts())

    def know(self, streams: Collection[Tuple[str, str]]):
        """Count these cameras and instances under their names, whatever else comes."""
        with self._lock:
            self._names = frozenset(streams)

    def arrived(self, camera, instance=''):
        """Count a frame that came in."""
        with self._lock:
            self._of(camera, instance).frames += 1

    def published(self, camera, instance='', *, latency_s, missed=False):
        """Count a frame that was handed on, `latency_s` after its stamp."""
        with self._lock:
            counts = self._of(camera, instance)
            counts.published += 1
            counts.missed += bool(missed)
            counts.latencies_ms.append(1000.0 * latency_s)

    def dropped(self, camera, instance='', *, reason, sentence=''):
        """Count a frame that went no further, with one word and one sentence of why."""
        with self._lock:
            counts = self._of(camera, instance)
            counts.dropped[reason] += 1
            if sentence:
                counts.last_error = sentence

    def tracked(self, camera, instance, *, begun, lost, found):
        """Count objects that were seen for the first time, not any more, and again."""
        with self._lock:
            counts = self._of(camera, instance)
            counts.tracks += begun
            counts.tracks_lost += lost
            counts.tracks_found += found

    def withdrawn(self, camera, instance='', *, missed, reason, sentence=''):
        """Turn a frame that was counted as handed on, `missed` or not, into a dropped one."""
        with self._lock:
            counts = self._of(camera, instance)
            counts.published -= 1
            counts.missed -= bool(missed)
        self.dropped(camera, instance, reason=reason, sentence=sentence)

    def snapshot(self) -> Tuple[CameraCount, ...]:
        """Return all counters, in the order of their first appearance."""
        with self._lock:
            copies = [(*stream, counts.frames, counts.published, counts.missed,
                       tuple(sorted(counts.dropped.items())), counts.last_error,
                       tuple(counts.latencies_ms),
                       (counts.tracks, counts.tracks_lost, counts.tracks_found))
                      for stream, counts in self._counts.items()]
        # percentiles take longer than any frame should be held up
        return tuple(CameraCount(*copy, Percentiles.of(latencies_ms), *tracks)
                     for *copy, latencies_ms, tracks in copies)

    def _of(self, camera, instance):
        stream = camera, instance
        if stream not in self._counts:
            if stream not in self._names:
                if (self._strangers >= MOST_STRANGERS
                        or max(len(camera), len(instance)) > LONGEST_NAME):
                    return self._counts.setdefault(STRANGERS, _Counts())
                self._strangers += 1
            self._counts[stream] = _Counts()
        return self._counts[stream]
