"""Batches as front ends send them: heard, their pixels read, and refused where that is all."""

from __future__ import annotations

import functools
import math
from typing import Callable, Iterable

import numpy as np

from s3dnn_ros.errors import RequestError, RingError, StaleSlotError
from s3dnn_ros.msg import FrameBatch
from s3dnn_ros.nodes.messages import frames_of, s_of
from s3dnn_ros.nodes.qos import batch_qos
from s3dnn_ros.transport.frames import FrameBatch as Frames
from s3dnn_ros.transport.ring import SlotReader

# Front ends come and go; so many of their segments stay attached.
MAX_READERS = 16


class BatchSource:
    """Hears the batches of an executor's instances, from its start to `close`.

    Parameters
    ----------
    node : ExecutorNode
    instances : iterable of str
    transport : str
        The executor's parameter.
    wanted : callable
        Tells of a FrameBatch message whether it is for this executor, now.
    objection : callable
        Returns of front end and frames why they could not be answered, or an empty string.
    accept : callable
        Called with every batch that can be read and answered.
    refuse : callable
        Called with (batch, reason, sentence) for the others.

    """

    def __init__(self, node, instances: Iterable[str], transport: str,
                 wanted: Callable[[FrameBatch], bool], objection: Callable,
                 accept: Callable[[Frames], None], refuse: Callable[[Frames, str, str], None]):
        self._node = node
        self._wanted = wanted
        self._objection = objection
        self._accept = accept
        self._refuse = refuse
        self._readers = {}
        self._subscriptions = [
            node.create_subscription(FrameBatch, f'batches/{name}', self._on_batch,
                                     batch_qos(transport)) for name in instances]

    def close(self):
        """Hear nothing more, and let go of the front ends' memory."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())
        self._readers = {}

    def _on_batch(self, msg):
        if not self._wanted(msg):
            return
        frames = frames_of(msg)
        pixels, release = np.zeros(0, np.uint8), _intact
        sentence = reason = ''
        try:
            pixels, release = self._pixels(msg)
        except StaleSlotError as error:
            reason, sentence = 'lease', str(error)
        except RingError as error:
            reason, sentence = 'memory', str(error)
        except RequestError as error:
            reason, sentence = 'request', str(error)
        else:
            sentence = self._objection(msg.front_end, frames)
            if sentence:
                reason = 'request'
                release()
        batch = Frames(msg.front_end, msg.sequence, msg.instance, msg.model, frames,
                       s_of(msg.sent), pixels, release, msg.epoch, msg.max_batch, msg.run_late)
        if reason:
            self._refuse(batch, reason, sentence)
        else:
            self._accept(batch)

    def _pixels(self, msg):
        """Return the pixels of a batch, and what gives them back.

        Raises RingError, or RequestError for what the message says wrongly.
        """
        shape = tuple(int(size) for size in msg.shape)
        if not msg.segment:
            pixels = np.frombuffer(msg.data, np.uint8)
            if not pixels.size or pixels.size != math.prod(shape):
                raise RequestError(f'an inline batch of shape {shape} carries {pixels.size} bytes')
            return pixels.reshape(shape), _intact
        if msg.segment not in self._readers:
            while len(self._readers) >= MAX_READERS:
                del self._readers[next(iter(self._readers))]
            self._readers[msg.segment] = SlotReader(msg.segment)
        reader = self._readers[msg.segment]
        return (reader.pixels(msg.slot, msg.ticket, shape),
                functools.partial(reader.release, msg.slot, msg.ticket))


def _intact():
    return True
