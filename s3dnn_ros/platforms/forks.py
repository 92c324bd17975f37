"""What a forked child must not keep open, so that others notice when its parent ends."""

import contextlib
import os
import weakref

_open = weakref.WeakSet()


def close_in_children(file):
    """Close this unbuffered file, or whatever has `close`, in children that are forked."""
    _open.add(file)


def _close_all():
    for file in list(_open):
        with contextlib.suppress(OSError):
            file.close()


os.register_at_fork(after_in_child=_close_all)
