"""YOLO: one output with a box and its class scores per candidate."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from s3dnn_ros.models.box_decoder import BoxDecoder
from s3dnn_ros.models.boxes import Candidates, best_candidates, nothing
from s3dnn_ros.models.grids import cells_of, expect_cells
from s3dnn_ros.models.shapes import Shapes, fits, pick, refuse, size
from s3dnn_ros.models.yolo_tasks import (
    KEYPOINT_VALUES,
    KEYPOINTS,
    PROTOTYPES,
    Detect,
    Task,
    make_task,
)

# What Ultralytics' exporter calls the output of boxes where there are several.
BOXES = 'output0'


class _YoloDecoder(BoxDecoder):
    """Reads one output with boxes, of whose rows a task reads the rest."""

    def __init__(self, width: int, height: int, output: str, task: Task):
        super().__init__(width, height)
        self._output = output or (BOXES if task.reads else '')
        self._task = task

    def reads(self, outputs):
        """Return the output that is named, or the only one, and those of the task."""
        return (self._output or next(iter(outputs)), *self._task.reads)

    def finish(self, boxes, rows, outputs, image):
        """Return the boxes with what the task reads of their rows."""
        return self._task.finish(boxes, rows, outputs, image, self._width, self._height)

    def _boxes(self, outputs) -> np.ndarray:
        return outputs[self.reads(outputs)[0]]

    def _shape(self, decoder, layout, output_shapes: Shapes):
        """Return the shape of the output with boxes, and how wide the task's part of a row is."""
        expected = ', '.join((f'{self._output or "one output"} {layout}', *(
            f'{name} [N, prototypes, rows, columns]' for name in self._task.reads)))
        shape = output_shapes[pick(decoder, self._output, output_shapes, expected)]
        columns = self._task.columns(output_shapes)
        if columns < 0 or not fits(shape, (None, None, None)):
            refuse(decoder, expected, output_shapes)
        return expected, shape, columns


class YoloV5Decoder(_YoloDecoder):
    """Reads [N, boxes, 5 + classes]: centre x, y, width, height in pixels, objectness, scores.

    YOLOv3, v5 and v7 export this layout, and YOLOX if it decodes its boxes. A box's score is
    objectness × its best class. `output` names the tensor where the network has several.
    """

    name = 'yolov5'

    def __init__(self, width: int, height: int, output: str = ''):
        super().__init__(width, height, output, Detect())

    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes; see `decoders.Decoder`."""
        expected, shape, _ = self._shape(self.name, '[N, boxes, 5 + classes]', output_shapes)
        if shape[2] in range(6):
            refuse(self.name, expected, output_shapes)
        return max(size(shape, 2) - 5, 0)

    def scores(self, outputs):
        """Return objectness and class scores of all candidates."""
        (name,) = self.reads(outputs)
        return {name: outputs[name][..., 4:]}

    def candidates(self, outputs, score_threshold):
        """Yield the candidates of one image after the other."""
        for rows in self._boxes(outputs):
            # No class can lift a box over its objectness: most boxes end here.
            chosen = np.flatnonzero(rows[:, 4] >= score_threshold)
            rows = rows[chosen]
            yield _best_class(self.centred(rows[:, :4], chosen), rows[:, 5:] * rows[:, 4:5],
                              rows[:, :0], score_threshold, self._task)

    def centred(self, boxes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return the chosen boxes (n, 4) with centre and size in pixels; here they are so."""
        return boxes


