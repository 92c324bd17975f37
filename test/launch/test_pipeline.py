"""s3dnn.launch.py: results of every camera, and a clean end."""

import os
import unittest
from pathlib import Path

import pytest

pytest.importorskip('launch_testing', reason='launch_testing is not here')
pytest.importorskip('launch_ros', reason='launch_ros is not here')

import launch_testing
from launch import LaunchDescription
from launch_testing.actions import ReadyToTest
from launch_testing.asserts import assertExitCodes

NAMESPACE = f'launched_{os.getpid()}'
# it is in the name of the shared memory: other tests may run on this machine
INSTANCE = f'detector_{os.getpid()}'


@pytest.mark.launch_test
@pytest.mark.ros
@launch_testing.parametrize('composed', ['false', 'true'])
def generate_test_description(composed):
    from launched import include, make_parameters

    try:
        import vision_msgs  # noqa: F401
    except ImportError:
        output = 'native'
    else:
        output = 'both'
    return LaunchDescription([
        # the argument goes before the file
        include('s3dnn.launch.py', engine='onnxruntime',
                params_file=make_parameters(INSTANCE, output=output, engine='torch'),
                namespace=NAMESPACE, composed=composed, replay=True, monitor=True),
        ReadyToTest(),
    ])


class Results(unittest.TestCase):

    def test_every_camera_gets_what_it_shows(self):
        from launched import CAMERAS, MARKS, listener
        from s3dnn_ros.msg import Detections

        with listener(NAMESPACE) as hear:
            results = hear(Detections, [f'detections/{name}' for name in CAMERAS], 10)
        for name, msg in zip(CAMERAS, results):
            assert (msg.camera, msg.instance, msg.model) == (name, INSTANCE, 'cells')
            assert msg.header.frame_id == f'{name}_optical_frame'
            assert [item.label for item in msg.detections] == [MARKS[name].label]
            found = msg.detections[0]
            left, top, right, bottom = MARKS[name].box()
            assert (found.x, found.y, found.width, found.height) == (
                left, top, right - left, bottom - top)

    def test_vision_msgs(self):
        try:
            from vision_msgs.msg import Detection2DArray
        except ImportError:
            self.skipTest('vision_msgs is not here')
        from launched import CAMERAS, MARKS, listener

        with listener(NAMESPACE) as hear:
            results = hear(Detection2DArray, [f'detections_2d/{name}' for name in CAMERAS], 10)
        for name, msg in zip(CAMERAS, results):
            found, = msg.detections
            hypothesis = found.results[0].hypothesis
            left, top, right, bottom = MARKS[name].box()
            centre = found.bbox.center.position
            assert msg.header.frame_id == f'{name}_optical_frame'
            assert found.header == msg.header
            assert hypothesis.class_id == MARKS[name].label
            assert abs(hypothesis.score - MARKS[name].score) < 0.01
            assert (centre.x, centre.y) == ((left + right) / 2, (top + bottom) / 2)
            assert (found.bbox.size_x, found.bbox.size_y) == (right - left, bottom - top)

    def test_the_monitor_shows_them(self, proc_output):
        from launched import PATIENCE_S

        proc_output.assertWaitFor('cells on onnxruntime', stream='stdout', timeout=PATIENCE_S)


@launch_testing.post_shutdown_test()
class End(unittest.TestCase):

    def test_every_node_ends_by_itself(self, proc_info):
        assertExitCodes(proc_info)

    def test_no_shared_memory_is_left(self):
        assert not list(Path('/dev/shm').glob(f's3dnn.*{INSTANCE}*'))

    def test_nothing_raises(self, proc_output):
        text = ''.join(line.text.decode() for line in proc_output)
        assert 'Traceback' not in text, text
