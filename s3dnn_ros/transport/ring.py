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
import stat
import struct
import weakref
from pathlib import Path
from typing import Callable

import numpy as np

from s3dnn_ros.errors import RequestError, RingError, StaleSlotError, shown
from s3dnn_ros.transport.slots import SlotPool, SlotSize

DIRECTORY = Path('/dev/shm')
_PREFIX = 's3dnn.'
_MAGIC = b'S3DNNRG1'
_HEADER = struct.Struct('<8sQQ')     # magic, slots, bytes per slot
_WORD = struct.Struct('=Q')          # a ticket
_WORDS_AT = 64                       # ticket words, one per cache line
_LINE = 64
_NAME = re.compile(r's3dnn\.[A-Za-z0-9_.]{1,200}\Z')
_CUT_SHORT = 'the front end has cut the segment short in which the batch lies'


class SharedSlots(SlotPool):
    """The writing side; owns the segment."""

    def __init__(self, label, count, size: SlotSize, directory=DIRECTORY):
        super().__init__(count, size)
        self._directory = Path(directory)
        self._label = re.sub(r'[^A-Za-z0-9_]', '_', label)[:100]
        self._count = count
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

    def grow(self, size):
        """Have slots of this size from now on, if they are smaller."""
        if size.bytes > self._size.bytes:
            self._grown = True
        super().grow(size)

    def close(self):
        """Remove the segment; it is unmapped when the last view of it goes."""
        if self._file is None:
            return
        self._unlink()
        self._words = self._memory = self._map = None
        os.close(self._file)
        self._file = None

    def _create(self):
        self._name = f'{_PREFIX}{self._label}.{secrets.token_hex(6)}'
        path = self._directory / self._name
        # first: a signal may end the process at any line from here on
        self._unlink = weakref.finalize(self, _unlink, path)
        header = _page(_WORDS_AT + self._count * _LINE)
        slot_bytes = _lines(self._size.bytes)
        size = header + self._count * slot_bytes
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # first, so that whatever a crash leaves behind is known as ours
                os.pwrite(file, _HEADER.pack(_MAGIC, self._count, slot_bytes), 0)
                # a sparse file would kill the process with SIGBUS once the
                # memory runs out; this fails here and now instead
                os.posix_fallocate(file, 0, size)
                self._map = mmap.mmap(file, size)
            except BaseException:
                os.close(file)
                raise
        except OSError as error:
            self._unlink()
            raise RingError(self._creation_failed(path, size, error)) from error
        self._file = file
        self._words = _words(self._map, self._count)
        self._memory = np.frombuffer(self._map, np.uint8, self._count * slot_bytes,
                                     header).reshape(self._count, slot_bytes)

    def _creation_failed(self, path, size, error):
        advice = 'look at its permissions'
        if error.errno in (errno.ENOSPC, errno.ENOMEM):
            less = [f'fewer ring_slots than {self._count}'] if self._count > 1 else []
            if self._size.frames > 1:
                less.append(f'a max_batch below {self._size.frames}')
            advice = ('it is full: ' + (f'use {" or ".join(less)}, ' if less else '')
                      + 'make it larger (mount -o remount,size=…; docker run --shm-size=…), or '
                      'set transport: inline')
        return f'{size / 1e6:.1f} MB of shared memory cannot be made at {path} ' \
               f'({error.strerror}); {advice}'

    def _open(self, index, ticket):
        self._words[index, 0] = ticket
        return self._memory[index]

    def _released(self, index, ticket):
        return self._words[index, 0] != ticket

    def _revoke(self, index):
        self._words[index, 0] = 0


class SlotReader:
    """The reading side of one segment; attached by name.

    It reads by pread(2) and maps nothing: who touches mapped memory that its owner has cut short
    gets SIGBUS, and ends.

    Raises
    ------
    RingError
        There is no such segment here.
    RequestError
        Nobody has a segment of this name, or what has it is none.

    """

    def __init__(self, name, directory=DIRECTORY):
        if not _NAME.match(name):
            raise RequestError(f'{shown(name[:80])} is not a name of a shared-memory segment')
        path = Path(directory) / name
        try:
            self._file = _open_segment(path)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise RequestError(f'shared memory {path} is a link, and none is followed; have '
                                   'the front end make the segment itself') from error
            raise RingError(f'shared memory {path} cannot be opened ({error.strerror}); its '
                            'front end is gone, or on another host or in a container without '
                            'a common /dev/shm (then set transport: inline)') from error
        # with whoever reads it last
        weakref.finalize(self, os.close, self._file)
        state = os.fstat(self._file)
        head = os.pread(self._file, _HEADER.size, 0) if stat.S_ISREG(state.st_mode) else b''
        magic, self._count, self._slot_bytes = (
            _HEADER.unpack(head) if len(head) == _HEADER.size else (b'', 0, 0))
        self._start = _page(_WORDS_AT + self._count * _LINE)
        room = state.st_size - self._start
        if magic != _MAGIC or not 0 < self._count * self._slot_bytes <= room:
            raise RequestError(f'shared memory {path} is not a segment of this version; run '
                               'governor and executor of the same release')

    def pixels(self, slot, ticket, shape) -> 'SlotPixels':
        """Return the pixels of a batch, uint8 of `shape`; nothing is read yet but the ticket.

        Raises
        ------
        StaleSlotError
            The slot was taken back and holds something else by now.
        RequestError
            Slot or shape do not fit the segment.

        """
        if not (0 <= slot < self._count and 0 < math.prod(shape) <= self._slot_bytes):
            raise RequestError(f'slot {slot} with shape {tuple(shape)} is outside the segment')
        word = self._word(slot)
        if len(word) < _WORD.size:
            raise RequestError(_CUT_SHORT)
        if not ticket or word != _WORD.pack(ticket):
            raise StaleSlotError('the batch waited longer than slot_lease_ms and its memory was '
                                 'used again')
        return SlotPixels(self, self._start + slot * self._slot_bytes, tuple(shape))

    def read_into(self, array, offset):
        """Fill an array with the bytes from `offset` on; RequestError if there are fewer."""
        if os.preadv(self._file, [array], offset) < array.nbytes:
            raise RequestError(_CUT_SHORT)

    def release(self, slot, ticket) -> bool:
        """Give the slot back; False if it was taken back while it was read."""
        intact = self._word(slot) == _WORD.pack(ticket)
        if intact:
            # a segment that was cut short may lie where there is no memory any more
            with contextlib.suppress(OSError):
                os.pwrite(self._file, bytes(_WORD.size), _WORDS_AT + slot * _LINE)
        return intact

    def _word(self, slot):
        """Return the ticket that a slot holds, as bytes; fewer where the file ends."""
        return os.pread(self._file, _WORD.size, _WORDS_AT + slot * _LINE)


class SlotPixels:
    """The DistantPixels of a batch in a segment."""

    def __init__(self, reader: SlotReader, offset, shape):
        self.shape = shape
        self._reader = reader
        self._offset = offset

    def read(self, memory: Callable[[int], np.ndarray]) -> np.ndarray:
        """Return a copy, in what `memory` gives for so many bytes."""
        array = memory(math.prod(self.shape))
        self._reader.read_into(array, self._offset)
        return array.reshape(self.shape)


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


def _unlink(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


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
