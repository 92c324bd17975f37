"""Images of an instance's cameras in virtual time, until they run: the governor's queue."""

from __future__ import annotations

from typing import Callable, Dict, Sequence, Tuple

from s3dnn_ros.lab.virtual_executor import VirtualExecutor
from s3dnn_ros.runtime.job import Instance, Request
from s3dnn_ros.scheduling.fusion import FusionQueue, WaitingFrame


class FrontEnd:
    """Keeps the newest image of each camera, and sends the best batch of them.

    The next batch is chosen when the last one has ended: on a device that runs networks side by
    side, an executor's capacity report says that only the instance's own lane is in the way
    (DERIVED from `Admission`). To hand a batch over takes no time here.

    Parameters
    ----------
    executor : VirtualExecutor
    instance : Instance
    cameras : sequence of str
    max_batch : int
    dropped : callable
        Called with an image's item and a reason for every image that was never sent.

    """

    def __init__(self, executor: VirtualExecutor, instance: Instance, cameras: Sequence[str],
                 max_batch: int, dropped: Callable[[float, str], None]):
        self._executor = executor
        self._instance = instance
        self._queue = FusionQueue(cameras, max_batch, 0.0, instance.queue.expect.run_s)
        self._dropped = dropped
        self._sent: Dict[int, Tuple[WaitingFrame, ...]] = {}    # by number of the request

    def offer(self, camera: str, item: float, deadline_s: float):
        """Take an image; it is sent, with others of this moment, if nothing of ours runs."""
        replaced = self._queue.put(WaitingFrame(camera, deadline_s, self._executor.now_s(), item))
        if replaced is not None:
            self._dropped(replaced.item, 'replaced')
        self._look_soon()

    def ended(self, request: Request) -> Tuple[WaitingFrame, ...]:
        """Return the images of a request that has ended or was dropped; more are sent soon."""
        self._look_soon()
        return self._sent.pop(request.number)

    def _look_soon(self):
        """Look behind all else that happens at this moment."""
        self._executor.at(self._executor.now_s(), self._look)

    def _look(self):
        """Send the next batch, unless one is under way or an image is worth waiting for."""
        now_s = self._executor.now_s()
        if self._sent:
            return
        for frame in self._queue.remove_lost(now_s):
            self._dropped(frame.item, 'late')
        if not len(self._queue):
            return
        held_s = self._queue.held_until_s(now_s)
        if held_s > now_s:
            self._executor.at(held_s, self._look)
            return
        is_hopeless = self._queue.is_hopeless(self._queue.first(now_s))
        frames = self._queue.take(now_s)
        request = self._executor.send(
            self._instance, min(frame.deadline_s for frame in frames), len(frames), is_hopeless)
        self._sent[request.number] = frames
