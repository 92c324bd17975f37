"""Draws detections into images."""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence

import cv2
import numpy as np

_FONT = cv2.FONT_HERSHEY_SIMPLEX
# How much of an object's colour its mask has.
_MASK_WEIGHT = 0.45
# Points with a lower score are mostly not there.
_LEAST_POINT_SCORE = 0.5
# What is further out of an image, OpenCV cannot draw towards.
_FAR = 1e6


class Drawn(NamedTuple):
    """An object to be drawn, in pixels of the image.

    `box` is left, top, right, bottom; `mask` (h, w), above 0 on the object, is stretched over it.
    `keypoints` are x, y, score; `oriented` is centre x, y, width, height and angle in radians, and
    is drawn instead of the box.
    """

    label: str
    score: float
    box: Sequence[float]
    mask: Optional[np.ndarray] = None
    keypoints: Optional[Sequence[Sequence[float]]] = None
    oriented: Optional[Sequence[float]] = None


def draw(image, objects: Sequence[Drawn], caption=''):
    """Draw objects into a BGR image, in place.

    The best score comes last, on top of the others.
    """
    scale = max(0.4, image.shape[1] / 1600.0)
    thickness = max(1, round(2.0 * scale))
    for drawn in sorted(objects, key=lambda each: each.score):
        colour = colour_of(drawn.label)
        if drawn.mask is not None:
            _draw_mask(image, drawn, colour)
        outline = _outline(drawn)
        cv2.polylines(image, [outline], True, colour, thickness)
        for x, y, score in drawn.keypoints or ():
            if score >= _LEAST_POINT_SCORE and abs(x) < _FAR and abs(y) < _FAR:
                cv2.circle(image, (round(x), round(y)), 2 * thickness, colour, cv2.FILLED)
        text = f'{drawn.label} {drawn.score:.2f}'
        (width, height), base = cv2.getTextSize(text, _FONT, scale, 1)
        left, bottom = round(drawn.box[0]), max(round(drawn.box[1]), height + base)
        cv2.rectangle(image, (left, bottom - height - base), (left + width, bottom), colour,
                      cv2.FILLED)
        cv2.putText(image, text, (left, bottom - base + 1), _FONT, scale, (0, 0, 0), 1,
                    cv2.LINE_AA)
    if caption:
        place = (8, image.shape[0] - 10)
        cv2.putText(image, caption, place, _FONT, scale, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(image, caption, place, _FONT, scale, (255, 255, 255), 1, cv2.LINE_AA)


def colour_of(label):
    """Return a bright BGR colour, the same for the same label in every process."""
    hue = sum((index + 1) * ord(letter) for index, letter in enumerate(label)) * 37 % 180
    pixel = cv2.cvtColor(np.uint8([[[hue, 200, 255]]]), cv2.COLOR_HSV2BGR)
    return tuple(int(value) for value in pixel[0, 0])


def _outline(drawn) -> np.ndarray:
    """Return the corners of what is drawn around an object, int32 (4, 2)."""
    if drawn.oriented is None:
        left, top, right, bottom = drawn.box
        corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    else:
        x, y, width, height, angle = drawn.oriented
        along = np.array([np.cos(angle), np.sin(angle)]) * width / 2
        across = np.array([-np.sin(angle), np.cos(angle)]) * height / 2
        corners = np.array([x, y]) + np.array([
            -along - across, along - across, along + across, across - along])
    return np.clip(np.round(corners), -_FAR, _FAR).astype(np.int32)


def _draw_mask(image, drawn, colour):
    left, top, right, bottom = (round(edge) for edge in drawn.box)
    part = image[max(top, 0):max(bottom, 0), max(left, 0):max(right, 0)]
    if not part.size:
        return
    mask = cv2.resize(drawn.mask, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    mask = mask[max(-top, 0):, max(-left, 0):][:part.shape[0], :part.shape[1]] >= 128
    part[mask] = part[mask] * (1.0 - _MASK_WEIGHT) + np.array(colour) * _MASK_WEIGHT
