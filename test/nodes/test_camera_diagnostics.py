"""A camera's state follows from its counters and those of the last report."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from diagnostic_msgs.msg import DiagnosticStatus

from s3dnn_ros.counters import CameraCount
from s3dnn_ros.nodes.camera_diagnostics import SILENCE_S, CameraDiagnostics

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def level(status):
    return status.level if isinstance(status.level, bytes) else bytes([status.level])


@pytest.fixture
def cameras():
    return CameraDiagnostics('/robot/governor', lambda camera, now_s: ('', {}))


def said(cameras, now_s, **values):
    (status,) = cameras.statuses([CameraCount('front', 'net', **values)], now_s)
    return level(status), status.message


@pytest.mark.parametrize(('before', 'after', 'expected', 'words'), [
    ({}, {'frames': 5, 'published': 5}, OK, 'all frames handed on'),
    ({}, {}, WARN, 'no frame yet'),
    ({'frames': 5}, {'frames': 9, 'dropped': (('late', 2),)}, WARN, '2 frames dropped'),
    ({'frames': 5}, {'frames': 9, 'dropped': (('late', 2),), 'last_error': 'too late'}, WARN,
     'too late'),
    ({'frames': 5, 'missed': 1}, {'frames': 9, 'missed': 4}, WARN, '3 deadlines missed'),
    ({'frames': 5, 'dropped': (('late', 2),), 'missed': 1},
     {'frames': 9, 'dropped': (('late', 2),), 'missed': 1}, OK, 'all frames handed on')])
def test_what_is_new_since_the_last_report_counts(cameras, before, after, expected, words):
    said(cameras, 1.0, **before)
    assert said(cameras, 2.0, **after) == (expected, words)


def test_a_camera_that_has_sent_and_is_silent_is_an_error(cameras):
    said(cameras, 1.0, frames=5, published=5)
    assert said(cameras, 1.0 + SILENCE_S, frames=5, published=5)[0] == OK
    assert said(cameras, 1.5 + SILENCE_S, frames=5, published=5)[0] == ERROR
    assert said(cameras, 2.0 + SILENCE_S, frames=6, published=6)[0] == OK


def test_a_remark_makes_a_warning_of_what_was_well():
    cameras = CameraDiagnostics('/governor', lambda camera, now_s: ('half is lost', {'lost': 3}))
    (status,) = cameras.statuses([CameraCount('front', frames=1)], 1.0)
    assert (level(status), status.message) == (WARN, 'half is lost')
    assert ('lost', '3') in [(value.key, value.value) for value in status.values]
    assert status.name == '/governor: front'


def test_cameras_that_were_removed_are_told_no_more_until_they_come_back(cameras):
    counts = [CameraCount('front', 'net', frames=5), CameraCount('rear', 'net', frames=5)]
    assert len(cameras.statuses(counts, 1.0)) == 2
    cameras.follow({'front': 0, 'rear': 0}, {'front': 0})
    assert [status.hardware_id for status in cameras.statuses(counts, 2.0)] == ['front']
    cameras.follow({'front': 0}, {'front': 0, 'rear': 0})
    # its silence while it was away is none of its own
    assert {level(status) for status in cameras.statuses(counts, 99.0)
            if status.hardware_id == 'rear'} == {OK}
