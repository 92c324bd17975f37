"""One process owns a board's knobs; a lock that dies with its process says which."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from pathlib import Path

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.forks import close_in_children

_LOCK = 'owner.lock'
_RESTORING = 'restoring.lock'


def state_directory(root='/') -> Path:
    """Return the folder for locks and saved states: /run/s3dnn, or one of the user's own.

    Processes of two users share it only if both may write /run/s3dnn. Every root has its own.
    """
    root = os.path.abspath(str(root))
    directory = Path(root) / 'run' / 's3dnn'
    with contextlib.suppress(OSError):
        directory.mkdir(exist_ok=True)
    if os.access(directory, os.W_OK | os.X_OK):
        return directory
    below = '' if root == '/' else '-' + hashlib.sha256(root.encode()).hexdigest()[:12]
    directory = Path(tempfile.gettempdir()) / f's3dnn-{os.getuid()}{below}'
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        raise PlatformError(directory, 'belongs to somebody else; remove it, or name another '
                                       'folder as state_dir')
    return directory


class Owner:
    """Holds the board until it is released or the process ends.

    Parameters
    ----------
    directory : Path
        The folder of the lock, the same for all processes on the board.
    name : str
        What the others are told.
    now_s : float
        When it began, for the others, too.

    Raises
    ------
    PlatformError
        Somebody else holds it; the sentence says who.

    """

    def __init__(self, directory, name, now_s):
        path = Path(directory) / _LOCK
        self._file = _open_lock(path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _describe(self._file)
            self._file.close()
            raise PlatformError(path, f'{holder} sets this board already; end it first, or let '
                                      'it apply the configurations') from None
        close_in_children(self._file)
        text = json.dumps({'pid': os.getpid(), 'name': name, 'start_s': round(now_s, 3)})
        self._file.truncate(0)
        os.pwrite(self._file.fileno(), text.encode(), 0)

    def release(self):
        """Let others have the board; the second time nothing happens."""
        if not self._file.closed:
            self._file.truncate(0)
            self._file.close()


@contextlib.contextmanager
def restoring(directory):
    """Keep everybody else from restoring states in this folder meanwhile; waits for them."""
    with _open_lock(Path(directory) / _RESTORING) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _open_lock(path):
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o664), 'r+b', buffering=0)
    except OSError as error:
        raise PlatformError(path, f'cannot be opened ({error.strerror}); name a folder that this '
                                  'user may write as state_dir') from error
    with contextlib.suppress(PermissionError):
        # whatever the umask says: the folder decides who may set the board
        os.fchmod(file.fileno(), 0o664)
    return file


def _describe(file):
    try:
        holder = json.loads(os.pread(file.fileno(), 4096, 0).decode())
        return f"'{holder['name']}' (process {holder['pid']})"
    except (ValueError, KeyError, TypeError):
        return 'another process'
