"""Images out of files, as a camera would see them at a given time."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np

from s3dnn_ros.errors import ParameterError

# A still image is looked at through a window of this part of its size, which
# moves once around in this time.
WINDOW = 0.7
CYCLE_S = 10.0
# ITU-R BT.601: Y from 16 to 235, U and V from 16 to 240 around 128
_BGR_TO_YUV = np.array([[0.098, 0.504, 0.257, 16.0],
                        [0.439, -0.291, -0.148, 128.0],
                        [-0.071, -0.368, 0.439, 128.0]])
STILL_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.webp')


class Video:
    """A video file that starts again when it ends.

    Attributes
    ----------
    fps : float
        Its frames a second.
    frames : int
        How many it has, as far as is known.

    """

    def __init__(self, path, start_s=0.0):
        self._path = str(path)
        self._start_s = start_s
        self._capture = cv2.VideoCapture(self._path)
        self.fps = self._capture.get(cv2.CAP_PROP_FPS) or 25.0
        self.frames = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._next = 0
        if not self._capture.isOpened() or self.frames < 1:
            raise ParameterError('sources.*.file', self._path, 'OpenCV cannot read this video')
        self._image = None

    def at(self, time_s):
        """Return the BGR image shown at this time; times must not fall."""
        wanted = int((time_s + self._start_s) * self.fps) % self.frames
        if self._image is not None and wanted == self._next - 1:
            return self._image
        if wanted < self._next:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            self._next = 0
        while self._next <= wanted:
            # the frame count in a header is an estimate
            if not self._capture.grab():
                self.frames = max(1, self._next)
                break
            self._next += 1
        read, image = self._capture.retrieve()
        if read:
            self._image = image
        return self._image


class Still:
    """A photo seen through a window that pans over it or zooms into it."""

    def __init__(self, path, motion='none'):
        self._image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if self._image is None:
            raise ParameterError('sources.*.file', str(path), 'OpenCV cannot read this image')
        self._motion = motion

    def at(self, time_s):
        """Return the BGR image seen at this time."""
        swing = 0.5 - 0.5 * math.cos(2.0 * math.pi * time_s / CYCLE_S)
        height, width = self._image.shape[:2]
        if self._motion == 'pan':
            part, x, y = WINDOW, swing, 0.5
        elif self._motion == 'zoom':
            part, x, y = 1.0 - (1.0 - WINDOW) * swing, 0.5, 0.5
        else:
            return self._image
        inner_width, inner_height = round(width * part), round(height * part)
        left = round((width - inner_width) * x)
        top = round((height - inner_height) * y)
        return self._image[top:top + inner_height, left:left + inner_width]


def open_media(path, *, motion='none', start_s=0.0):
    """Return a Video or Still for a file; raises ParameterError if it cannot be read."""
    path = Path(path)
    if not path.is_file():
        raise ParameterError('sources.*.file', str(path), 'it is a folder; name a video or an '
                             'image' if path.is_dir() else 'there is no such file')
    if path.suffix.lower() in STILL_SUFFIXES:
        return Still(path, motion)
    return Video(path, start_s)


@dataclasses.dataclass(frozen=True)
class Shot:
    """One image, encoded; `step` is 0 for JPEG and PNG."""

    data: bytes
    encoding: str
    width: int
    height: int
    step: int


class SimulatedCamera:
    """Shows a Video or Still in a fixed size (0: its own) and encoding."""

    def __init__(self, media, encoding, width=0, height=0):
        self._media = media
        self._encoding = encoding
        self._size = (width, height)
        self._last = (None, None)

    def shoot(self, time_s) -> Shot:
        """Return what the camera sees at this time."""
        image = self._media.at(time_s)
        # a picture that has not changed need not be encoded again
        if image is not self._last[0]:
            self._last = (image, self._encode(image))
        return self._last[1]

    def _encode(self, image):
        size = (self._size[0] or image.shape[1], self._size[1] or image.shape[0])
        if self._encoding == 'yuv422':
            size = (size[0] // 2 * 2, size[1])      # its pixels come in pairs
        if size != (image.shape[1], image.shape[0]):
            image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        data, step = encode(image, self._encoding)
        return Shot(data, self._encoding, *size, step)


def encode(image, encoding):
    """Return (bytes, step) of a BGR image in a sensor_msgs encoding, or of JPEG or PNG."""
    if encoding in ('jpeg', 'png'):
        suffix = '.jpg' if encoding == 'jpeg' else '.png'
        return cv2.imencode(suffix, image)[1].tobytes(), 0
    if encoding == 'yuv422':
        array = _uyvy(image)
    elif encoding == 'bgr8':
        array = np.ascontiguousarray(image)
    else:
        array = cv2.cvtColor(image, {'rgb8': cv2.COLOR_BGR2RGB, 'bgra8': cv2.COLOR_BGR2BGRA,
                                     'mono8': cv2.COLOR_BGR2GRAY}[encoding])
    return array.tobytes(), array.strides[0]


def _uyvy(image):
    """Return UYVY pixels (H, W, 2) of an even width, ITU-R BT.601 in video range."""
    yuv = cv2.transform(image, _BGR_TO_YUV)
    array = np.empty((*image.shape[:2], 2), np.uint8)
    array[:, :, 1] = yuv[:, :, 0]
    array[:, 0::2, 0] = yuv[:, 0::2, 1]
    array[:, 1::2, 0] = yuv[:, 0::2, 2]
    return array
