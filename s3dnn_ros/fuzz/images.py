"""Hostile images: raw, compressed, in bags, of depths; what networks give and say."""

from __future__ import annotations

import random
import shutil
import struct
import types
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

import cv2
import numpy as np

from s3dnn_ros.distance.camera import PinholeCamera
from s3dnn_ros.distance.cloud import cloud_of, view_points
from s3dnn_ros.distance.compressed_depth import open_compressed_depth
from s3dnn_ros.distance.depth_image import open_depth
from s3dnn_ros.fuzz.mutations import mutated, mutated_yaml
from s3dnn_ros.images.bag import bag_images
from s3dnn_ros.images.compressed import decode_compressed
from s3dnn_ros.images.pixels import ENCODINGS, Pixels, fit
from s3dnn_ros.images.raw import view_raw
from s3dnn_ros.models.decoders import decoder_names, make_decoder
from s3dnn_ros.models.metadata import read_metadata
from s3dnn_ros.transport.frames import Transform

_PICTURE = (np.indices((48, 64, 3)).sum(0) * 3 % 256).astype(np.uint8)
_SUFFIXES = ('.jpg', '.png', '.webp', '.tiff', '.bmp')
_FORMATS = ('', 'jpeg', 'png', 'rgb8; jpeg compressed bgr8', 'bayer_rggb8; jpeg compressed',
            'mono16; png compressed', '16UC1; compressedDepth', 'h264', ';;;', '; png', 'x' * 9999,
            '\0', '\ud800')
_SIZES = (-1, 0, 1, 2, 3, 7, 8, 64, 8192, 8193, 2**31 - 1, 2**32 - 1)
_NUMBERS = (0.0, -1.0, 0.5, 1.0, 1.0005, 2.0, 1e30, -1e30, float('nan'), float('inf'),
            -float('inf'))


def _fitted(pixels: Pixels) -> None:
    target = np.empty((6, 8, 3), np.uint8)
    for resize in ('stretch', 'letterbox'):
        fit(pixels, target, colour='rgb', resize=resize)


class CompressedImages:
    """Files of all formats, damaged, under any `format`."""

    name = 'compressed image'

    def __init__(self, folder: Path):
        self._contents = [cv2.imencode(suffix, _PICTURE)[1].tobytes() for suffix in _SUFFIXES]
        self._contents += [cv2.imencode('.png', array)[1].tobytes() for array in (
            _PICTURE[..., 0], _PICTURE.astype(np.uint16) * 200)]

    def make(self, chance: random.Random) -> Any:
        """Return an input; see `Kind`."""
        return mutated(chance.choice(self._contents), chance), chance.choice(_FORMATS)

    def use(self, given: Any) -> None:
        """Use it; see `Kind`."""
        content, format = given
        _fitted(decode_compressed(content, format))


class RawImages:
    """Images of all encodings whose size, step and data do not belong together."""

    name = 'raw image'

    def __init__(self, folder: Path):
        self._encodings = [*ENCODINGS, '', 'x', 'rgb8\0', 'mono8 ', 'x' * 9999]

    def make(self, chance):
        """Return an input; see `Kind`."""
        encoding = chance.choice(self._encodings)
        width, height, step = chance.choices(_SIZES, (1, 1, 2, 2, 2, 2, 8, 8, 1, 1, 1, 1), k=3)
        if chance.random() < 0.6:
            step = max(1, width) * chance.choice((1, 2, 3, 4, 6, 8))
        length = min(max(0, step * height), 2_000_000) + chance.choice((-1, 0, 0, 0, 1, 4000))
        value_range = chance.choice((None, (0.0, 16383.0), (-1e9, 1e9), (0.0, 5e-324)))
        return (encoding, width, height, step, max(0, length), chance.random() < 0.3,
                value_range)

    def use(self, given):
        """Use it; see `Kind`."""
        *described, length, is_bigendian, value_range = given
        _fitted(view_raw(*described, bytes(length), is_bigendian=is_bigendian,
                         value_range=value_range))


