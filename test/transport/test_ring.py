"""Shared memory between processes: what is sent is read, what is broken is refused."""

import errno
import gc
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import s3dnn_ros.errors
from s3dnn_ros.errors import RequestError, RingError, StaleSlotError
from s3dnn_ros.transport import ring
from s3dnn_ros.transport.ring import SharedSlots, SlotReader, remove_orphans
from s3dnn_ros.transport.slots import SlotSize, zeros

ENVIRONMENT = dict(os.environ, PYTHONPATH=str(Path(s3dnn_ros.errors.__file__).parents[1]))
SHAPE = (1, 4, 5, 3)
SIZE = 60
ROOM = SlotSize(1, SIZE)
NAME = 's3dnn.test.0'

OWN_A_SEGMENT = """
import sys
from s3dnn_ros.transport.ring import SharedSlots
from s3dnn_ros.transport.slots import SlotSize
slots = SharedSlots('child', 2, SlotSize(1, 64), sys.argv[1])
print(slots.name, flush=True)
sys.stdin.read()
"""

ANSWER_WITH_THE_SUM = """
import sys
from s3dnn_ros.transport.ring import SlotReader
from s3dnn_ros.transport.slots import zeros
reader = SlotReader(sys.argv[2], sys.argv[1])
for line in sys.stdin:
    slot, ticket = map(int, line.split())
    pixels = reader.pixels(slot, ticket, (1, 4, 5, 3)).read(zeros)
    total = int(pixels.sum())
    print(total, reader.release(slot, ticket), flush=True)
"""


def python(code, *arguments):
    return subprocess.Popen([sys.executable, '-c', code, *map(str, arguments)], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)


@pytest.fixture
def slots(tmp_path):
    slots = SharedSlots('test', 2, ROOM, tmp_path)
    yield slots
    slots.close()


@pytest.fixture
def reader(slots, tmp_path):
    return SlotReader(slots.name, tmp_path)


def refusal(name, directory, kind=RequestError):
    with pytest.raises(kind) as caught:
        SlotReader(name, directory)
    return str(caught.value)


def open_files():
    """Return how many files are open, but for those that only errors of earlier tests keep."""
    gc.collect()
    return len(os.listdir('/proc/self/fd'))


def read(reader, slot, shape=SHAPE):
    return reader.pixels(slot.index, slot.ticket, shape).read(zeros)


def test_pixels_written_on_one_side_are_read_on_the_other(slots, reader):
    slot = slots.acquire(0.0)
    slot.pixels[:SIZE] = np.arange(SIZE)
    pixels = reader.pixels(slot.index, slot.ticket, SHAPE)
    assert pixels.shape == SHAPE
    slot.pixels[0] = 77
    own = np.empty(SIZE, np.uint8)
    array = pixels.read({SIZE: own}.get)
    assert array.base is own
    assert array.reshape(-1).tolist() == [77, *range(1, SIZE)]


def test_slots_do_not_overlap(slots, reader):
    first, second = slots.acquire(0.0), slots.acquire(0.0)
    first.pixels[:], second.pixels[:] = 1, 2
    assert (read(reader, first) == 1).all()
    assert (read(reader, second) == 2).all()


def test_when_every_slot_is_out_there_is_none(slots, reader):
    first, _ = slots.acquire(0.0), slots.acquire(0.0)
    assert slots.acquire(0.0) is None
    assert reader.release(first.index, first.ticket)
    assert slots.acquire(0.0).index == first.index
    assert slots.acquire(0.0) is None


def test_a_batch_taken_back_before_it_was_read_is_stale(slots, reader):
    slot = slots.acquire(0.0)
    assert slots.overdue(3.0, 2.0) == [slot]
    with pytest.raises(StaleSlotError, match='slot_lease_ms'):
        reader.pixels(slot.index, slot.ticket, SHAPE)


def test_a_batch_taken_back_while_it_was_read_is_noticed_and_its_successor_spared(slots, reader):
    old = slots.acquire(0.0)
    other = slots.acquire(0.0)
    read(reader, old)
    slots.overdue(3.0, 2.0)
    new = [slots.acquire(3.0), slots.acquire(3.0)]
    assert not reader.release(old.index, old.ticket)
    assert not reader.release(other.index, other.ticket)
    for slot in new:
        read(reader, slot)


def test_a_slot_is_released_once(slots, reader):
    slot = slots.acquire(0.0)
    assert reader.release(slot.index, slot.ticket)
    assert not reader.release(slot.index, slot.ticket)


