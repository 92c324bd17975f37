"""What rooms log is said by the node that they work for, at its level, while it listens."""

import logging

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from s3dnn_ros.nodes.log_handler import NodeLogHandler


class FakeNode:
    """Takes note of what it is to say."""

    def __init__(self):
        self.said = []

    def complain(self, sentence):
        self.said.append(('warning', sentence))

    def get_logger(self):
        return self

    def error(self, sentence):
        self.said.append(('error', sentence))

    def info(self, sentence):
        self.said.append(('info', sentence))


@pytest.fixture
def node():
    return FakeNode()


def test_each_level_goes_its_way_and_nothing_is_formatted_twice(node):
    handler = NodeLogHandler(node, ['s3dnn_ros.runtime'])
    handler.attach()
    log = logging.getLogger('s3dnn_ros.runtime.recovery')
    log.info('50 % are built')
    log.warning('instance %s: %s', 'net', 'is loaded again')
    log.error('{braces} and 100 %s stay')
    log.debug('nobody wants to know')
    handler.detach()
    log.warning('too late')
    assert node.said == [('info', '50 % are built'),
                         ('warning', 'instance net: is loaded again'),
                         ('error', '{braces} and 100 %s stay')]


def test_other_rooms_are_not_heard(node):
    handler = NodeLogHandler(node, ['s3dnn_ros.runtime'])
    handler.attach()
    logging.getLogger('s3dnn_ros.platforms.power').warning('a rail is left out')
    logging.getLogger('s3dnn_ros').warning('all of it')
    handler.detach()
    assert node.said == []
