"""Point clouds, seen through a camera."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from s3dnn_ros.distance.camera import PinholeCamera, clipped
from s3dnn_ros.distance.points import MOST_POINTS, check_metres, median, on_object
from s3dnn_ros.errors import DepthError

# By sensor_msgs/PointField's numbers.
_TYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}
_PROBES = 256


@dataclasses.dataclass(frozen=True)
class PointCloud:
    """Points in metres, each coordinate float32 (n,); those not finite are unknown."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    def moved(self, rotation, translation):
        """Return the points in another frame; `rotation` is (3, 3), `translation` (3,), in m."""
        rotation = np.asarray(rotation, np.float32)
        with np.errstate(all='ignore'):
            # infinity times 0
            return PointCloud(*(row[0] * self.x + row[1] * self.y + row[2] * self.z + shift
                                for row, shift in zip(rotation, np.float32(translation))))

    def locate(self, boxes, image_size, camera: PinholeCamera, masks=()):
        """Return where the boxes' objects are, float32 (n, 3) in metres: x right, y down, z ahead.

        Each is the median of the points that the camera sees inside its box, and on the object
        where it has a mask; NaN if there are none. The points are in the camera's frame;
        parameters and errors are those of `DepthImage.locate`.
        """
        width, height = image_size
        camera = camera.of_size(width, height)
        with np.errstate(all='ignore'):
            # a pixel's centre lies half a pixel behind its edge
            u = self.x / self.z * np.float32(camera.fx) + np.float32(camera.cx + 0.5)
            v = self.y / self.z * np.float32(camera.fy) + np.float32(camera.cy + 0.5)
            seen = np.flatnonzero((self.z > 0.0) & (self.z < np.inf) & (u >= 0.0)
                                  & (u < width) & (v >= 0.0) & (v < height))
        # in order of their columns, a box need not look at all of them; whole numbers of 16 bits
        # are what numpy sorts in a tenth of the time
        columns = u[seen].astype(np.uint16)
        order = np.argsort(columns, kind='stable')
        seen, columns = seen[order], columns[order]
        u, v = u[seen], v[seen]
        boxes = clipped(boxes, width, height)
        first = np.searchsorted(columns, np.floor(boxes[:, 0]).astype(np.uint16))
        last = np.searchsorted(columns, np.ceil(boxes[:, 2]).astype(np.uint16))
        medians = []
        for begin, end, box, mask in itertools.zip_longest(
                first, last, boxes.astype(np.float32), masks):
            near = slice(begin, end)
            inside = begin + _inside(u[near], v[near], *box)
            if mask is not None:
                inside = inside[on_object(mask, box, u[inside], v[inside])]
            medians.append(self._median(seen[inside]))
        return np.array(medians, np.float32).reshape(-1, 3)

    def _median(self, inside):
        inside = inside[::1 + inside.size // MOST_POINTS]
        return median(self.x[inside], self.y[inside], self.z[inside])


def _inside(u, v, left, top, right, bottom):
    return np.flatnonzero((v >= top) & (v < bottom) & (u >= left) & (u < right))


def cloud_of(points, *, unit_m=0.0) -> PointCloud:
    """Return the cloud of a structured array with the fields x, y and z.

    `unit_m` is what a value of 1 means, in metres; 0: a metre. Raises DepthError if they look
    like millimetres.
    """
    with np.errstate(all='ignore'):
        # numbers too large for float32 become infinity
        x, y, z = (np.ascontiguousarray(points[name], np.float32).ravel() for name in 'xyz')
    if unit_m:
        return PointCloud(*(np.float32(unit_m) * values for values in (x, y, z)))
    probes = slice(None, None, 1 + z.size // _PROBES)
    check_metres(np.abs([x[probes], y[probes], z[probes]]).max(axis=0), 'the cloud')
    return PointCloud(x, y, z)


def rotation_of(x, y, z, w) -> np.ndarray:
    """Return the rotation, (3, 3), of a quaternion of length 1."""
    return np.array([
        [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
        [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
        [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)]])


def view_points(message) -> np.ndarray:
    """Return the x, y and z of a sensor_msgs/PointCloud2, structured (height, width), uncopied.

    Raises DepthError if it has no such fields, or fewer bytes than it says.
    """
    fields = {field.name: field for field in message.fields}
    missing = [name for name in 'xyz' if name not in fields]
    if missing:
        raise DepthError('fields', f"the cloud has no field {', '.join(missing)}; it has "
                         + (', '.join(sorted(fields))[:200] or 'none'))
    fields = [fields[name] for name in 'xyz']
    formats = [_TYPES.get(field.datatype) for field in fields]
    if None in formats:
        raise DepthError('fields', 'a field of the cloud has the datatype '
                         f'{fields[formats.index(None)].datatype}; known are '
                         f'{min(_TYPES)} to {max(_TYPES)} (sensor_msgs/PointField)')
    order = '>' if message.is_bigendian else '<'
    ends = [field.offset + np.dtype(kind).itemsize for field, kind in zip(fields, formats)]
    row = message.width * message.point_step
    # where there is one row only, some leave its length out
    step = message.row_step if message.height > 1 else row
    needed = step * (message.height - 1) + row if message.height else 0
    if max(ends) > message.point_step or step < row or len(message.data) < needed:
        raise DepthError(
            'data', f'a cloud of {message.width}x{message.height} points with point_step '
            f'{message.point_step}, row_step {message.row_step} and fields of up to {max(ends)} '
            f'bytes does not fit its {len(message.data)} bytes of data')
    if not (message.width and message.height):
        # what is said of points that are not there may be anything
        return np.empty((0, 0), np.dtype([(name, order + kind) for name, kind in zip(
            'xyz', formats)]))
    return np.ndarray(
        (message.height, message.width),
        np.dtype({'names': list('xyz'), 'formats': [order + kind for kind in formats],
                  'offsets': [field.offset for field in fields],
                  'itemsize': message.point_step}),
        message.data, strides=(step, message.point_step))
