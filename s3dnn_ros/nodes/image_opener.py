"""Opens the images of cameras, for all nodes alike: what is detected on can be drawn on."""

from __future__ import annotations

import functools

import numpy as np
from sensor_msgs.msg import Image

from s3dnn_ros.errors import ImageError
from s3dnn_ros.images.compressed import open_compressed
from s3dnn_ros.images.pixels import ENCODINGS, Pixels, check_size
from s3dnn_ros.images.raw import open_raw

try:
    from cv_bridge import CvBridge
except ImportError:
    CvBridge = None


def open_image(msg, camera, *, max_side=8192) -> Pixels:
    """Return the pixels of an Image or CompressedImage, as the CameraSettings want them.

    Encodings that are unknown here are left to cv_bridge, where that is installed. Raises
    ImageError.
    """
    options = {'max_side': max_side, 'value_range': camera.value_range}
    if not isinstance(msg, Image):
        return open_compressed(msg, **options)
    if msg.encoding in ENCODINGS or CvBridge is None:
        return open_raw(msg, **options)
    return _bridged(msg, max_side)


@functools.lru_cache(maxsize=1)
def _bridge():
    return CvBridge()


def _bridged(msg, max_side):
    check_size(msg.width, msg.height, max_side)
    try:
        array = _bridge().imgmsg_to_cv2(msg, 'bgr8')
    except Exception as error:
        # cv_bridge passes on whatever OpenCV raises
        raise ImageError('encoding', f"encoding '{msg.encoding}' is unknown; known are "
                                     + ', '.join(ENCODINGS)
                                     + f'; cv_bridge says: {error}') from error
    array = np.ascontiguousarray(array)
    if array.shape != (msg.height, msg.width, 3) or array.dtype != np.uint8:
        raise ImageError('data', f'cv_bridge finds no {msg.width}x{msg.height} pixels of '
                                 f'{msg.encoding} in the message; step is {msg.step}')
    return Pixels(array, ENCODINGS['bgr8'])
