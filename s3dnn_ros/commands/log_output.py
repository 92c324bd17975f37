"""Commands print what the package logs."""

from __future__ import annotations

import contextlib
import logging
import sys


class Elapsed(logging.Formatter):
    """Puts the seconds since the program started before each sentence."""

    def format(self, record):
        """Return the line of a record."""
        return f'{record.relativeCreated / 1e3:6.0f} s  {super().format(record)}'


class _Printer(logging.Handler):
    """Prints progress to the standard output, warnings and errors to the standard error.

    A StreamHandler would print a traceback where the reader of a pipe has gone; this raises.
    """

    def emit(self, record):
        """Print one record."""
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        print(self.format(record), file=stream, flush=True)


@contextlib.contextmanager
def logged_lines_printed(formatter=None):
    """Print what the package logs while this is open, each record on a line of its own."""
    logger, handler = logging.getLogger('s3dnn_ros'), _Printer()
    handler.setFormatter(formatter)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