class Bags:
    """Recorded bags, of sqlite3 and mcap, whose data or description are damaged."""

    name = 'bag'

    def __init__(self, folder: Path):
        from rosbags import rosbag2
        from rosbags.typesys import Stores, get_typestore

        types = get_typestore(Stores.ROS2_HUMBLE)
        header = types.types['std_msgs/msg/Header'](
            types.types['builtin_interfaces/msg/Time'](1, 2), 'camera')
        self._bag, self._bags = folder / 'damaged', []
        for storage in rosbag2.StoragePlugin:
            path = folder / storage.name
            with rosbag2.Writer(path, version=9, storage_plugin=storage) as bag:
                for suffix in ('Image', 'CompressedImage'):
                    kind = f'sensor_msgs/msg/{suffix}'
                    message = types.types[kind](
                        header, 48, 64, 'bgr8', 0, 192, _PICTURE.ravel()) if suffix == 'Image' \
                        else types.types[kind](
                            header, 'jpeg', np.frombuffer(_jpeg(), np.uint8))
                    connection = bag.add_connection(f'/{suffix}', kind, typestore=types)
                    for second in range(3):
                        bag.write(connection, 10**9 * second, types.serialize_cdr(message, kind))
            self._bags.append({file.name: file.read_bytes() for file in path.iterdir()})

    def make(self, chance):
        """Return an input; see `Kind`."""
        files = dict(chance.choice(self._bags))
        name = chance.choice(sorted(files))
        if name == 'metadata.yaml' and chance.random() < 0.7:
            from s3dnn_ros.base.content import yaml_of
            files[name] = mutated_yaml(yaml_of(files[name]), chance)
        else:
            files[name] = mutated(files[name], chance)
        return files, chance.choice(('', '/Image', '/CompressedImage', '/x'))

    def use(self, given):
        """Use it; see `Kind`."""
        files, topic = given
        shutil.rmtree(self._bag, ignore_errors=True)
        self._bag.mkdir()
        for name, content in files.items():
            (self._bag / name).write_bytes(content)
        for pixels in bag_images(self._bag, topic, 2):
            _fitted(pixels)


def _jpeg() -> bytes:
    return cv2.imencode('.jpg', _PICTURE)[1].tobytes()


class Outputs:
    """Outputs of any shape and number, for every decoder."""

    name = 'outputs of networks'

    def __init__(self, folder: Path):
        grids = {'strides': (8, 16)}
        masks = {'task': 'segment', 'output': 'y', 'prototypes': 'p'}
        prototypes = {'p': (2, 4, 6, 8)}
        # by decoder: its options, and shapes that fit
        kinds: Dict[str, List[Tuple[Dict[str, Any], Dict[str, Tuple[int, ...]]]]] = {
            'nanodet': [({**grids, 'bins': 8}, {'y': (2, 48 + 12, 3 + 4 * 8)}),
                        ({**grids, 'bins': 8}, {'cls_8': (2, 48, 3), 'reg_8': (2, 48, 32),
                                                'cls_16': (2, 12, 3), 'reg_16': (2, 12, 32)})],
            'yolov5': [({}, {'y': (2, 40, 8)})], 'yolox': [(grids, {'y': (2, 48 + 12, 8)})],
            'yolov8': [({}, {'y': (2, 7, 40)}), (masks, {'y': (2, 11, 40), **prototypes}),
                       ({'task': 'pose', 'keypoints': 2}, {'y': (2, 13, 40)}),
                       ({'task': 'obb'}, {'y': (2, 8, 40)})],
            'yolo_final': [({}, {'y': (2, 20, 6)}), (masks, {'y': (2, 20, 10), **prototypes}),
                           ({'task': 'pose', 'keypoints': 2, 'keypoint_values': 2},
                            {'y': (2, 20, 10)}),
                           ({'task': 'obb'}, {'y': (2, 20, 7)})],
            'rtdetr': [({}, {'y': (2, 20, 7)})],
            'detr': [({'activation': kind}, {'logits': (2, 20, 4), 'pred_boxes': (2, 20, 4)})
                     for kind in ('sigmoid', 'softmax')],
            'classification': [({'softmax': True}, {'y': (2, 5)})],
            'ssd': [({}, {'boxes': (2, 20, 4), 'scores': (2, 20, 3)})]}
        self._kinds = [(make_decoder(name, 64, 48, **options), shapes)
                       for name in decoder_names() for options, shapes in kinds[name]]

    def make(self, chance):
        """Return an input; see `Kind`."""
        kind = chance.randrange(len(self._kinds))
        shapes = dict(self._kinds[kind][1])
        if chance.random() < 0.3:
            output = chance.choice(sorted(shapes))
            shape = list(shapes.pop(output))
            change = chance.randrange(4)
            if change == 0:
                shape[chance.randrange(len(shape))] = chance.choice((0, 1, 2, 1000))
            elif change == 1:
                shape = shape[:chance.randrange(len(shape))]
            elif change == 2:
                shape.append(1)
            if change < 3 or chance.random() < 0.5:
                shapes[output if chance.random() < 0.9 else 'x'] = tuple(shape)
        return (kind, shapes, chance.randrange(2**32),
                chance.choice(('f4', 'f4', 'f2', 'f8', 'i4')),
                chance.choice((0.0, 0.25, 1.0)), chance.choice((0.0, 0.5, 1.0)),
                chance.choice((0, 1, 100)))

    def use(self, given):
        """Use it; see `Kind`."""
        kind, shapes, seed, dtype, score, iou, most = given
        rng = np.random.default_rng(seed)
        with np.errstate(all='ignore'):
            outputs = {output: self._array(rng, shape).astype(dtype)
                       for output, shape in shapes.items()}
            decoder = self._kinds[kind][0]
            decoder.check(shapes)
            decoder.scores(outputs)
            for boxes in decoder.decode(outputs, score, iou, most):
                assert len(boxes) <= most and np.isfinite(boxes.xyxy).all()
                assert len(list(boxes.in_source(Transform(2.0, 0.5, 3.0, -4.0), 640, 480))) == len(
                    boxes)

    def _array(self, rng, shape):
        array = rng.random(shape) * rng.choice((1, 1, 1, 100))
        wrong = rng.random(shape) < rng.choice((0.0, 0.01, 0.5))
        return np.where(wrong, rng.choice(_NUMBERS, shape), array)


