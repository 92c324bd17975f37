"""Hostile images, raw, compressed and in bags; and outputs of networks that mean nothing."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any, Callable, List

import cv2
import numpy as np

from s3dnn_ros.fuzz.mutations import mutated, mutated_yaml
from s3dnn_ros.images.bag import bag_images
from s3dnn_ros.images.compressed import decode_compressed
from s3dnn_ros.images.pixels import ENCODINGS, Pixels, fit
from s3dnn_ros.images.raw import view_raw
from s3dnn_ros.models.decoders import decoder_names, make_decoder

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
        return encoding, width, height, step, max(0, length), chance.random() < 0.3

    def use(self, given):
        """Use it; see `Kind`."""
        *described, length, is_bigendian = given
        _fitted(view_raw(*described, bytes(length), is_bigendian=is_bigendian))


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
        self._shapes = {
            'nanodet': [{'y': (2, 48 + 12, 3 + 4 * 8)},
                        {'cls_8': (2, 48, 3), 'reg_8': (2, 48, 32), 'cls_16': (2, 12, 3),
                         'reg_16': (2, 12, 32)}],
            'yolov5': [{'y': (2, 40, 8)}], 'yolov8': [{'y': (2, 7, 40)}],
            'classification': [{'y': (2, 5)}],
            'ssd': [{'boxes': (2, 20, 4), 'scores': (2, 20, 3)}]}
        self._decoders = {
            name: make_decoder(name, 64, 48, **({'strides': (8, 16), 'bins': 8}
                                                if name == 'nanodet' else {'softmax': True}
                                                if name == 'classification' else {}))
            for name in decoder_names() if name in self._shapes}

    def make(self, chance):
        """Return an input; see `Kind`."""
        name = chance.choice(sorted(self._decoders))
        shapes = dict(chance.choice(self._shapes[name]))
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
        return (name, shapes, chance.randrange(2**32),
                chance.choice(('f4', 'f4', 'f2', 'f8', 'i4')),
                chance.choice((0.0, 0.25, 1.0)), chance.choice((0.0, 0.5, 1.0)),
                chance.choice((0, 1, 100)))

    def use(self, given):
        """Use it; see `Kind`."""
        name, shapes, seed, dtype, score, iou, most = given
        rng = np.random.default_rng(seed)
        with np.errstate(all='ignore'):
            outputs = {output: self._array(rng, shape).astype(dtype)
                       for output, shape in shapes.items()}
            decoder = self._decoders[name]
            decoder.check(shapes)
            decoder.scores(outputs)
            for boxes in decoder.decode(outputs, score, iou, most):
                assert len(boxes) <= most and np.isfinite(boxes.xyxy).all()

    def _array(self, rng, shape):
        array = rng.random(shape) * rng.choice((1, 1, 1, 100))
        wrong = rng.random(shape) < rng.choice((0.0, 0.01, 0.5))
        return np.where(wrong, rng.choice(_NUMBERS, shape), array)


KINDS: List[Callable] = [CompressedImages, RawImages, Bags, Outputs]
