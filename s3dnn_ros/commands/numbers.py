"""Types of command line arguments."""

from __future__ import annotations

import argparse


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
