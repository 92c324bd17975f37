"""What comes into the governor, and what leaves it."""

from __future__ import annotations

import dataclasses
from typing import Callable

from s3dnn_ros.images.pixels import Pixels
from s3dnn_ros.transport.slots import Slot


@dataclasses.dataclass(frozen=True)
class Image:
    """An image as it arrives; `open()` returns its Pixels or raises ImageError, in any thread.

    One that `is_slow` is decoded for it, which may take longer than others can wait.
    """

    camera: str
    frame_id: str
    stamp_ns: int
    received_s: float
    open: Callable[[], Pixels]
    is_slow: bool = False


@dataclasses.dataclass(frozen=True)
class Batch:
    """A batch that is ready to be sent; its pixels are in `slot.pixels`.

    `executor` is the process that is to run it, `max_batch` how many frames its
    instance allows in one run, `run_late` whether it is to run even if it will be late, `chosen_s`
    when its frames were chosen.
    """

    sequence: int
    instance: str
    executor: str
    model: str
    frames: tuple
    slot: Slot
    shape: tuple
    max_batch: int
    run_late: bool
    chosen_s: float
