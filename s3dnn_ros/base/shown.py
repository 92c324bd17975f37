"""Values of others in a sentence: short, however large they are."""

from __future__ import annotations

import reprlib
from typing import Any

# Longer names are not kept, whatever they are of.
LONGEST_NAME = 512
_LONGEST_SENTENCE = 2000
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 3


def shown(value: Any) -> str:
    """Return a value as a sentence may show it, however large it is."""
    try:
        return _SHORT.repr(value)
    except ValueError:
        return 'a number without end'   # Python writes out no more than 4300 digits


def cut(sentence: str) -> str:
    """Return a sentence, or the beginning of one that is too long to log."""
    if len(sentence) <= _LONGEST_SENTENCE:
        return sentence
    return sentence[:_LONGEST_SENTENCE] + '…'
