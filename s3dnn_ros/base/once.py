"""Warnings that would come again and again are logged once."""

from __future__ import annotations


class OnceLogger:
    """Logs a warning about each matter a single time, for as long as this object lives.

    Parameters
    ----------
    logger : logging.Logger
        Of the module that has something to say.

    """

    def __init__(self, logger):
        self._logger = logger
        self._matters = set()

    def warning(self, matter, sentence):
        """Log the sentence, unless there was one about this matter."""
        if matter not in self._matters:
            self._matters.add(matter)
            self._logger.warning(sentence)
