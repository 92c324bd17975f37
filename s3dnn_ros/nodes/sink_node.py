"""Stands in for the executor where the governor is measured alone: runs nothing.

Every batch is read and given back at once.
"""

from __future__ import annotations

import math
import sys

from s3dnn_ros.capacity import Capacity, InstanceCapacity
from s3dnn_ros.counters import Counters
from s3dnn_ros.msg import Capacity as CapacityMsg
from s3dnn_ros.msg import ExecutorStats, FrameBatch
from s3dnn_ros.nodes.messages import camera_stats, capacity_msg, frames_of
from s3dnn_ros.nodes.node import S3dnnNode
from s3dnn_ros.nodes.qos import batch_qos, qos
from s3dnn_ros.nodes.running import run
from s3dnn_ros.transport.ring import SlotReader
from s3dnn_ros.transport.slots import zeros

# A run of nothing: so short that front ends never wait for word of it.
NO_TIME_S = 1e-9
TOLD_S = 0.1


class SinkNode(S3dnnNode):
    """Takes the executor's name, parameters and statistics topic."""

    def __init__(self, **options):
        super().__init__('executor', **options)
        self._readers = {}
        self._batches = []
        self._taken = {}

    def start(self, settings):
        """Make the statistics topic."""
        self._counters = Counters()
        self._stats = self.create_publisher(ExecutorStats, '~/stats', 10)
        self._capacity = self.create_publisher(CapacityMsg, 'capacity', qos('latched', 1))

    def activate(self):
        """Listen for batches."""
        self._batches = [
            self.create_subscription(FrameBatch, f'batches/{name}', self._on_batch,
                                     batch_qos(self.settings.transport))
            for name in self.settings.instances]
        self.every(TOLD_S, self._tell)

    def counts(self):
        """Return the cameras' counters."""
        return self._counters.snapshot()

    def publish_stats(self, stamp, counts):
        """Publish them."""
        self._stats.publish(ExecutorStats(
            stamp=stamp, node=self.get_name(), engine='none',
            power_mw=math.nan, energy_j=math.nan,
            cameras=[camera_stats(count) for count in counts]))

    def _tell(self):
        """Tell that whatever comes is taken at once."""
        self._capacity.publish(capacity_msg(
            Capacity('sink', False, False, tuple(
                InstanceCapacity(name, run_s=(NO_TIME_S,), taken=self._taken)
                for name in self.settings.instances)), self.clock_s.now_s()))

    def _on_batch(self, msg):
        self._taken[msg.epoch] = msg.sequence
        if msg.segment not in self._readers:
            self._readers[msg.segment] = SlotReader(msg.segment)
        reader = self._readers[msg.segment]
        reader.pixels(msg.slot, msg.ticket, tuple(msg.shape)).read(zeros)
        reader.release(msg.slot, msg.ticket)
        now_s = self.clock_s.now_s()
        for frame in frames_of(msg):
            self._counters.arrived(frame.camera, msg.instance)
            self._counters.published(frame.camera, msg.instance,
                                     latency_s=now_s - frame.taken_s,
                                     missed=now_s > frame.deadline_s)


def main():
    """Run the sink."""
    return sys.exit(run(lambda *_: SinkNode()))


if __name__ == '__main__':
    main()