def test_a_slot_that_nobody_has_is_stale(slots, reader):
    slot = slots.acquire(0.0)
    slots.abandon(slot)
    for ticket in (0, slot.ticket):
        with pytest.raises(StaleSlotError):
            reader.pixels(slot.index, ticket, SHAPE)


LARGE = 2 ** 32 - 1


@hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck))
@given(st.integers(-LARGE, LARGE), st.integers(0, 2 ** 64 - 1),
       st.tuples(*[st.sampled_from((0, 1, 2, 4, 5, 3, LARGE)) | st.integers(0, LARGE)] * 4))
@example(2, 1, SHAPE)
@example(-1, 1, SHAPE)
@example(0, 1, (1, 100, 100, 3))
@example(0, 1, (LARGE, LARGE, LARGE, 0))
@example(0, 1, (2 ** 16,) * 4)
def test_whatever_a_message_says_of_a_slot_is_read_or_refused(tmp_path, slot, ticket, shape):
    slots = SharedSlots('test', 2, ROOM, tmp_path)
    try:
        reader = SlotReader(slots.name, tmp_path)
        held = slots.acquire(0.0)
        try:
            array = reader.pixels(slot, ticket, shape).read(zeros)
        except (RequestError, StaleSlotError) as error:
            assert len(str(error)) < 300
        else:
            assert (slot, ticket) == (held.index, held.ticket)
            assert array.shape == shape and 0 < array.size <= slots.acquire(0.0).pixels.size
        # whoever has the slot still has it
        assert read(reader, held).shape == SHAPE
    finally:
        slots.close()


@pytest.mark.parametrize('size', [0, 40, 64, 4096, 4100])
def test_a_segment_that_is_cut_short_later_is_refused(slots, reader, tmp_path, size):
    """Who touches mapped memory behind a file's end gets SIGBUS, and ends."""
    slot = slots.acquire(0.0)
    slot.pixels[:SIZE] = 5
    pixels = reader.pixels(slot.index, slot.ticket, SHAPE)
    os.truncate(tmp_path / slots.name, size)
    with pytest.raises(RequestError, match='cut the segment short'):
        pixels.read(zeros)
    if size < 64:
        with pytest.raises(RequestError, match='cut the segment short'):
            reader.pixels(slot.index, slot.ticket, SHAPE)
    # its ticket may be gone as well
    assert reader.release(slot.index, slot.ticket) is (size > 64)
    os.truncate(tmp_path / slots.name, 1 << 20)     # else the writer would be the one to end


@pytest.mark.parametrize('label', ['gov/../../etc', 'a b', '', 'x' * 500, 'ünï', '/governor_net'])
def test_any_label_makes_a_segment_that_can_be_found(label, tmp_path):
    slots = SharedSlots(label, 1, ROOM, tmp_path)
    SlotReader(slots.name, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [slots.name]
    slots.close()


def test_closing_removes_the_segment_but_not_what_is_being_read(slots, reader, tmp_path):
    slot = slots.acquire(0.0)
    slot.pixels[:SIZE] = 9
    slots.close()
    slots.close()
    assert list(tmp_path.iterdir()) == []
    assert (read(reader, slot) == 9).all()


def test_a_segment_that_somebody_removed_is_replaced(slots, reader, tmp_path):
    lost = slots.acquire(0.0)
    lost.pixels[:SIZE] = 3
    old_name = slots.name
    (tmp_path / old_name).unlink()
    new = slots.acquire(1.0)
    new.pixels[:SIZE] = 4
    assert slots.replaced == 1
    assert slots.name != old_name
    assert new.ticket != lost.ticket
    assert (read(SlotReader(slots.name, tmp_path), new) == 4).all()
    assert (read(reader, lost) == 3).all(), 'what was under way is lost'
    assert slots.acquire(1.0) is not None
    assert slots.acquire(1.0) is None


def test_a_missing_segment_is_answered_with_what_to_do(tmp_path):
    assert 'transport: inline' in refusal(NAME, tmp_path, RingError)


def test_a_reader_that_nobody_has_any_more_closes_its_file(slots, tmp_path):
    before, slot = open_files(), slots.acquire(0.0)
    reader = SlotReader(slots.name, tmp_path)
    pixels = reader.pixels(slot.index, slot.ticket, SHAPE)
    del reader
    assert open_files() == before + 1
    pixels.read(zeros)
    del pixels
    assert open_files() == before


@pytest.mark.parametrize('name', [
    '../s3dnn.x', '/etc/passwd', 's3dnn./../x', 's3dnn.', '', 's3dnn.a\n', 's3dnn.a b', 'x',
    'x' * 10000])
def test_a_name_that_is_no_segment_is_refused(name, tmp_path):
    (tmp_path / 'x').write_bytes(bytes(8192))
    sentence = refusal(name, tmp_path)
    assert 'is not a name' in sentence and len(sentence) < 200


def test_a_directory_in_place_of_a_segment_is_refused(tmp_path):
    (tmp_path / NAME).mkdir()
    refusal(NAME, tmp_path, RingError)


def test_a_segment_that_is_cut_short_is_refused(slots, tmp_path):
    content = (tmp_path / slots.name).read_bytes()
    for size in (0, 1, 63, 64, 4095, 4096, len(content) - 1):
        (tmp_path / NAME).write_bytes(content[:size])
        assert 'not a segment of this version' in refusal(NAME, tmp_path)
    (tmp_path / NAME).write_bytes(content)
    SlotReader(NAME, tmp_path)


@hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck))
@given(st.binary(max_size=80), st.integers(0, 2 ** 64 - 1), st.integers(0, 2 ** 64 - 1),
       st.booleans())