class Depths:
    """Depth images, and point clouds where there is no encoding, whose fields do not fit."""

    name = 'depths'

    def __init__(self, folder: Path):
        self._camera = PinholeCamera(50.0, 50.0, 31.5, 23.5, 64, 48)

    def make(self, chance):
        """Return an input; see `Kind`."""
        # messages have no negative sizes
        sizes = [size for size in _SIZES if size >= 0]
        fields = {key: chance.choice((fits, fits, *sizes)) for key, fits in (
            ('width', 64), ('height', 48), ('step', 128), ('point_step', 12), ('row_step', 768))}
        places = [(name, chance.choice((4 * index, 4 * index, *sizes)),
                   chance.choice((7, 7, *range(12)))) for index, name in enumerate('xyz')]
        return (fields, [place for place in places if chance.random() < 0.95],
                chance.choice(('16UC1', '32FC1', 'bgr8', '', '', '')),
                chance.choice((0, 1)), chance.randbytes(chance.choice((0, 7, 6144, 36864))),
                chance.choice((0.0, 1e-3, 1.0)))

    def use(self, given):
        """Use it; see `Kind`."""
        values, places, encoding, is_bigendian, data, unit_m = given
        fields = [types.SimpleNamespace(name=name, offset=offset, datatype=datatype, count=1)
                  for name, offset, datatype in places]
        message = types.SimpleNamespace(**values, fields=fields, encoding=encoding, data=data,
                                        is_bigendian=is_bigendian)
        boxes = [(0.0, 0.0, 64.0, 48.0), (10.5, 3.0, 12.0, 9.5), (-5.0, 50.0, 3.0, float('nan'))]
        masks = [np.ones((3, 2)), None, np.zeros((1, 1))]
        depths = (open_depth(message, unit_m=unit_m) if encoding else
                  cloud_of(view_points(message), unit_m=unit_m))
        assert depths.locate(boxes, (64, 48), self._camera, masks).shape == (3, 3)


class CompressedDepths:
    """Messages of the plugin compressedDepth, damaged, under any `format`."""

    name = 'compressed depths'

    def __init__(self, folder: Path):
        self._camera = PinholeCamera(50.0, 50.0, 31.5, 23.5, 64, 48)
        self._pngs = [cv2.imencode('.png', array)[1].tobytes() for array in (
            _PICTURE[..., 0].astype(np.uint16) * 20, _PICTURE[..., 0], _PICTURE)]

    def make(self, chance):
        """Return an input; see `Kind`."""
        header = struct.pack('<iff', 0, *chance.choices((*_NUMBERS, 50.0), k=2))
        data = header + chance.choice(self._pngs[:1] * 4 + self._pngs[1:])
        if chance.random() < 0.5:
            data = mutated(data, chance)
        encoding = chance.choice((*('16UC1', '32FC1') * 4, 'bgr8', ''))
        codec = chance.choice((*('; compressedDepth', '; compressedDepth png') * 4, '',
                               '; compressedDepth rvl', '; png', '; '))
        return data, encoding + codec, chance.choice((0.0, 1e-3, 1.0))

    def use(self, given):
        """Use it; see `Kind`."""
        data, format, unit_m = given
        depths = open_compressed_depth(types.SimpleNamespace(data=data, format=format),
                                       unit_m=unit_m)
        assert depths.locate([(0.0, 0.0, 64.0, 48.0), (10.5, 3.0, 12.0, 9.5)], (64, 48),
                             self._camera).shape == (2, 3)


class SaidOfThemselves:
    """What files of networks say of themselves."""

    name = 'metadata of networks'
    _entries: Mapping[str, str] = {
        'task': 'pose', 'names': "{0: 'cat', 1: 'dog'}", 'kpt_shape': '[17, 3]',
        'end2end': 'True', 'args': "{'nms': True}"}

    def __init__(self, folder: Path):
        """Need nothing."""

    def make(self, chance):
        """Return an input; see `Kind`."""
        return {key: mutated(value.encode(), chance).decode('utf-8', 'replace')
                if chance.random() < 0.7 else value for key, value in self._entries.items()
                if chance.random() < 0.9}

    def use(self, given):
        """Use it; see `Kind`."""
        assert all(isinstance(name, str) for name in read_metadata(given).names)


KINDS: List[Callable] = [CompressedImages, RawImages, Bags, Depths, CompressedDepths, Outputs,
                         SaidOfThemselves]
