"""What an exporter has written about a network into its file, as Ultralytics' exporters do."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, Mapping, Tuple

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.labels import labels_of
from s3dnn_ros.models.spec import ModelSpec

# No exporter writes more into one entry; what is longer is not looked at.
LONGEST_ENTRY = 4_000_000
TASKS_IN_ROWS = ('segment', 'pose', 'obb')
WITH_TASKS = ('yolov8', 'yolo_final')


@dataclass(frozen=True)
class Metadata:
    """What a network's file says of it; all empty where it says nothing, or nothing usable.

    `task` is one of Ultralytics' names; `names` are those of the classes; `keypoints` and
    `keypoint_values` are of the task pose. `is_final` says whether boxes come without overlaps,
    None where nobody says.
    """

    task: str = ''
    names: Tuple[str, ...] = ()
    keypoints: int = 0
    keypoint_values: int = 0
    is_final: Any = None

    def complete(self, spec: ModelSpec) -> ModelSpec:
        """Return a description with what it leaves out: labels, task and keypoints.

        Raises ModelError where it says something else than the file.
        """
        self._agree(spec)
        options: Dict[str, Any] = dict(spec.decoder_options)
        if self.task in TASKS_IN_ROWS and spec.decoder in WITH_TASKS:
            options.setdefault('task', self.task)
            if self.task == 'pose' and self.keypoints:
                options.setdefault('keypoints', self.keypoints)
                options.setdefault('keypoint_values', self.keypoint_values)
        return replace(spec, labels=spec.labels or self.names, decoder_options=options)

    def _agree(self, spec):
        if self.names and spec.labels and len(self.names) != len(spec.labels):
            raise ModelError(
                f"model '{spec.name}'", f'has {len(spec.labels)} labels, and {spec.onnx} names '
                f'{len(self.names)} classes itself; correct `labels`, or leave them out')
        task = spec.decoder_options.get('task', self.task)
        if spec.decoder in WITH_TASKS and self.task and task != self.task:
            self._fail(spec, f"its task is '{self.task}', not '{task}'; correct `task` in "
                             'decoder_options, or leave it out')
        if spec.decoder == 'yolo_final' and self.is_final is False:
            self._fail(spec, 'its boxes are not final (end2end: false); set decoder: yolov8')
        if spec.decoder in ('yolov5', 'yolov8') and self.is_final:
            self._fail(spec, 'its boxes are final (end2end, or exported with nms); set decoder: '
                             'yolo_final')
        if spec.decoder == 'yolov5' and self.task in TASKS_IN_ROWS:
            self._fail(spec, f"its task is '{self.task}', which this decoder does not read; set "
                             'decoder: yolov8, or export it for the task detect')
        if (spec.decoder == 'classification') != (self.task == 'classify') and self.task:
            self._fail(spec, f"its task is '{self.task}'; choose a decoder of it")

    def _fail(self, spec, sentence):
        raise ModelError(f"model '{spec.name}'", f"is read by decoder '{spec.decoder}', and "
                         f'{spec.onnx} says of itself: {sentence}')


def metadata_of(model) -> Metadata:
    """Return what an onnx.ModelProto says of itself."""
    return read_metadata({entry.key: entry.value for entry in model.metadata_props})


def read_metadata(entries: Mapping[str, str]) -> Metadata:
    """Return what is usable of the entries in a file; nothing is taken for granted in them."""
    if 'task' not in entries:
        # another exporter means something else by the same words
        return Metadata()
    shape = _literal(entries, 'kpt_shape')
    points = (tuple(shape) if isinstance(shape, (list, tuple)) and len(shape) == 2
              and all(type(size) is int and size > 0 for size in shape) else (0, 0))
    arguments = _literal(entries, 'args')
    is_final = _literal(entries, 'end2end')
    if isinstance(arguments, dict) and arguments.get('nms') is True:
        is_final = True
    return Metadata(entries['task'].strip()[:40], _names(_literal(entries, 'names')), *points,
                    is_final=is_final if isinstance(is_final, bool) else None)


def _literal(entries, key) -> Any:
    text = entries.get(key, '')
    if not 0 < len(text) <= LONGEST_ENTRY:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _names(value) -> Tuple[str, ...]:
    if not isinstance(value, (dict, list, tuple)):
        return ()
    try:
        return labels_of(value, Path())
    except ValueError:
        return ()
