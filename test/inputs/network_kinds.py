"""Networks as exporters write them, from a file without a description to its box.

Each is described by `s3dnn models describe` and run by `s3dnn models check`.
"""

import cv2
import numpy as np
import onnx
import yaml
from constant_networks import write_constant
from kinds import kind
from onnx import TensorProto

from s3dnn_ros.commands.check import check_model
from s3dnn_ros.models.describe import describe
from s3dnn_ros.models.spec import load_spec

SECTION = 'Networks (ONNX)'
WIDTH, HEIGHT = 320, 160
NAMES = ('cat', 'dog', 'bird')
SAYS = {'task': 'detect', 'names': str(dict(enumerate(NAMES)))}
WITH_LABELS = {'changes': {'labels': list(NAMES)}}
# The one box that all of them find is a dog's: left, top, right, bottom; centre and size.
BOX, CENTRED = (80.0, 40.0, 240.0, 120.0), (160.0, 80.0, 160.0, 80.0)
SHARES = np.divide(CENTRED, (WIDTH, HEIGHT, WIDTH, HEIGHT))
# Cells of its grids of 8, 16 and 32 pixels.
CELLS = (800, 200, 50)
CANDIDATES = sum(CELLS)


def described(folder, *arguments, changes=None, **more):
    """Return the spec of a constant network, as it is suggested but for `changes`."""
    path = write_constant(folder / 'net.onnx', *arguments, side=(HEIGHT, WIDTH), **more)
    values = {**yaml.safe_load(describe(path).text), **(changes or {})}
    (folder / 'net.yaml').write_text(yaml.safe_dump(values), encoding='utf-8')
    return load_spec(folder / 'net.yaml')


def checked(spec, folder):
    """Return the report on a picture of the input's size."""
    cv2.imwrite(str(folder / 'photo.png'), np.full((spec.height, spec.width, 3), 90, np.uint8))
    return check_model(spec, folder / 'photo.png', 0.4)


def finds(folder, outputs, *, decoder, label='dog', **more):
    """Expect the box, read by this decoder; return it and a note."""
    report = checked(described(folder, outputs, **more), folder)
    box, = report.boxes
    np.testing.assert_allclose(box.xyxy, BOX, atol=0.51)
    assert (report.decoder, box.label) == (decoder, label)
    return box, f'read by `{decoder}`'


def rows(count, *row, empty=0.0):
    """Return an output (1, count, values) with one row that is not empty."""
    output = np.full((1, count, len(row)), empty, np.float32)
    output[0, 1] = row
    return output


def columns(count, *row):
    """Return it as YOLOv8 has it, (1, values, count)."""
    return rows(count, *row).transpose(0, 2, 1)


def _exported(what, *arguments, more=None, **options):
    @kind(SECTION, what)
    def use(folder):
        return finds(folder, *arguments, **options, **(more or {}))[1]


def _yolox():
    output = np.zeros((1, CANDIDATES, 8), np.float32)
    # column 5, row 2 of the grid of 32 pixels: its corner is at (160, 64)
    output[0, 800 + 200 + 25] = 0, 0.5, np.log(5), np.log(2.5), 0.9, 0, 0.9, 0
    return output


_V8 = {'output0': columns(CANDIDATES, *CENTRED, 0, 0.9, 0)}
_exported('YOLOv5, v7, YOLOX with decoded boxes: (N, boxes, 5 + classes)',
          {'output': rows(3 * CANDIDATES, *CENTRED, 0.9, 0, 0.9, 0)}, decoder='yolov5',
          more=WITH_LABELS)
_exported('YOLOv8, v9, 11: (N, 4 + classes, boxes)', _V8, decoder='yolov8', more=SAYS)
_exported('the same without a word on itself', _V8, decoder='yolov8', label='1')
_exported('YOLOv10, 26, and others that end in their final boxes: (N, 300, 6)',
          {'output0': rows(300, *BOX, 0.9, 1)}, decoder='yolo_final',
          more={**SAYS, 'end2end': 'True'})
_exported('YOLOX as it is trained: boxes in their cells',
          {'output': _yolox()}, decoder='yolox', more=WITH_LABELS)
_exported('RT-DETR of Ultralytics: (N, 300, 4 + classes)',
          {'output0': rows(300, *SHARES, 0.01, 0.9, 0.01)}, decoder='rtdetr', more=WITH_LABELS)
_exported('RT-DETR with a second input for the size of the image',
          {'labels': np.full((1, 300), 1), 'boxes': rows(300, *BOX),
           'scores': rows(300, 0.9)[..., 0]}, decoder='ssd',
          more={'more': [('orig_target_sizes', ['N', 2])], **WITH_LABELS})
_exported('DETR and its successors: `logits`, `pred_boxes`',
          {'logits': rows(300, -9, 3, -9, empty=-9.0), 'pred_boxes': rows(300, *SHARES)},
          decoder='detr', more=WITH_LABELS)
_exported('SSD: `scores` with one for the background, `boxes` as shares',
          {'scores': rows(300, 0.1, 0, 0.9, 0), 'boxes': rows(300, *np.divide(
              BOX, (WIDTH, HEIGHT, WIDTH, HEIGHT)))}, decoder='ssd', more=WITH_LABELS)


