"""Draws detections into images."""

from __future__ import annotations

import cv2
import numpy as np

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw(image, detections, caption=''):
    """Draw (label, score, (left, top, right, bottom)) tuples into a BGR image, in place.

    The best score comes last, on top of the others.
    """
    scale = max(0.4, image.shape[1] / 1600.0)
    thickness = max(1, round(2.0 * scale))
    for label, score, box in sorted(detections, key=lambda item: item[1]):
        left, top, right, bottom = (round(value) for value in box)
        colour = colour_of(label)
        cv2.rectangle(image, (left, top), (right, bottom), colour, thickness)
        text = f'{label} {score:.2f}'
        (width, height), base = cv2.getTextSize(text, _FONT, scale, 1)
        bottom_of_text = max(top, height + base)
        cv2.rectangle(image, (left, bottom_of_text - height - base),
                      (left + width, bottom_of_text), colour, cv2.FILLED)
        cv2.putText(image, text, (left, bottom_of_text - base + 1), _FONT, scale, (0, 0, 0), 1,
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
