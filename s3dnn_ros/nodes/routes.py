"""How batches get to an executor: by reference, in shared memory, or inside the message."""

from __future__ import annotations

import math
from typing import Protocol

from s3dnn_ros.governor.batch import Batch
from s3dnn_ros.msg import FrameBatch
from s3dnn_ros.nodes.messages import batch_to_msg
from s3dnn_ros.nodes.qos import batch_qos
from s3dnn_ros.transport.frames import FrameBatch as Frames
from s3dnn_ros.transport.ring import SharedSlots
from s3dnn_ros.transport.slots import HeapSlots, SlotPool, SlotSize


class Route(Protocol):
    """The way from the governor to the executor of one instance."""

    pool: SlotPool      # the memory in which its batches are prepared

    @property
    def is_open(self) -> bool:
        """Tell whether somebody listens at its end."""

    def send(self, batch: Batch, epoch: int, sent_s: float) -> None:
        """Send a batch off; its slot is given back by whoever is done with it."""

    def close(self) -> None:
        """Free the memory, and what else it takes."""


def make_route(node, executor, instance: str, settings, size: SlotSize) -> Route:
    """Return the route of an instance.

    Parameters
    ----------
    node : GovernorNode
    executor : ExecutorNode or None
        The one in this process, if there is one.
    instance : str
    settings : GovernorSettings
    size : SlotSize
        Of the largest batch.

    """
    if executor is not None:
        return Reference(node, executor, HeapSlots(settings.ring_slots, size,
                                                   executor.frame_memory))
    if settings.transport == 'shared_memory':
        return SharedMemory(node, instance, SharedSlots(
            f'{node.get_name()}_{instance}', settings.ring_slots, size))
    return Inline(node, instance, HeapSlots(settings.ring_slots, size))


class Reference:
    """To an executor in this process."""

    def __init__(self, node, executor, pool):
        self.pool = pool
        self._node = node
        self._executor = executor

    @property
    def is_open(self):
        """Tell whether the executor is active."""
        return self._executor.listening

    def send(self, batch, epoch, sent_s):
        """Hand a batch over."""
        self._executor.accept(Frames(
            self._node.get_fully_qualified_name(), batch.sequence, batch.instance, batch.model,
            batch.frames, sent_s, _pixels(batch), lambda: self.pool.release(batch.slot), epoch,
            batch.max_batch, batch.run_late))

    def close(self):
        """Free the memory."""
        self.pool.close()


class _Topic:
    """To an executor in another process, on the topic of its instance."""

    transport = ''

    def __init__(self, node, instance, pool):
        self.pool = pool
        self._node = node
        self._publisher = node.create_publisher(FrameBatch, f'batches/{instance}',
                                                batch_qos(self.transport))

    @property
    def is_open(self):
        """Tell whether an executor subscribes."""
        return self._publisher.get_subscription_count() > 0

    def close(self):
        """Free memory and publisher."""
        self.pool.close()
        self._node.destroy_publisher(self._publisher)

    def _publish(self, batch, epoch, sent_s, **pixels):
        self._publisher.publish(batch_to_msg(batch, self._node.get_fully_qualified_name(), epoch,
                                             sent_s, **pixels))


class SharedMemory(_Topic):
    """On the same host; the message tells where the pixels are."""

    transport = 'shared_memory'

    def send(self, batch, epoch, sent_s):
        """Publish where a batch is."""
        self._publish(batch, epoch, sent_s, segment=self.pool.name, data=b'')


class Inline(_Topic):
    """To another host; the message holds the pixels."""

    transport = 'inline'

    def send(self, batch, epoch, sent_s):
        """Publish a batch, and use its memory again."""
        self._publish(batch, epoch, sent_s, segment='', data=_pixels(batch).tobytes())
        self.pool.release(batch.slot)


def _pixels(batch):
    return batch.slot.pixels[:math.prod(batch.shape)].reshape(batch.shape)
