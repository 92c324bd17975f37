"""The cohort's topics: what our instances tell the others, and who has set the board to what."""

from __future__ import annotations

from s3dnn_ros.msg import CohortDecision, InstanceState
from s3dnn_ros.nodes.messages import instance_state, member_state, time_msg
from s3dnn_ros.nodes.qos import qos
from s3dnn_ros.nodes.state_publisher import StatePublisher

STATES, DECISION = 'cohort/states', 'cohort/decision'


class CohortTopics:
    """Publishes and hears for a CohortClient.

    Parameters
    ----------
    node : ExecutorNode
    board : str
        The name that all processes on the board have for it.
    process : str
        A name for this one that no other has.

    """

    def __init__(self, node, board, process):
        self.board = board
        self._node = node
        self._process = process
        self._states = node.create_publisher(InstanceState, STATES, qos('reliable', 100))
        self._decisions = node.create_publisher(CohortDecision, DECISION, qos('latched', 1))
        self._publisher = StatePublisher(self._publish, node.complain)
        self._subscriptions = []

    def say(self, state):
        """Have a MemberState published, soon; not after `close`."""
        self._publisher.say(state)

    def applied(self, configuration):
        """Publish what this process has set the board to."""
        self._decisions.publish(CohortDecision(
            stamp=time_msg(self._node.clock_s.now_s()), board=self.board, process=self._process,
            configuration=configuration.index, name=configuration.name))

    def join(self, client, follows):
        """Listen to the other processes on the board; to who sets it, if this one `follows`."""
        self._subscriptions.append(self._node.create_subscription(
            InstanceState, STATES,
            lambda msg: client.cohort.hear(member_state(msg), self._node.clock_s.now_s()),
            qos('reliable', 100)))
        if follows:
            self._subscriptions.append(self._node.create_subscription(
                CohortDecision, DECISION,
                lambda msg: client.configuration_set(msg.board, msg.configuration, msg.name),
                qos('latched', 1)))

    def close(self):
        """Publish what waits, and remove the topics."""
        self._publisher.close()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for publisher in (self._states, self._decisions):
            self._node.destroy_publisher(publisher)

    def _publish(self, state):
        self._states.publish(instance_state(state, self._node.clock_s.now_s()))
