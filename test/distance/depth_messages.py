"""Messages of depth cameras, in memory: what stands for them has the same fields."""

import struct
import types

import cv2
import numpy as np

FORMATS = {'f4': 7, 'f8': 8, 'i2': 3, 'u2': 4}


def depth_image(depths, encoding='16UC1', *, is_bigendian=False, padding=0, **changes):
    """Return a sensor_msgs/Image of depths, (H, W), in the encoding's unit."""
    kind = np.dtype(np.float32 if encoding == '32FC1' else np.uint16)
    array = np.asarray(depths).astype(kind.newbyteorder('>' if is_bigendian else '<'))
    rows = [row.tobytes() + bytes(padding) for row in array]
    return types.SimpleNamespace(**{**dict(
        encoding=encoding, width=array.shape[1], height=array.shape[0],
        step=array.shape[1] * kind.itemsize + padding, is_bigendian=int(is_bigendian),
        data=b''.join(rows)), **changes})


def compressed_depth(array, format='16UC1; compressedDepth png', *, a=0.0, b=0.0, suffix='.png',
                     **changes):
    """Return a sensor_msgs/CompressedImage as the plugin compressedDepth makes it of values."""
    data = struct.pack('<iff', 0, a, b) + cv2.imencode(suffix, array)[1].tobytes()
    return types.SimpleNamespace(**{**dict(format=format, data=data), **changes})


def point_cloud(points, *, width=None, kind='f4', is_bigendian=False, point_padding=0,
                row_padding=0, **changes):
    """Return a sensor_msgs/PointCloud2 of points, (n, 3), as rows of `width` points."""
    points = np.asarray(points).reshape(-1, 3)
    width = width or len(points)
    size = np.dtype(kind).itemsize
    array = points.astype(np.dtype(kind).newbyteorder('>' if is_bigendian else '<'))
    rows = []
    for begin in range(0, len(points), width or 1):
        rows.append(b''.join(bytes(point_padding) + point.tobytes()
                             for point in array[begin:begin + width]) + bytes(row_padding))
    point_step = 3 * size + point_padding
    fields = [types.SimpleNamespace(name=name, offset=point_padding + size * index,
                                    datatype=FORMATS[kind], count=1)
              for index, name in enumerate('xyz')]
    return types.SimpleNamespace(**{**dict(
        fields=fields, width=width, height=len(rows), point_step=point_step,
        row_step=width * point_step + row_padding, is_bigendian=is_bigendian,
        data=b''.join(rows)), **changes})


def camera_info(width=64, height=48, f=50.0, *, p=None, roi=(0, 0, 0, 0)):
    """Return a sensor_msgs/CameraInfo whose centre is that of the image."""
    centre = ((width - 1) / 2, (height - 1) / 2)
    k = [f, 0.0, centre[0], 0.0, f, centre[1], 0.0, 0.0, 1.0]
    x_offset, y_offset, roi_width, roi_height = roi
    return types.SimpleNamespace(
        width=width, height=height, k=k, p=p or [0.0] * 12,
        roi=types.SimpleNamespace(x_offset=x_offset, y_offset=y_offset, width=roi_width,
                                  height=roi_height))