def _nanodet():
    outputs = {}
    for stride, cells in zip((8, 16, 32), CELLS):
        outputs[f'cls_{stride}'] = np.zeros((1, cells, 3), np.float32)
        outputs[f'reg_{stride}'] = np.zeros((1, cells, 44), np.float32)
    # column 4, row 2 of the grid of 32 pixels: its centre is at (144, 80)
    outputs['cls_32'][0, 24, 1] = 0.9
    edges = outputs['reg_32'][0, 24].reshape(4, 11)
    edges[:] = -50.0
    for edge, (cells, part) in enumerate(((2, 0.0), (1, 0.25), (3, 0.0), (1, 0.25))):
        edges[edge, cells:cells + 2] = np.log((1.0 - part, max(part, 1e-9)))
    return outputs


_exported('NanoDet: classes and edges for each grid', _nanodet(), decoder='nanodet',
          more=WITH_LABELS)


@kind(SECTION, 'YOLOv8 and 11 with keypoints (`task: pose`)')
def _pose(folder):
    box, note = finds(
        folder, {'output0': columns(CANDIDATES, *CENTRED, 0.9, 20, 10, 0.8, 40, 20, 0.7)},
        decoder='yolov8', label='person', task='pose', kpt_shape='[2, 3]',
        names="{0: 'person'}")
    np.testing.assert_allclose(box.keypoints, [[20, 10, 0.8], [40, 20, 0.7]], atol=0.01)
    return note


@kind(SECTION, 'YOLOv8 and 11 with masks (`task: segment`)')
def _segment(folder):
    box, note = finds(
        folder, {'output0': columns(CANDIDATES, *CENTRED, 0, 0.9, 0, 1.0, 0.0),
                 'output1': np.ones((1, 2, 8, 16), np.float32)},
        decoder='yolov8', **{**SAYS, 'task': 'segment'})
    assert box.mask_share == 1.0
    return note


@kind(SECTION, 'YOLOv8 and 11 with oriented boxes (`task: obb`)')
def _oriented(folder):
    box, note = finds(folder, {'output0': columns(CANDIDATES, *CENTRED, 0, 0.9, 0, 0.0)},
                      decoder='yolov8', **{**SAYS, 'task': 'obb'})
    np.testing.assert_allclose(box.oriented, (*CENTRED, 0.0), atol=0.01)
    return note


@kind(SECTION, 'a classifier: (N, classes), also (N, classes, 1, 1)')
def _classifier(folder):
    for shape in ((1, 3), (1, 3, 1, 1)):
        scores = np.reshape([0.1, 5.0, 0.1], shape)
        report = checked(described(folder, {'scores': scores}, **WITH_LABELS), folder)
        assert (report.decoder, report.boxes[0].label) == ('classification', 'dog')
        assert report.boxes[0].score > 0.9
    return 'read by `classification`, with a softmax if it ends without'


_exported('exported for one image at a time (batch 1)', _V8, decoder='yolov8',
          more={'batch': 1, **SAYS})
_exported('its input in half precision', _V8, decoder='yolov8',
          more={'kind': TensorProto.FLOAT16, **SAYS})
_exported('its input with colours last (N, height, width, 3)', _V8, decoder='yolov8',
          more={'channels_last': True, **SAYS})
_exported('a format (IR) that is newer than the runtime', _V8, decoder='yolov8',
          more={'ir_version': onnx.IR_VERSION, **SAYS})


@kind(SECTION, 'an output that nobody reads, full of infinities')
def _unread(folder):
    outputs = {**_V8, 'features': np.full((1, 4), np.inf)}
    return finds(folder, outputs, decoder='yolov8', changes={
        'decoder_options': {'output': 'output0'}}, **SAYS)[1]


@kind(SECTION, 'scores that are no shares: the end of the network is missing')
def _scores(folder):
    outputs = {'output0': columns(CANDIDATES, *CENTRED, 0, 7.5, 0)}
    checked(described(folder, outputs, **SAYS), folder)


@kind(SECTION, 'outputs that no decoder reads')
def _heat(folder):
    described(folder, {'heat': np.zeros((1, 2, 8, 16))})


@kind(SECTION, 'labels that are fewer than its classes')
def _few_labels(folder):
    checked(described(folder, _V8, changes={'labels': ['cat', 'dog']}), folder)


@kind(SECTION, '`labels` that call the classes otherwise than the file does')
def _other_names(folder):
    finds(folder, _V8, decoder='yolov8', label='hound',
          changes={'labels': ['cat', 'hound', 'bird']}, **SAYS)
    return '`labels` count'


@kind(SECTION, '`labels` of another number than the file names')
def _more_labels(folder):
    checked(described(folder, _V8, changes={'labels': list('abcd')}, **SAYS), folder)


@kind(SECTION, 'a file that says more classes of itself than it has')
def _lies(folder):
    checked(described(folder, _V8, task='detect',
                      names=str(dict(enumerate('abcdefgh')))), folder)


@kind(SECTION, 'a file that was cut short')
def _cut(folder):
    path = write_constant(folder / 'net.onnx', _V8)
    path.write_bytes(path.read_bytes()[:-50])
    describe(path)


def _no_network(what, content):
    @kind(SECTION, what)
    def use(folder):
        (folder / 'net.onnx').write_bytes(content)
        describe(folder / 'net.onnx')


_no_network('weights of PyTorch (`.pt`)', b'PK\x03\x04' + bytes(100))
_no_network('an engine of TensorRT', b'ftrt' + bytes(100))
_no_network('a pointer of Git LFS', b'version https://git-lfs\n')
_no_network('a page of the web under the name of a network', b'<!DOCTYPE html><html>')


@kind(SECTION, 'a file without the file of weights that it names')
def _without_weights(folder):
    path = write_constant(folder / 'net.onnx', _V8)
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location='net.data',
              size_threshold=0)
    (folder / 'net.data').unlink()
    describe(path)
