"""Where downloads and exported models live, and how files get there whole."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Iterator

from s3dnn_ros.base.content import full_path
from s3dnn_ros.base.lock_file import open_lock


def cache_dir() -> Path:
    """Return $S3DNN_CACHE, or ~/.cache/s3dnn; the folder need not exist yet."""
    configured = os.environ.get('S3DNN_CACHE', '')
    return full_path(configured) if configured else Path.home() / '.cache' / 's3dnn'


def exported_path(name: str) -> Path:
    """Return where the zoo model `name` is exported to."""
    return cache_dir() / 'models' / f'{name}.onnx'


def plan_path(name: str) -> Path:
    """Return where the segment plan of the model `name` is kept."""
    return cache_dir() / 'segments' / f'{name}.json'


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        for block in iter(lambda: stream.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a folder for one process at a time; a second one waits. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    with open_lock(directory / '.lock') as stream:
        # The kernel drops the lock when the process dies, so none is ever left behind.
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that readers see either the old content or all of the new.

    A link in its place is replaced, not followed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=path.name + '.', suffix='.part', dir=path.parent)
    try:
        with os.fdopen(handle, 'wb') as stream:
            stream.write(content)
        # mkstemp makes private files; a cache may be shared by the users of a robot.
        os.chmod(part, 0o644)
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
