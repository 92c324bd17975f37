"""Images that the middleware loses are told, with the line that helps."""

import os
import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.utilities import get_rmw_implementation_identifier

from s3dnn_ros.nodes.governor_node import UnsupportedEventTypeError

pytestmark = pytest.mark.ros

PROFILES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
IMAGES_PER_S = 15
# A camera driver in a process of its own: raw images, best effort, as fast as told.
DRIVER = """
import sys, time, rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

rclpy.init()
publisher = rclpy.create_node('driver').create_publisher(
    Image, sys.argv[1], qos_profile_sensor_data)
image = Image(height=720, width=1280, encoding='bgr8', step=3840, data=bytes(720 * 3840))
while True:
    image.header.stamp.sec, image.header.stamp.nanosec = divmod(time.time_ns(), 10**9)
    publisher.publish(image)
    time.sleep(1 / float(sys.argv[2]))
"""


@pytest.fixture
def driver(world):
    """Start a driver of /front with Fast DDS's own memory."""
    environment = {name: value for name, value in os.environ.items() if name not in PROFILES}
    process = subprocess.Popen([sys.executable, '-c', DRIVER, f'{world.namespace}/front/image_raw',
                                str(IMAGES_PER_S)], env=environment)
    yield process
    process.kill()
    process.wait()


def values_of(status):
    return {item.key: item.value for item in status.values}


def test_raw_images_that_fast_dds_loses_are_told(world, driver):
    if 'fastrtps' not in get_rmw_implementation_identifier():
        pytest.skip('another middleware keeps its images')
    world.system()
    status = world.wait_for(lambda: world.diagnosed("camera 'front'", 'lost on the way'),
                            'losses to be told', 40.0)
    assert (status.hardware_id, status.level) == ('front', b'\1')
    assert 'PROFILES_FILE=' in status.message and 'fastdds_images.xml' in status.message
    values = values_of(status)
    assert float(values['published rate (Hz)']) > float(values['rate (Hz)'])
    assert int(values['lost on the way']) >= 2
    world.wait_for(lambda: world.said("camera 'front'", 'lost on the way', 'PROFILES_FILE='))


def test_losses_are_told_once_and_rates_always(world):
    governor, _ = world.system()
    world.round_trip('front')
    lost = governor._rates['front'].lost

    def values():
        world.round_trip('front')
        status = next((status for status in reversed(world.statuses)
                       if status.hardware_id == 'front' and 'governor' in status.name), None)
        return values_of(status) if status else {}

    world.wait_for(lambda: float(values().get('rate (Hz)', 0.0)) > 1.0, 'a rate')
    assert not world.diagnosed('lost on the way')
    for total in (1000, 2000, 3000):
        lost(1000)
        world.wait_for(lambda want=str(total): values()['lost on the way'] == want)
    world.wait_for(lambda: world.diagnosed("camera 'front'", 'lost on the way'))
    assert float(values()['published rate (Hz)']) > 10 * float(values()['rate (Hz)'])
    world.wait_for(lambda: world.said('lost on the way'), 'a warning')
    assert len([text for text in world.logs if 'lost on the way' in text]) == 1
    assert not any('lost on the way' in status.message for status in world.statuses
                   if status.hardware_id == 'rear')


def test_a_middleware_that_reports_no_losses_claims_none(world, monkeypatch):
    def unsupported(**_):
        raise UnsupportedEventTypeError('message_lost')

    monkeypatch.setattr('s3dnn_ros.nodes.governor_node.SubscriptionEventCallbacks', unsupported)
    world.system()
    world.round_trip('front')
    status = world.wait_for(lambda: next(
        (status for status in world.statuses if 'rate (Hz)' in values_of(status)), None))
    assert values_of(status)['published rate (Hz)'] == 'unknown'
    assert values_of(status)['lost on the way'] == 'unknown'
