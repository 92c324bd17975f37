"""How the outputs of a detector become boxes: one protocol, chosen by name in one place."""

from __future__ import annotations

import difflib
import inspect
from typing import Any, Callable, Dict, Iterable, List, Mapping, Protocol, Sequence, Tuple

import numpy as np

from s3dnn_ros.base.content import is_number
from s3dnn_ros.errors import ModelError, shown
from s3dnn_ros.models.boxes import Boxes
from s3dnn_ros.models.decode_classification import ClassificationDecoder
from s3dnn_ros.models.decode_detr import DetrDecoder, RtDetrDecoder
from s3dnn_ros.models.decode_nanodet import NanoDetDecoder
from s3dnn_ros.models.decode_ssd import SsdDecoder
from s3dnn_ros.models.decode_yolo import (
    YoloFinalDecoder,
    YoloV5Decoder,
    YoloV8Decoder,
    YoloXDecoder,
)
from s3dnn_ros.models.sizes import SIZE_LIMIT

__all__ = ['Boxes', 'Decoder', 'decoder_names', 'make_decoder']


class Decoder(Protocol):
    """Reads a network's outputs; holds no state between calls."""

    def check(self, output_shapes: Mapping[str, Sequence]) -> int:
        """Return the number of classes that outputs of these shapes tell apart.

        A shape starts with the batch; None or a string stands for a size not yet known. The
        number is 0 where the shapes do not say. Raises ModelError with what was expected and
        what was found.
        """

    def reads(self, outputs: Iterable[str]) -> Tuple[str, ...]:
        """Return which of a network's outputs, that have been checked, it reads."""

    def scores(self, outputs: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Return the scores in the outputs that it reads, by output, with the batch first.

        Where one of them is no number, the network has failed in this image.
        """

    def decode(
        self,
        outputs: Mapping[str, np.ndarray],
        score_threshold: float,
        iou_threshold: float,
        max_detections: int,
    ) -> List[Boxes]:
        """Return one Boxes per image, best score first.

        `outputs` are arrays with the batch first; scores at or above `score_threshold` count,
        NaN and infinite ones never do. Raises ModelError where `check` would, and for a score
        that is above 1.
        """


# No decoder takes a longer list.
MOST_ITEMS = 16
_DECODERS: Dict[str, type] = {
    'nanodet': NanoDetDecoder,
    'yolov5': YoloV5Decoder,
    'yolov8': YoloV8Decoder,
    'yolo_final': YoloFinalDecoder,
    'yolox': YoloXDecoder,
    'ssd': SsdDecoder,
    'rtdetr': RtDetrDecoder,
    'detr': DetrDecoder,
    'classification': ClassificationDecoder,
}

_SIZE = ('width', 'height')


def _is_whole(value) -> bool:
    return type(value) is int and 0 <= value <= SIZE_LIMIT


# An option is like its default: in words, and by a test.
_WHOLE = f'a whole number from 0 to {SIZE_LIMIT}'
_LIKE: Dict[type, Tuple[str, Callable[[Any], bool]]] = {
    bool: ('true or false', lambda value: isinstance(value, bool)),
    int: (_WHOLE, _is_whole),
    float: ('a number', lambda value: is_number(value, -SIZE_LIMIT, SIZE_LIMIT)),
    str: ('text', lambda value: isinstance(value, str)),
    tuple: (f'a list of at most {MOST_ITEMS}, each {_WHOLE}', lambda value: isinstance(
        value, (list, tuple)) and len(value) <= MOST_ITEMS and all(map(_is_whole, value)))}


def decoder_names() -> Tuple[str, ...]:
    """Return the names that `make_decoder` knows."""
    return tuple(_DECODERS)


def make_decoder(name: str, width: int, height: int, /, **options) -> Decoder:
    """Return the decoder `name` for a network whose input is `width` × `height` pixels.

    Raises ModelError for an unknown name or option, or an option's unusable value.
    """
    if name not in _DECODERS:
        raise ModelError(f"decoder '{name}'", f'is not known; known are {", ".join(_DECODERS)}')
    factory = _DECODERS[name]
    known = {key: parameter.default for key, parameter in inspect.signature(
        factory).parameters.items() if key not in _SIZE}
    for option, value in options.items():
        if option not in known:
            near = difflib.get_close_matches(option[:60], known, 1, 0.5)
            hint = f'did you mean {near[0]!r}?' if near else f'known are {", ".join(known)}'
            raise ModelError(f"decoder '{name}'", f'has no option {option[:60]!r}; {hint}')
        kind, fits = _LIKE[type(known[option])]
        if not fits(value):
            raise ModelError(f"decoder '{name}'",
                             f"option '{option}' is {shown(value)}; expected {kind}")
    try:
        return factory(width, height, **options)
    except (TypeError, ValueError) as error:
        raise ModelError(f"decoder '{name}'",
                         f'an option cannot be used: {str(error)[:200]}') from error
