"""Files that are there to be locked."""

from __future__ import annotations

import os
from typing import BinaryIO


def open_lock(path, mode: int = 0o666) -> BinaryIO:
    """Return a file to lock, to read and to write; it is made if it is not there.

    Others may share the folder. They must not choose by a link what is opened, or by a pipe that
    nobody goes on, and what they wrote into the file stays there. Raises OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, mode), 'r+b', buffering=0)
