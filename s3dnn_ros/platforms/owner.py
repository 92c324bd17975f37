"""One process owns a board's knobs; a lock that dies with its process says which."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Iterable, List

from s3dnn_ros.base.lock_file import open_lock
from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.forks import close_in_children

_LOCK = 'owner.lock'
_RESTORING = 'restoring.lock'


def state_directory(root='/') -> Path:
    """Return the folder for locks and saved states: /run/s3dnn, or one of the user's own.

    Processes of two users share it only if both may write /run/s3dnn. Every root has its own.
    Raises PlatformError if there is neither.
    """
    directory = _shared_directory(root)
    with contextlib.suppress(OSError):
        directory.mkdir(exist_ok=True)
    if os.access(directory, os.W_OK | os.X_OK):
        return directory
    directory = Path(tempfile.gettempdir()) / f's3dnn-{os.getuid()}{_suffix(root)}'
    make_directory(directory)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        raise PlatformError(directory, 'belongs to somebody else; remove it, or name another '
                                       'folder as state_dir')
    with contextlib.suppress(OSError):
        # whatever the umask says: other users must see who sets the board
        directory.chmod(0o755)
    return directory


def make_directory(directory):
    """Make a folder for locks and saved states, unless it is there; raises PlatformError."""
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise PlatformError(directory, f'the folder cannot be made ({error.strerror}); name one '
                                       'that this user may write as state_dir') from error


def locks_of_all(root='/') -> List[Path]:
    """Return where a lock may be by which some user's process owns the board below this root."""
    own = re.compile(rf's3dnn-\d+{_suffix(root)}')
    directories = [path for path in sorted(Path(tempfile.gettempdir()).glob('s3dnn-*'))
                   if own.fullmatch(path.name)]
    return [directory / _LOCK for directory in (_shared_directory(root), *directories)]


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
    others : iterable of Path
        Locks that processes hold instead which use another folder, as `locks_of_all` finds them.

    Raises
    ------
    PlatformError
        Somebody else holds it, or one of the others; the sentence says who.

    """

    def __init__(self, directory, name, now_s, others: Iterable[Path] = ()):
        path = Path(directory) / _LOCK
        self._file = _open_lock(path)
        try:
            _lock_or_refuse(self._file.fileno(), path, fcntl.LOCK_EX)
            # our own comes first: of two that start at once, one sees the other at least
            for other in others:
                self._refuse_if_held(other)
        except PlatformError:
            self._file.close()
            raise
        close_in_children(self._file)
        text = json.dumps({'pid': os.getpid(), 'name': name, 'start_s': round(now_s, 3)})
        self._file.truncate(0)
        os.pwrite(self._file.fileno(), text.encode(), 0)

    def release(self):
        """Let others have the board; the second time nothing happens."""
        if not self._file.closed:
            self._file.truncate(0)
            self._file.close()

    def _refuse_if_held(self, path):
        try:
            # somebody else's folder may hold anything: a link, or a pipe that nobody writes
            other = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return      # there is none, or none that this user may see
        try:
            if not os.path.sameopenfile(other, self._file.fileno()):
                _lock_or_refuse(other, path, fcntl.LOCK_SH)
        finally:
            os.close(other)


@contextlib.contextmanager
def restoring(directory):
    """Keep everybody else from restoring states in this folder meanwhile; waits for them."""
    with _open_lock(Path(directory) / _RESTORING) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _shared_directory(root):
    return Path(os.path.abspath(str(root))) / 'run' / 's3dnn'


def _suffix(root):
    """Return what tells a root's folders from those of others; nothing for the system's."""
    root = os.path.abspath(str(root))
    return '' if root == '/' else '-' + hashlib.sha256(root.encode()).hexdigest()[:12]


def _open_lock(path):
    try:
        file = open_lock(path, 0o664)
    except OSError as error:
        raise PlatformError(path, f'cannot be opened ({error.strerror}); name a folder that this '
                                  'user may write as state_dir') from error
    with contextlib.suppress(PermissionError):
        # whatever the umask says: the folder decides who may set the board
        os.fchmod(file.fileno(), 0o664)
    return file


def _lock_or_refuse(file, path, kind):
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        raise PlatformError(path, f'{_describe(file)} sets this board already; end it first, or '
                                  'let it apply the configurations') from None


def _describe(file):
    try:
        holder = json.loads(os.pread(file, 4096, 0).decode())
        return f"'{holder['name']}' (process {holder['pid']})"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 'another process'
