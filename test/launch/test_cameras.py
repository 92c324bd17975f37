"""replay.launch.py: cameras alone, raw and compressed, and a clean end."""

import os
import unittest

import pytest

pytest.importorskip('launch_testing', reason='launch_testing is not here')
pytest.importorskip('launch_ros', reason='launch_ros is not here')

import launch_testing
from launch import LaunchDescription
from launch_testing.actions import ReadyToTest
from launch_testing.asserts import assertExitCodes

NAMESPACE = f'cameras_{os.getpid()}'


@pytest.mark.launch_test
@pytest.mark.ros
def generate_test_description():
    from launched import include, make_parameters

    return LaunchDescription([
        include('replay.launch.py', namespace=NAMESPACE,
                params_file=make_parameters('none', wait_for_subscribers_s=0.0)),
        ReadyToTest(),
    ])


class Images(unittest.TestCase):

    def test_both_cameras_publish(self):
        from launched import MARKS, listener
        from rclpy.qos import qos_profile_sensor_data
        from sensor_msgs.msg import CompressedImage, Image

        with listener(NAMESPACE) as hear:
            raw, = hear(Image, ['front/image_raw'], qos_profile_sensor_data)
            packed, = hear(CompressedImage, ['rear/image_raw/compressed'],
                           qos_profile_sensor_data)
        assert (raw.width, raw.height, raw.encoding) == (64, 64, 'bgr8')
        assert raw.data.tobytes() == MARKS['front'].image().tobytes()
        assert packed.format == 'png'


@launch_testing.post_shutdown_test()
class End(unittest.TestCase):

    def test_the_node_ends_by_itself(self, proc_info):
        assertExitCodes(proc_info)