@example(b'', 0, 2 ** 63, True)
def test_a_segment_with_garbage_in_it_is_refused_or_empty(tmp_path, content, count, size, ours):
    if ours:
        content = ring._HEADER.pack(ring._MAGIC, count, size)
    (tmp_path / NAME).write_bytes(content + bytes(8192 - len(content)))
    try:
        reader = SlotReader(NAME, tmp_path)
    except RequestError:
        return
    with pytest.raises((RequestError, StaleSlotError)):
        reader.pixels(0, 1, (1, 100, 100, 3))


def test_two_processes_exchange_pixels(slots, tmp_path):
    child = python(ANSWER_WITH_THE_SUM, tmp_path, slots.name)
    with child:
        for value in range(1, 20):
            slot = slots.acquire(0.0)
            assert slot is not None, 'releases of the other process are not seen'
            slot.pixels[:SIZE] = value
            child.stdin.write(f'{slot.index} {slot.ticket}\n')
            child.stdin.flush()
            assert child.stdout.readline() == f'{value * SIZE} True\n'
        child.stdin.close()
    assert child.returncode == 0


def test_only_segments_whose_owner_died_are_removed(slots, tmp_path):
    other = tmp_path / 'somebody.else'
    other.write_bytes(b'')
    with python(OWN_A_SEGMENT, tmp_path) as child:
        name = child.stdout.readline().strip()
        assert remove_orphans(tmp_path) == []
        child.kill()
        child.wait()
        assert (tmp_path / name).exists()
        assert remove_orphans(tmp_path) == [name]
    assert {path.name for path in tmp_path.iterdir()} == {slots.name, other.name}


