"""What keeps going wrong: at the start, much is not there yet."""

from __future__ import annotations


class LastingTrouble:
    """Tells which trouble lasts, each once.

    Parameters
    ----------
    patience_s : float
        How long nothing may go well before a trouble counts as one that lasts.

    """

    def __init__(self, patience_s):
        self._patience_s = patience_s
        self._since_s = None
        self._told = set()
        self.sentence = ''      # what goes wrong now; empty: nothing

    def over(self):
        """Take note that something went well."""
        self._since_s, self.sentence = None, ''

    def is_new(self, reason, sentence, now_s) -> bool:
        """Take note that something went wrong; return whether it is time to say so."""
        if self._since_s is None:
            self._since_s = now_s
        self.sentence = sentence
        lasts = now_s - self._since_s >= self._patience_s
        new = lasts and reason not in self._told
        if new:
            self._told.add(reason)
        return new
