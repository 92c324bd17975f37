"""Tiny networks whose results tell which pixels they saw, and pictures to show them.

`cells` finds, in each of 4 x 4 cells, how much blue, green and red there is (YOLOv8's layout).
`mean` tells the mean blue, green and red of the whole image (classification).
`posed`, `masked` and `turned` are `cells` that also give two keypoints, a mask or an angle for
each cell; what they give is written into their files as Ultralytics does it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import yaml

SIDE = 32                   # of the networks' input
GRID = 4
ANGLE = np.pi / 2           # of the boxes of `turned`
LABELS = ('blue', 'green', 'red')
_DOCUMENT = {
    'width': SIDE, 'height': SIDE, 'colour': 'bgr', 'mean': [0.0] * 3, 'std': [255.0] * 3,
    'resize': 'stretch', 'labels': list(LABELS), 'deadline_ms': 1000.0,
}


@dataclasses.dataclass(frozen=True)
class Mark:
    """A cell of one colour on black: what a test's camera shows."""

    cell: int
    label: str
    level: int

    @property
    def score(self):
        return self.level / 255.0

    def image(self, width=64, height=64):
        """Return the BGR picture."""
        image = np.zeros((height, width, 3), np.uint8)
        left, top, right, bottom = self.box(width, height)
        image[top:bottom, left:right, LABELS.index(self.label)] = self.level
        return image

    def box(self, width=64, height=64):
        """Return left, top, right, bottom of the cell."""
        row, column = divmod(self.cell, GRID)
        return (column * width // GRID, row * height // GRID,
                (column + 1) * width // GRID, (row + 1) * height // GRID)


def mark_of(index):
    """Return a Mark that no other index below 48 has."""
    return Mark(index * 5 % GRID ** 2, LABELS[index % 3], 255 - 4 * index)


def encode(image, encoding):
    """Return (bytes, step) of a BGR image; written apart from the package's own encoder."""
    height, width = image.shape[:2]
    blue, green, red = (image[:, :, index] for index in range(3))
    alpha = np.full((height, width), 255, np.uint8)
    if encoding in ('bgr8', '8UC3'):
        array = image
    elif encoding == 'rgb8':
        array = np.stack((red, green, blue), -1)
    elif encoding in ('bgra8', '8UC4'):
        array = np.stack((blue, green, red, alpha), -1)
    elif encoding == 'rgba8':
        array = np.stack((red, green, blue, alpha), -1)
    elif encoding in ('bgr16', 'rgb16'):
        array = np.stack((blue, green, red) if encoding == 'bgr16' else (red, green, blue),
                         -1).astype(np.uint16) * 257
    elif encoding in ('nv12', 'nv21', 'nv24'):
        return _two_planes(image, encoding), width
    elif encoding in ('mono8', '8UC1'):
        array = image.max(axis=2)
    elif encoding in ('mono16', '16UC1', '32FC1'):
        array = image.max(axis=2).astype(np.float32 if encoding == '32FC1' else np.uint16) * 256
    elif encoding in ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv'):
        yuv = _yuv(image)
        array = np.empty((height, width, 2), np.uint8)
        luma, chroma = (1, 0) if encoding in ('yuv422', 'uyvy') else (0, 1)
        array[:, :, luma] = yuv[:, :, 0]
        array[:, 0::2, chroma] = yuv[:, 0::2, 1]
        array[:, 1::2, chroma] = yuv[:, 0::2, 2]
    else:
        # bayer_<first row><second row><bits>: one colour per pixel
        letters = encoding[len('bayer_'):len('bayer_') + 4]
        if encoding.endswith('16'):
            image = image.astype(np.uint16) * 257
        array = np.empty((height, width), image.dtype)
        for index, letter in enumerate(letters):
            row, column = divmod(index, 2)
            plane = image[:, :, 'bgr'.index(letter)]
            array[row::2, column::2] = plane[row::2, column::2]
    array = np.ascontiguousarray(array)
    return array.tobytes(), array.strides[0]


def _two_planes(image, encoding):
    """Return the bytes of Y, and behind them those of U and V, of which four pixels share one."""
    yuv = _yuv(image)
    chroma = yuv[..., 1:] if encoding == 'nv24' else yuv[::2, ::2, 1:]
    if encoding == 'nv21':
        chroma = chroma[..., ::-1]
    return yuv[..., 0].tobytes() + chroma.tobytes()


def _yuv(image):
    """Return BT.601 in the range of video, as cameras send it."""
    matrix = np.array([[0.098, 0.504, 0.257], [0.439, -0.291, -0.148], [-0.071, -0.368, 0.439]])
    return np.rint(image @ matrix.T + (16, 128, 128)).astype(np.uint8)


def write_models(directory):
    """Write cells and mean into a directory; returns it."""
    _write(directory, 'cells', _cells(), decoder='yolov8')
    _write(directory, 'mean', _mean(), decoder='classification', colour='rgb',
           labels=list(reversed(LABELS)), deadline_ms=500.0)
    _write(directory, 'boxed', _cells(), decoder='yolov8', resize='letterbox')
    for name, graph, metadata in (
            ('posed', _cells(_keypoints()), {'task': 'pose', 'kpt_shape': '[2, 3]'}),
            ('masked', _cells(np.ones((1, GRID ** 2)), 'output1'), {'task': 'segment'}),
            ('turned', _cells(np.full((1, GRID ** 2), ANGLE)), {'task': 'obb'})):
        names = repr(dict(enumerate(LABELS)))
        _write(directory, name, graph, {**metadata, 'names': names, 'end2end': 'False'},
               decoder='yolov8', labels=[])
    return directory


def _write(directory, name, graph, metadata=None, **changes):
    import onnx

    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)],
                                   ir_version=8)
    onnx.helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    onnx.save(model, str(directory / f'{name}.onnx'))
    document = dict(_DOCUMENT, onnx=f'{name}.onnx')
    document.update(changes)
    (directory / f'{name}.yaml').write_text(yaml.safe_dump(document))


