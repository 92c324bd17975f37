"""Plain data become messages."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from s3dnn_ros.models.boxes import Boxes
from s3dnn_ros.nodes.messages import detections_msg, masks_of
from s3dnn_ros.runtime.answers import FrameResult

pytestmark = pytest.mark.ros


@pytest.fixture
def message(make_frame):
    """Return what makes a message of a network's boxes."""
    def make(tracks=(0, 0), unit='', **more):
        boxes = Boxes(np.float32([[1, 2, 5, 8], [0, 0, 3, 3]]), np.float32([0.75, 0.5]),
                      np.int32([0, 7]), **more)
        return detections_msg(FrameResult(
            make_frame(), 'net', 'model', ('cat',), boxes, tracks, 1, 0.0, 0.0, 0.0, 0.0,
            unit=unit), 0.0)
    return make


def test_the_unit_that_ran_the_frame_is_sent(message):
    assert (message().unit, message(unit='torch:cuda:0').unit) == ('', 'torch:cuda:0')


def test_boxes_alone_leave_the_rest_empty(message):
    first, second = message().detections
    assert (first.label, second.label) == ('cat', '7')
    assert (first.x, first.y, first.width, first.height) == (1, 2, 4, 6)
    for detection in (first, second):
        assert not detection.oriented and not detection.keypoints and not detection.mask
        assert (detection.mask_width, detection.mask_height, detection.track) == (0, 0, 0)


def test_the_numbers_of_objects_are_sent(message):
    assert [detection.track for detection in message(tracks=(7, 3)).detections] == [7, 3]


def test_masks_are_sent_row_by_row(message):
    masks = (np.array([[255, 0, 0], [0, 0, 255]], np.uint8), np.zeros((1, 1), np.uint8))
    first, second = message(masks=masks).detections
    assert (first.mask_width, first.mask_height) == (3, 2)
    assert list(first.mask) == [255, 0, 0, 0, 0, 255] and list(second.mask) == [0]


def test_masks_are_read_again_and_damaged_ones_are_none(message):
    masks = (np.array([[255, 0, 0], [0, 0, 255]], np.uint8), np.zeros((1, 1), np.uint8))
    msg = message(masks=masks)
    for found, mask in zip(masks_of(msg), masks):
        assert np.array_equal(found, mask)
    msg.detections[0].mask_width = 2 ** 32 - 1
    assert masks_of(msg)[0] is None and masks_of(message()) == [None, None]


def test_keypoints_and_oriented_boxes_are_sent_in_order(message):
    points = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    oriented = np.float32([[3, 5, 4, 6, 0.5], [1, 1, 3, 3, -0.25]])
    detections = message(keypoints=points, oriented=oriented).detections
    assert [[(point.x, point.y, point.score) for point in detection.keypoints]
            for detection in detections] == [[(0, 1, 2), (3, 4, 5)], [(6, 7, 8), (9, 10, 11)]]
    assert [(box.x, box.y, box.width, box.height, box.angle) for detection in detections
            for box in detection.oriented] == [(3, 5, 4, 6, 0.5), (1, 1, 3, 3, -0.25)]
