"""Encodings that only cv_bridge knows, where it is installed; what it cannot do is refused."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')
pytest.importorskip('cv_bridge', reason='cv_bridge is not here')

from sensor_msgs.msg import Image

pytestmark = pytest.mark.ros

SIDE = 64
PIXEL = 8       # bytes of one in bgra16


def send(world, data=None, **changes):
    """Send what the front camera shows as bgra16; returns the stamp."""
    if data is None:
        image = world.mark('front').image(SIDE, SIDE).astype(np.uint16) * 257
        data = np.dstack([image, np.full((SIDE, SIDE), 65535, np.uint16)]).tobytes()
    values = dict(width=SIDE, height=SIDE, step=PIXEL * SIDE, encoding='bgra16')
    return world._publish('front', Image(**dict(values, **changes)), data, None, {})


@pytest.mark.parametrize('composed', [False, True], ids=['apart', 'composed'])
def test_an_encoding_that_only_cv_bridge_knows(world, composed):
    world.system(composed=composed)
    world.check(world.result('front', send(world)))


@pytest.mark.parametrize(('changes', 'reason', 'words'), [
    ({'encoding': 'nonsense8'}, 'encoding', 'nonsense8'),
    ({'encoding': '32FC1'}, 'encoding', '32FC1'),
    ({'data': b'short'}, 'encoding', 'bgra16'),
    ({'step': 10}, 'data', 'step is 10'),
    ({'step': 0}, 'data', 'step is 0'),
    ({'width': 0}, 'size', 'no content'),
    ({'width': 10000}, 'size', 'max_image_side'),
], ids=str)
def test_what_cv_bridge_cannot_convert_is_refused(world, changes, reason, words):
    world.system()
    send(world, **changes)
    world.wait_for(lambda: world.dropped('governor', 'front', reason), f'a drop as {reason}')
    assert words in world.count('governor', 'front').last_error
    world.round_trip('front')