def test_a_new_segment_removes_orphans_first(slots, tmp_path):
    (tmp_path / NAME).write_bytes(b'S3DNNRG1' + bytes(100))
    second = SharedSlots('test', 1, ROOM, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {slots.name, second.name}
    second.close()


@pytest.mark.parametrize('content', [b'', b'S3DNNRG', bytes(100), b'somebody else has this name'])
def test_what_has_only_the_name_of_a_segment_is_left_alone(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    assert remove_orphans(tmp_path) == []
    assert (tmp_path / NAME).read_bytes() == content


def end_while_a_segment_is_made(directory, signal_number):
    code = f'import os\nos.posix_fallocate = lambda *_: os.kill(os.getpid(), {signal_number:d})\n'
    process = python(code + OWN_A_SEGMENT, directory)
    process.communicate(timeout=30)
    return process.returncode


def test_a_segment_is_known_as_ours_from_the_beginning(tmp_path):
    """Whenever its owner dies, the next one removes it."""
    assert end_while_a_segment_is_made(tmp_path, signal.SIGKILL) == -signal.SIGKILL
    (path,) = tmp_path.iterdir()
    assert path.read_bytes().startswith(b'S3DNNRG1')
    assert remove_orphans(tmp_path) == [path.name]


def test_a_signal_while_a_segment_is_made_leaves_none_behind(tmp_path):
    assert end_while_a_segment_is_made(tmp_path, signal.SIGINT) != 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('what', ['a link to a segment', 'a link to a file', 'a link to nothing',
                                  'a pipe'])
def test_what_is_no_file_is_neither_read_nor_removed(slots, tmp_path, what):
    path, secret = tmp_path / NAME, tmp_path / 'secret'
    secret.write_bytes(b'S3DNNRG1' + bytes(1000))
    if what == 'a pipe':
        os.mkfifo(path)
    else:
        path.symlink_to({'a link to a segment': slots.name, 'a link to a file': secret,
                         'a link to nothing': 'nothing'}[what])
    assert ('a link' if path.is_symlink() else 'not a segment') in refusal(NAME, tmp_path)
    assert remove_orphans(tmp_path) == []
    assert path.is_symlink() or path.exists()
    assert secret.exists() and (tmp_path / slots.name).exists()


@pytest.mark.parametrize('module, function', [(os, 'posix_fallocate'), (mmap, 'mmap')])
@pytest.mark.parametrize('number', [errno.ENOSPC, errno.ENOMEM])
def test_too_little_memory_is_answered_with_what_to_do(
        module, function, number, tmp_path, monkeypatch):
    def no_memory(*_):
        raise OSError(number, os.strerror(number))

    files = open_files()
    monkeypatch.setattr(module, function, no_memory)
    with pytest.raises(RingError) as caught:
        SharedSlots('test', 2, SlotSize(4, 2_500_000), tmp_path)
    for part in ('20.0 MB', 'fewer ring_slots than 2', 'max_batch below 4', '--shm-size',
                 'transport: inline', os.strerror(number)):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert open_files() == files


@pytest.mark.parametrize('count, frames, advice', [
    (1, 1, set()), (2, 1, {'ring_slots'}), (1, 3, {'max_batch'}),
    (4, 2, {'ring_slots', 'max_batch'})])
def test_where_memory_is_missing_nothing_is_advised_that_is_so_already(
        tmp_path, monkeypatch, count, frames, advice):
    def no_memory(*_):
        raise OSError(errno.ENOSPC, 'full')

    monkeypatch.setattr(os, 'posix_fallocate', no_memory)
    with pytest.raises(RingError, match='transport: inline') as caught:
        SharedSlots('test', count, SlotSize(frames, SIZE), tmp_path)
    assert {word for word in ('ring_slots', 'max_batch') if word in str(caught.value)} == advice


def test_a_directory_that_cannot_be_written_is_answered_with_its_name(tmp_path):
    with pytest.raises(RingError) as caught:
        SharedSlots('test', 2, ROOM, tmp_path / 'missing')
    assert str(tmp_path / 'missing') in str(caught.value)


def test_slots_work_again_when_there_is_memory_again(slots, tmp_path, monkeypatch):
    def no_memory(*_):
        raise OSError(errno.ENOSPC, 'full')

    slots.acquire(0.0)
    (tmp_path / slots.name).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, 'posix_fallocate', no_memory)
        for _ in range(2):
            with pytest.raises(RingError):
                slots.acquire(1.0)
            assert slots.overdue(100.0, 1.0) == []
    assert slots.acquire(2.0) is not None
    assert slots.acquire(2.0) is not None


def test_the_segment_is_closed_for_programs_that_are_started(slots):
    assert not os.get_inheritable(slots._file)


def test_a_segment_that_is_to_grow_is_made_again(tmp_path):
    pool = SharedSlots('net', 2, SlotSize(1, 64), tmp_path)
    small = pool.acquire(0.0)
    reader, name = SlotReader(pool.name, tmp_path), pool.name
    pool.grow(SlotSize(1, 64))
    assert pool.acquire(0.0).pixels.size == 64 and pool.name == name
    pool.grow(SlotSize(2, 500))
    large = pool.acquire(0.0)
    assert large.pixels.size >= 1000 and pool.name != name
    # what is under way in the old one stays readable
    assert read(reader, small, (64,)).size == 64
    pool.close()


def test_all_slots_are_taken_back_at_once(tmp_path):
    pool = SharedSlots('net', 2, SlotSize(1, 64), tmp_path)
    slots = [pool.acquire(0.0), pool.acquire(1.0)]
    reader = SlotReader(pool.name, tmp_path)
    assert pool.revoke_all() == slots
    for slot in slots:
        with pytest.raises(StaleSlotError):
            reader.pixels(slot.index, slot.ticket, (1,))
    assert pool.revoke_all() == []
    assert pool.acquire(2.0) is not None
    pool.close()
