"""Batches in shared memory: written by one front end, read by executors.

A segment is a file under /dev/shm. Its first page describes it and holds one
word per slot: the ticket of the batch in the slot, or 0 once it was released.
The writer alone hands out tickets, never the same one twice, so a reader that
finds its ticket unchanged after reading has read what was sent (a sequence
lock). The writer holds a file lock for as long as it lives, so segments that a
crash left behind are recognised, also across containers, and removed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import mmap
import os
import re
import secrets
import struct
from pathlib import Path

import numpy as np

from s3dnn_ros.errors import RingError, StaleSlotError
from s3dnn_ros.transport.slots import SlotPool

DIRECTORY = Path('/dev/shm')
_PREFIX = 's3dnn.'
_MAGIC = b'S3DNNRG1'
_HEADER = struct.Struct('<8sQQ')     # magic, slots, bytes per slot
_WORDS_AT = 64                       # ticket words, one per cache line
_LINE = 64
_NAME = re.compile(r's3dnn\.[A-Za-z0-9_.]{1,200}\Z')


class SharedSlots(SlotPool):
    """The writing side; owns the segment."""

    def __init__(self, label, count, slot_bytes, directory=DIRECTORY):
        super().__init__(count)
        self._directory = Path(directory)
        self._label = re.sub(r'[^A-Za-z0-9_]', '_', label)[:100]
        self._count = count
        self._slot_bytes = _lines(slot_bytes)
        self._grown = False
        self._file = None
        self.replaced = 0        # segments that had to be made again
        remove_orphans(self._directory)
        self._create()

    @property
    def name(self):
        """Return the segment's name, as messages carry it."""
        return self._name

    def acquire(self, now_s):
        """Return an unused slot; makes a new segment first if this one is too small, or removed.

        What was under way in the removed segment stays readable for executors
        that have it mapped. Raises RingError if there is no memory for a new one.
        """
        if self._file is None or self._grown or not os.fstat(self._file).st_nlink:
            self.close()
            self._free, self._out, self._since_s = list(range(self._count)), {}, {}
            self._create()
            self._grown = False
            self.replaced += 1
        return super().acquire(now_s)

    def grow(self, slot_bytes):
        """Have slots of so many bytes from now on, if they are smaller."""
        if _lines(slot_bytes) > self._slot_bytes:
            self._slot_bytes = _lines(slot_bytes)
            self._grown = True

    def close(self):
        """Remove the segment; it is unmapped when the last view of it goes."""
        if self._file is None:
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._directory / self._name)
        self._words = self._memory = self._map = None
        os.close(self._file)
        self._file = None

    def _create(self):
        self._name = f'{_PREFIX}{self._label}.{secrets.token_hex(6)}'
        path = self._directory / self._name
        header = _page(_WORDS_AT + self._count * _LINE)
        size = header + self._count * self._slot_bytes
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # first, so that whatever a crash leaves behind is known as ours
                os.pwrite(file, _HEADER.pack(_MAGIC, self._count, self._slot_bytes), 0)
                # a sparse file would kill the process with SIGBUS once the
                # memory runs out; this fails here and now instead
                os.posix_fallocate(file, 0, size)
                self._map = mmap.mmap(file, size)
            except OSError:
                os.close(file)
                os.unlink(path)
                raise
        except OSError as error:
            raise RingError(_creation_failed(path, size, error)) from error
        self._file = file
        self._words = _words(self._map, self._count)
        self._memory = np.frombuffer(self._map, np.uint8, self._count * self._slot_bytes,
                                     header).reshape(self._count, self._slot_bytes)

    def _open(self, index, ticket):
        self._words[index, 0] = ticket
        return self._memory[index]

    def _released(self, index, ticket):
        return self._words[index, 0] != ticket

    def _revoke(self, index):
        self._words[index, 0] = 0


class SlotReader:
    """The reading side of one segment; attached by name."""

    def __init__(self, name, directory=DIRECTORY):
        path = Path(directory) / name
        if not _NAME.match(name):
            raise RingError(f"'{name}' is not a name of a shared-memory segment")
        try:
            file = _open_segment(path)
        except OSError as error:
            raise RingError(f'shared memory {path} cannot be opened ({error.strerror}); its '
                            'front end is gone, or on another host or in a container without '
                            'a common /dev/shm (then set transport: inline)') from error
        try:
            size = os.fstat(file).st_size
            self._map = mmap.mmap(file, size) if size else b''
        finally:
            os.close(file)
        magic, count, slot_bytes = (_HEADER.unpack_from(self._map)
                                    if size >= _WORDS_AT else (b'', 0, 0))
        header = _page(_WORDS_AT + count * _LINE)
        if magic != _MAGIC or not 0 < count * slot_bytes <= size - header:
            raise RingError(f'shared memory {path} is not a segment of this version; '
                            'run governor and executor of the same release')
        self._words = _words(self._map, count)
        self._memory = np.frombuffer(self._map, np.uint8, count * slot_bytes,
                                     header).reshape(count, slot_bytes)

    def view(self, slot, ticket, shape) -> np.ndarray:
        """Return the pixels of a batch, uint8 of `shape`, where they lie.

        Raises
        ------
        StaleSlotError
            The slot was taken back and holds something else by now.
        RingError
            Slot or shape do not fit the segment.

        """
        size = math.prod(shape)
        if slot >= len(self._memory) or not 0 < size <= self._memory.shape[1]:
            raise RingError(f'slot {slot} with shape {tuple(shape)} is outside the segment')
        if self._words[slot, 0] != ticket:
            raise StaleSlotError('the batch waited longer than slot_lease_ms and its memory was '
                                 'used again')
        return self._memory[slot, :size].reshape(shape)

    def release(self, slot, ticket) -> bool:
        """Give the slot back; False if it was taken back while it was read."""
        intact = bool(self._words[slot, 0] == ticket)
        if intact:
            self._words[slot, 0] = 0
        return intact


def remove_orphans(directory=DIRECTORY):
    """Remove the segments whose front end no longer lives; returns their names."""
    removed = []
    for path in sorted(Path(directory).glob(_PREFIX + '*')):
        with contextlib.suppress(OSError):
            file = _open_segment(path)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # it may be somebody else's, or be made just now
                if os.pread(file, len(_MAGIC), 0) == _MAGIC:
                    os.unlink(path)
                    removed.append(path.name)
            finally:
                os.close(file)
    return removed


def _open_segment(path):
    """Return the descriptor of a file; a link would lead to whatever its maker may not open."""
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def _lines(size):
    return -(-size // _LINE) * _LINE


def _page(size):
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def _words(memory, count):
    words = np.frombuffer(memory, np.uint64, count * _LINE // 8, _WORDS_AT)
    return words.reshape(count, _LINE // 8)


def _creation_failed(path, size, error):
    advice = 'look at its permissions'
    if error.errno in (errno.ENOSPC, errno.ENOMEM):
        advice = ('it is full: use fewer ring_slots or a smaller max_batch, or make it larger '
                  '(mount -o remount,size=…; docker run --shm-size=…)')
    return f'{size / 1e6:.1f} MB of shared memory cannot be made at {path} ' \
           f'({error.strerror}); {advice}'
