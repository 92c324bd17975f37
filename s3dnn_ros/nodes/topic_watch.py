"""Says when a node reads a topic on which something else is published, or nothing."""

from __future__ import annotations

from rclpy.clock import Clock, ClockType

from s3dnn_ros.topics import TopicRemarks

LOOK_S = 2.0


class TopicWatch:
    """Looks now and then at who publishes what a node reads.

    Parameters
    ----------
    node : S3dnnNode
    readings : callable
        Returns what the node reads now, each Reading by a name that stays the same.

    """

    def __init__(self, node, readings):
        self._node = node
        self._readings = readings
        self._remarks = TopicRemarks()
        # simulated time may stand still
        self._timer = node.create_timer(LOOK_S, node.guarded(self._look), clock=Clock(
            clock_type=ClockType.STEADY_TIME))

    def remark(self, name):
        """Return what speaks against a reading; empty if nothing does."""
        return self._remarks.of(name)

    def _look(self):
        for sentence in self._remarks.look(self._readings(), self._published):
            self._node.get_logger().warning(sentence)

    def _published(self, reading):
        """Return the types of what is published, by topic: no more than tells what is wrong."""
        here = self._types(reading.topic)
        if reading.type in here:
            return {reading.topic: here}
        types = {topic: self._types(topic)
                 for topic, _ in self._node.get_topic_names_and_types()
                 if reading.base in (topic, topic.rpartition('/')[0])}
        return {topic: found for topic, found in types.items() if found}

    def _types(self, topic):
        return {info.topic_type.replace('/msg/', '/')
                for info in self._node.get_publishers_info_by_topic(topic)}
