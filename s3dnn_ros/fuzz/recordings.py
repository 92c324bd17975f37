"""Hostile recordings of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, List

from s3dnn_ros.fuzz.mutations import mutated_json
from s3dnn_ros.runtime.recorder import RequestTimes, Stamp
from s3dnn_ros.runtime.recording import STAGES, Change, Name, Recording, Run, read_recording
from s3dnn_ros.runtime.variant_chooser import Boundary

_TREE = Recording(
    Run('a board', False, 'supervised', {'commit': 'abc'}, 'executor', 3, 1.5, {'net': 1.0}),
    {'net': 'model'}, [RequestTimes(1, 'net', 1.0, 1.04)],
    [Stamp(stage, 1, 'net', 0, 1.0, 1) for stage in STAGES],
    [Boundary(1.0, 1, 'net', 0, 0.01, 7, 2)], [Change(1.0, 7)], [Name(7, 'fast')]).document()


class Recordings:
    """JSON of what an executor did."""

    name = 'recording'

    def __init__(self, folder: Path):
        self._path = folder / 'recording.json'

    def make(self, chance):
        """Return an input; see `Kind`."""
        return mutated_json(_TREE, chance)

    def use(self, given):
        """Use it; see `Kind`."""
        self._path.write_bytes(given)
        read_recording(self._path).document()


KINDS: List[Callable] = [Recordings]
