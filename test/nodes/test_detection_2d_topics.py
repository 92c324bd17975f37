"""Results as vision_msgs: which topic carries which network's, and how a detection names it."""

import sys
import types

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from s3dnn_ros.models.boxes import Boxes
from s3dnn_ros.nodes import detection_2d_topics
from s3dnn_ros.nodes.detection_2d_topics import Detection2DTopics

pytestmark = pytest.mark.ros


class FakePublisher:
    """Keeps what is published; `listeners` is how many subscribe."""

    def __init__(self, listeners=1):
        self.listeners = listeners
        self.sent = []

    def get_subscription_count(self):
        return self.listeners

    def publish(self, msg):
        self.sent.append(msg)


class Topics:
    """A Detection2DTopics of two instances, and its fake publishers by topic."""

    def __init__(self):
        self.publishers, self.destroyed = {}, []
        self.topics = Detection2DTopics(self._create, self.destroyed.append, ['first', 'second'])

    def _create(self, topic):
        return self.publishers.setdefault(topic.replace('detections_2d/', ''), FakePublisher())

    def run(self, *streams):
        """Let frames of (camera, instance) come and go, one after another."""
        for camera, instance in streams:
            self.topics.watch(camera, instance)
            self.topics.publish(result(camera, instance))

    @property
    def sent(self):
        return {topic: publisher.sent for topic, publisher in self.publishers.items()
                if publisher.sent}


def result(camera, instance, count=1, tracks=()):
    """Return what stands for a FrameResult, with so many detections of class 0."""
    frame = types.SimpleNamespace(camera=camera, frame_id='lens', stamp_ns=7 * 10**9 + 5,
                                  sequence=3)
    return types.SimpleNamespace(
        frame=frame, instance=instance, labels=('cat',), boxes=Boxes(
            np.tile([1.0, 2.0, 5.0, 8.0], (count, 1)), np.full(count, 0.5),
            np.zeros(count, int)), tracks=tracks or (0,) * count)


@pytest.fixture
def topics(monkeypatch):
    """Return Topics on which the name of the instance stands for its message."""
    monkeypatch.setattr(detection_2d_topics, 'detection_2d_array', lambda result: result.instance)
    return Topics()


def test_a_camera_that_one_instance_watches_has_its_topic_and_the_instances(topics):
    topics.run(('front', 'second'))
    assert topics.sent == {'front': ['second'], 'front/second': ['second']}


def test_an_instance_that_is_added_has_a_topic_of_its_own_and_disturbs_no_other(topics):
    topics.run(('front', 'first'), ('front', 'second'), ('front', 'first'), ('rear', 'second'))
    assert topics.sent == {
        'front': ['first', 'first'], 'front/first': ['first', 'first'],
        'front/second': ['second'], 'rear': ['second'], 'rear/second': ['second']}


def test_the_order_of_the_instances_counts_and_not_who_came_first(topics):
    topics.topics.watch('front', 'second')
    topics.run(('front', 'first'), ('front', 'second'))
    assert topics.sent['front'] == ['first']


def test_nothing_is_made_or_sent_where_nobody_listens(topics, monkeypatch):
    monkeypatch.setattr(detection_2d_topics, 'detection_2d_array', pytest.fail)
    topics.topics.watch('front', 'first')
    for publisher in topics.publishers.values():
        publisher.listeners = 0
    topics.topics.publish(result('front', 'first'))
    assert not topics.sent


def test_the_topic_of_a_camera_is_there_before_its_frames_and_all_end_with_the_node(topics):
    topics.topics.open('front')
    assert list(topics.publishers) == ['front']
    topics.topics.watch('front', 'of another node')
    topics.topics.watch('front', 'first')
    assert list(topics.publishers) == ['front', 'front/first']
    topics.topics.close()
    assert topics.destroyed == list(topics.publishers.values())


@pytest.fixture
def fake_vision_msgs(monkeypatch):
    """Put a module in the place of vision_msgs whose messages take any field."""
    def message(**defaults):
        def make(**fields):
            return types.SimpleNamespace(**{name: value() for name, value in defaults.items()},
                                         **fields)
        return make

    def box():
        return types.SimpleNamespace(center=types.SimpleNamespace(
            position=types.SimpleNamespace()))

    msg = types.SimpleNamespace(
        Detection2DArray=message(detections=list), Detection2D=message(results=list, bbox=box),
        ObjectHypothesisWithPose=message(hypothesis=types.SimpleNamespace))
    monkeypatch.setitem(sys.modules, 'vision_msgs', types.SimpleNamespace(msg=msg))
    monkeypatch.setitem(sys.modules, 'vision_msgs.msg', msg)


def test_the_id_of_a_detection_starts_with_its_instance_and_is_its_own(fake_vision_msgs):
    topics = Topics()
    for instance in ('first', 'second'):
        topics.topics.watch('front', instance)
        topics.topics.publish(result('front', instance, count=2))
    arrays = [array for name in ('front/first', 'front/second') for array in topics.sent[name]]
    ids = [item.id for array in arrays for item in array.detections]
    assert ids == ['first/3/0', 'first/3/1', 'second/3/0', 'second/3/1']
    assert {item.results[0].hypothesis.class_id for array in arrays
            for item in array.detections} == {'cat'}
    # an object that is followed has the same id in every frame
    topics.topics.publish(result('front', 'first', count=3, tracks=(4, 0, 9)))
    assert [item.id for item in topics.sent['front/first'][-1].detections] == [
        'first/4', 'first/3/1', 'first/9']
    assert arrays[0].header.stamp.nanosec == 5 and arrays[0].header.frame_id == 'lens'