def _centres():
    """Return x and y (cells,) of the cells' centres in the network's input."""
    centres = (np.arange(GRID) + 0.5) * SIDE / GRID
    return np.tile(centres, GRID), np.repeat(centres, GRID)


def _keypoints():
    """Return rows of two points for each cell: its centre, and one pixel right of it."""
    x, y = _centres()
    return np.stack((x, y, np.full_like(x, 0.75), x + 1, y, np.full_like(x, 0.25)))


def _cells(rest=None, prototypes=''):
    """Return the graph of `cells`, with more rows, and an output of one prototype if named."""
    from onnx import TensorProto, helper, numpy_helper

    side = SIDE // GRID
    size = np.full(GRID ** 2, side)
    constants = {'boxes': np.stack((*_centres(), size, size))[None].astype(np.float32),
                 'zero': np.zeros(1, np.float32), 'one': np.ones(1, np.float32),
                 'flat': np.array([0, 3, GRID ** 2], np.int64)}
    node = helper.make_node
    nodes = [node('AveragePool', ['x'], ['pooled'], kernel_shape=[side] * 2, strides=[side] * 2),
             node('Reshape', ['pooled', 'flat'], ['scores']),
             # the boxes, once for each image of the batch
             node('ReduceMean', ['scores'], ['any'], axes=[1], keepdims=1),
             node('Mul', ['any', 'zero'], ['nothing']),
             node('Add', ['nothing', 'boxes'], ['places'])]
    parts, rows = ['places', 'scores'], 7
    if rest is not None:
        constants['rest'] = rest[None].astype(np.float32)
        nodes.append(node('Add', ['nothing', 'rest'], ['more']))
        parts, rows = [*parts, 'more'], 7 + len(rest)
    name = 'output0' if prototypes else 'y'
    nodes.append(node('Concat', parts, [name], axis=1))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ['N', rows, GRID ** 2])]
    if prototypes:
        nodes += [node('ReduceMean', ['pooled'], ['grey'], axes=[1], keepdims=1),
                  node('Mul', ['grey', 'zero'], ['blank']),
                  node('Add', ['blank', 'one'], [prototypes])]
        outputs.append(helper.make_tensor_value_info(
            prototypes, TensorProto.FLOAT, ['N', 1, GRID, GRID]))
    return helper.make_graph(
        nodes, 'cells',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, SIDE, SIDE])], outputs,
        [numpy_helper.from_array(array, key) for key, array in constants.items()])


def _mean():
    from onnx import TensorProto, helper

    return helper.make_graph(
        [helper.make_node('GlobalAveragePool', ['x'], ['y'])], 'mean',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, SIDE, SIDE])],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['N', 3, 1, 1])])