class YoloXDecoder(YoloV5Decoder):
    """Reads [N, cells, 5 + classes] of YOLOX as it is exported: boxes relative to their cells.

    Centres are offsets from a cell in strides, sizes logarithms of strides; objectness and scores
    are as in yolov5. `strides` are those of the grids, in order.
    """

    name = 'yolox'

    def __init__(self, width: int, height: int, output: str = '',
                 strides: Sequence[int] = (8, 16, 32)):
        super().__init__(width, height, output)
        expect_cells(width, height, strides)
        cells = [cells_of(width, height, stride, 0.0) for stride in strides]
        self._corners = np.concatenate(cells)
        self._strides = np.repeat(np.float32(strides), list(map(len, cells)))[:, np.newaxis]

    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes; see `decoders.Decoder`."""
        classes = super().check(output_shapes)
        shape = output_shapes[self.reads(output_shapes)[0]]
        if not fits(shape, (None, len(self._corners), None)):
            refuse(self.name, f'[N, {len(self._corners)}, 5 + classes]', output_shapes)
        return classes

    def centred(self, boxes, chosen):
        """Return the chosen boxes with centre and size in pixels."""
        stride = self._strides[chosen]
        with np.errstate(over='ignore'):    # what is infinite is no box
            return np.concatenate((boxes[:, :2] * stride + self._corners[chosen],
                                   np.exp(boxes[:, 2:].astype(np.float32)) * stride), axis=1)


class _TaskDecoder(_YoloDecoder):
    """A decoder that users give a task."""

    def __init__(self, width: int, height: int, output: str = '', task: str = 'detect',
                 prototypes: str = PROTOTYPES, keypoints: int = KEYPOINTS,
                 keypoint_values: int = KEYPOINT_VALUES):
        super().__init__(width, height, output, make_task(task, prototypes, keypoints,
                                                          keypoint_values))


class YoloV8Decoder(_TaskDecoder):
    """Reads [N, 4 + classes + …, boxes]: centre x, y, width, height in pixels, scores, the rest.

    YOLOv8, v9 and v11 export this layout. `output` names the tensor where the network has
    several. `task` says what the rest is: nothing (detect), the weights of another output, which
    `prototypes` names (segment), `keypoints` points of `keypoint_values` each (pose), or an angle
    (obb).
    """

    name = 'yolov8'

    def check(self, output_shapes: Shapes) -> int:
        """Return the number of classes; see `decoders.Decoder`."""
        rest = f' + {self._task.name}' if self._task.name != 'detect' else ''
        expected, shape, columns = self._shape(
            self.name, f'[N, 4 + classes{rest}, boxes]', output_shapes)
        if shape[1] in range(5 + columns):
            refuse(self.name, expected, output_shapes)
        if size(shape, 1) > size(shape, 2) > 0:
            refuse(self.name, f'{expected} with more boxes than classes', output_shapes)
        return max(size(shape, 1) - 4 - columns, 0)

    @property
    def suppress(self):
        """Return what the task leaves out."""
        return self._task.suppress

    def scores(self, outputs):
        """Return the class scores of all candidates."""
        end = self._end(outputs)
        return {self.reads(outputs)[0]: self._boxes(outputs)[:, 4:end]}

    def candidates(self, outputs, score_threshold):
        """Yield the candidates of one image after the other."""
        end = self._end(outputs)
        for columns in self._boxes(outputs):
            rows = columns[:, (columns[4:end] >= score_threshold).any(axis=0)].T
            yield _best_class(rows[:, :4], rows[:, 4:end], rows[:, end:], score_threshold,
                              self._task)

    def _end(self, outputs) -> int:
        """Return where the scores of a row end."""
        columns = self._task.columns({name: array.shape for name, array in outputs.items()})
        return self._boxes(outputs).shape[1] - columns


class YoloFinalDecoder(_TaskDecoder):
    """Reads [N, boxes, 6 + …]: left, top, right, bottom in pixels, score, class, the rest.

    YOLOv10, YOLO26 and Ultralytics' exports with `nms` give this: boxes that are final, so that
    nothing is left out for its overlap. With the task obb a row begins with centre and size.
    `output`, `task` and its options are as in yolov8.
    """

    name = 'yolo_final'
    suppress = staticmethod(nothing)

    def check(self, output_shapes: Shapes) -> int:
        """Return 0, as nobody knows the number of classes; see `decoders.Decoder`."""
        rest = f' + {self._task.name}' if self._task.name != 'detect' else ''
        expected, shape, columns = self._shape(
            self.name, f'[N, boxes, 6{rest}]', output_shapes)
        if not fits(shape, (None, None, 6 + columns)):
            refuse(self.name, expected, output_shapes)
        return 0

    def scores(self, outputs):
        """Return the scores of all boxes."""
        return {self.reads(outputs)[0]: self._boxes(outputs)[..., 4]}

    def candidates(self, outputs, score_threshold):
        """Yield the candidates of one image after the other."""
        for rows in self._boxes(outputs):
            rows = rows[rows[:, 4] >= score_threshold]
            rows = rows[np.isfinite(rows[:, 5])]
            xyxy, rest = self._task.final(rows[:, :4], rows[:, 6:])
            yield Candidates(xyxy, rows[:, 4], rows[:, 5].astype(np.int32), rest)


def _best_class(centred, scores, rest, score_threshold, task: Task) -> Candidates:
    """Return the boxes that count, of (n, 4) with centre and size, by their best class."""
    # A NaN would win argmax and hide a good class beside it.
    scores = np.where(np.isfinite(scores), scores, -1.0)
    class_ids = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), class_ids]
    kept = np.flatnonzero(best >= score_threshold)
    kept = kept[best_candidates(best[kept])]
    xyxy, rows = task.boxes(centred[kept], rest[kept])
    return Candidates(xyxy, best[kept], class_ids[kept], rows)
