"""How near a variant's answers are to those of the exact network, on the same images.

The papers take a fixed number of points off for each layer of low rank, which says nothing
about what a layer does to the outputs. Fidelity is measured instead; the points are an option.
"""

from __future__ import annotations

from typing import Mapping, Sequence

import numpy as np

from s3dnn_ros.models.boxes import Boxes
from s3dnn_ros.models.spec import ModelSpec

Outputs = Mapping[str, np.ndarray]
# What NeuOS takes off the score for a layer of low rank, of the exact network's 100.
POINT = 0.01
SCORE_THRESHOLD = 0.4
IOU_THRESHOLD = 0.6
MAX_DETECTIONS = 100
# From this overlap on, two boxes of a class are one object's.
SAME_OBJECT_IOU = 0.5


def fidelity(exact: Sequence[Outputs], variant: Sequence[Outputs]) -> float:
    """Return how much of the exact outputs a variant keeps, from 0 to 1, over all images.

    It is 1 − ‖y − ŷ‖ / ‖y‖, at least 0, of each output of each image, and their mean: a number
    that needs no decoder, no labels and no threshold, so that it is the same for any network,
    and in which an output of large numbers counts as much as one of small numbers. An output
    of another shape, or with numbers that are not finite, has 0.
    """
    shares = [
        _kept(expected, found)
        for before, after in zip(exact, variant)
        for name in before
        for expected, found in zip(before[name], after[name])
    ]
    return float(np.mean(shares))


def points(layers: int) -> float:
    """Return NeuOS's score of a network with so many layers of low rank, as a share of 1.

    [NeuOS, section 2]: 100 for the exact network and one less for each such layer; here 1 and
    0.01, so that it can stand where fidelity does.
    """
    return max(0.0, 1.0 - POINT * layers)


def same_answers(
    spec: ModelSpec, exact: Sequence[Outputs], variant: Sequence[Outputs]
) -> float:
    """Return the share of decoded answers that are the same, from 0 to 1, over all images.

    For a classifier that is top-1 agreement. For a detector it is the F1 score of the variant's
    boxes, where the exact network's are the truth: same class, IoU of a half or more.
    """
    decoder = spec.make_decoder()
    # the best class counts, however sure the network is of it
    threshold, most = ((0.0, 1) if spec.decoder == 'classification'
                       else (SCORE_THRESHOLD, MAX_DETECTIONS))
    same = total = 0
    for before, after in zip(exact, variant):
        for truth, found in zip(decoder.decode(before, threshold, IOU_THRESHOLD, most),
                                decoder.decode(after, threshold, IOU_THRESHOLD, most)):
            same += 2 * _matches(truth, found)
            total += len(truth) + len(found)
    return same / total if total else 1.0


def random_images(spec: ModelSpec, count: int, seed: int = 0) -> np.ndarray:
    """Return uint8 noise (N, H, W, 3), for a network of which no images are at hand."""
    shape = (count, spec.height, spec.width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def _kept(expected: np.ndarray, found: np.ndarray) -> float:
    if expected.shape != found.shape:
        return 0.0
    expected, found = expected.astype(np.float64), found.astype(np.float64)
    norm, change = np.linalg.norm(expected), np.linalg.norm(expected - found)
    if not np.isfinite(change):
        return 0.0
    if norm == 0.0:
        return float(change == 0.0)
    return max(0.0, 1.0 - float(change / norm))


def _matches(truth: Boxes, found: Boxes) -> int:
    """Return how many boxes are in both, each counted once; the surest choose first."""
    free = np.ones(len(truth), bool)
    for box, class_id in zip(found.xyxy, found.class_ids):
        overlaps = np.where(free & (truth.class_ids == class_id), _ious(truth.xyxy, box), 0.0)
        if len(overlaps) and overlaps.max() >= SAME_OBJECT_IOU:
            free[overlaps.argmax()] = False
    return int(len(free) - free.sum())


def _ious(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = np.clip(sides, 0.0, None).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return shared / np.maximum(areas - shared, 1e-9)
