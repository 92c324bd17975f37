"""Types of command line arguments."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Tuple


def above_zero(kind):
    """Return an argparse type: a number of this kind above zero."""

    def read(text: str):
        value = kind(text)
        if not 0 < value < float('inf'):
            raise argparse.ArgumentTypeError(f'{text} is not above 0')
        return value

    read.__name__ = kind.__name__
    return read


def from_zero(text: str) -> int:
    """Read a whole number from 0 on; an argparse type."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 0 on")
    return int(text)


def seconds(text: str) -> float:
    """Read seconds from 0 on, with a fraction or without; an argparse type."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float('inf'):
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds from 0 on")
    return value


def image_size(text: str) -> Tuple[int, int]:
    """Read a width and a height in pixels, from 8 on, such as 1280x720; an argparse type."""
    width, _, height = text.partition('x')
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 8):
        raise argparse.ArgumentTypeError(f"'{text}' is no size such as 1280x720")
    return int(width), int(height)


def new_file(text: str) -> Path:
    """Read the path of a file to write; an argparse type.

    That it cannot be written is told before what it is to hold is measured.
    """
    path = Path(text)
    folder = next(parent for parent in path.absolute().parents if os.path.exists(parent))
    if os.path.isdir(path) or not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
        raise argparse.ArgumentTypeError(f"'{text}' cannot be written; name a file, in a folder "
                                         'that you may write to')
    return path
