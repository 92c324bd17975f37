"""Names and sentences of others: short, however long they are."""

from __future__ import annotations

# Longer names are not kept, whatever they are of.
LONGEST_NAME = 512
_LONGEST_SENTENCE = 2000


def cut(sentence: str) -> str:
    """Return a sentence, or the beginning of one that is too long to log."""
    if len(sentence) <= _LONGEST_SENTENCE:
        return sentence
    return sentence[:_LONGEST_SENTENCE] + '…'
