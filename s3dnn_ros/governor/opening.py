"""Opens the images of frames that were chosen for a batch, in another thread if it is slow."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

from s3dnn_ros.base.callbacks import ignore
from s3dnn_ros.errors import ImageError
from s3dnn_ros.governor.batch import Image
from s3dnn_ros.images.pixels import Pixels
from s3dnn_ros.scheduling.fusion import WaitingFrame


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The frames of a batch; `images` gives for each its Pixels, or the ImageError."""

    requests: Tuple[WaitingFrame, ...]
    run_late: bool
    chosen_s: float
    images: concurrent.futures.Future


class Opening:
    """What is being opened: one batch per instance.

    Parameters
    ----------
    opener : concurrent.futures.Executor, optional
        Where images that are slow are opened; without one, that is done at once.
    opened : callable
        Called in any thread when the images of a batch are open.

    """

    def __init__(self, opener: Optional[concurrent.futures.Executor] = None,
                 opened: Callable[[], None] = ignore):
        self._opener, self._opened = opener, opened
        self._chosen: Dict[str, Chosen] = {}

    def __contains__(self, instance):
        return instance in self._chosen

    def start(self, requests: Tuple[WaitingFrame, ...], run_late, now_s) -> Chosen:
        """Have the images of these frames opened; they may be so at once."""
        images = [request.item[0] for request in requests]
        if self._opener is not None and any(image.is_slow for image in images):
            opened = self._opener.submit(_open_all, images)
        else:
            opened = concurrent.futures.Future()
            opened.set_result(_open_all(images))
        return Chosen(requests, run_late, now_s, opened)

    def wait(self, instance, chosen: Chosen):
        """Keep the chosen frames of an instance until their images are open."""
        self._chosen[instance] = chosen
        chosen.images.add_done_callback(lambda _: self._opened())

    def ended(self) -> List[str]:
        """Return the instances whose images are open."""
        return [name for name, chosen in self._chosen.items() if chosen.images.done()]

    def take(self, instance) -> Chosen:
        """Return the chosen frames of an instance, and keep them no longer."""
        return self._chosen.pop(instance)

    def discard(self, instance) -> Tuple[WaitingFrame, ...]:
        """Return the frames of an instance, if there are any, and keep them no longer."""
        return self.take(instance).requests if instance in self else ()


def _open_all(images: Sequence[Image]) -> List[Union[Pixels, ImageError]]:
    opened: List[Union[Pixels, ImageError]] = []
    for image in images:
        try:
            opened.append(image.open())
        except ImageError as error:
            opened.append(error)
        except Exception as error:
            # of what nobody foresaw, one frame is lost, and not the slot of its batch
            opened.append(ImageError('data', f'the image cannot be opened: {error!r}; please '
                                             'report this'))
    return opened
