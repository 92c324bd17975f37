"""Shared memory between processes: what is sent is read, what is broken is refused."""

import errno
import mmap
import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import s3dnn_ros.errors
from s3dnn_ros.errors import RingError, StaleSlotError
from s3dnn_ros.transport import ring
from s3dnn_ros.transport.ring import SharedSlots, SlotReader, remove_orphans

ENVIRONMENT = dict(os.environ, PYTHONPATH=str(Path(s3dnn_ros.errors.__file__).parents[1]))
SHAPE = (1, 4, 5, 3)
SIZE = 60
NAME = 's3dnn.test.0'

OWN_A_SEGMENT = """
import sys
from s3dnn_ros.transport.ring import SharedSlots
slots = SharedSlots('child', 2, 64, sys.argv[1])
print(slots.name, flush=True)
sys.stdin.read()
"""

ANSWER_WITH_THE_SUM = """
import sys
from s3dnn_ros.transport.ring import SlotReader
reader = SlotReader(sys.argv[2], sys.argv[1])
for line in sys.stdin:
    slot, ticket = map(int, line.split())
    pixels = reader.view(slot, ticket, (1, 4, 5, 3))
    total = int(pixels.sum())
    print(total, reader.release(slot, ticket), flush=True)
"""


def python(code, *arguments):
    return subprocess.Popen([sys.executable, '-c', code, *map(str, arguments)], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)


@pytest.fixture
def slots(tmp_path):
    slots = SharedSlots('test', 2, SIZE, tmp_path)
    yield slots
    slots.close()


@pytest.fixture
def reader(slots, tmp_path):
    return SlotReader(slots.name, tmp_path)


def refusal(name, directory, kind=RingError):
    with pytest.raises(kind) as caught:
        SlotReader(name, directory)
    return str(caught.value)


def test_pixels_written_on_one_side_are_read_on_the_other(slots, reader):
    slot = slots.acquire(0.0)
    slot.pixels[:SIZE] = np.arange(SIZE)
    view = reader.view(slot.index, slot.ticket, SHAPE)
    assert np.array_equal(view, np.arange(SIZE, dtype=np.uint8).reshape(SHAPE))
    slot.pixels[0] = 77
    assert view[0, 0, 0, 0] == 77, 'the reader has a copy'


def test_slots_do_not_overlap(slots, reader):
    first, second = slots.acquire(0.0), slots.acquire(0.0)
    first.pixels[:], second.pixels[:] = 1, 2
    assert (reader.view(first.index, first.ticket, SHAPE) == 1).all()
    assert (reader.view(second.index, second.ticket, SHAPE) == 2).all()


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
        reader.view(slot.index, slot.ticket, SHAPE)


def test_a_batch_taken_back_while_it_was_read_is_noticed_and_its_successor_spared(slots, reader):
    old = slots.acquire(0.0)
    other = slots.acquire(0.0)
    reader.view(old.index, old.ticket, SHAPE)
    slots.overdue(3.0, 2.0)
    new = [slots.acquire(3.0), slots.acquire(3.0)]
    assert not reader.release(old.index, old.ticket)
    assert not reader.release(other.index, other.ticket)
    for slot in new:
        reader.view(slot.index, slot.ticket, SHAPE)


def test_a_slot_is_released_once(slots, reader):
    slot = slots.acquire(0.0)
    assert reader.release(slot.index, slot.ticket)
    assert not reader.release(slot.index, slot.ticket)


@pytest.mark.parametrize('slot, shape', [
    (2, SHAPE), (2 ** 32 - 1, SHAPE), (0, (1, 100, 100, 3)),
    (0, (2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1, 3)), (0, (2 ** 16,) * 4)])
def test_a_slot_or_shape_outside_the_segment_is_refused(slots, reader, slot, shape):
    ticket = slots.acquire(0.0).ticket
    with pytest.raises(RingError, match='outside the segment'):
        reader.view(slot, ticket, shape)


@pytest.mark.parametrize('label', ['gov/../../etc', 'a b', '', 'x' * 500, 'ünï', '/governor_net'])
def test_any_label_makes_a_segment_that_can_be_found(label, tmp_path):
    slots = SharedSlots(label, 1, SIZE, tmp_path)
    SlotReader(slots.name, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [slots.name]
    slots.close()


def test_closing_removes_the_segment_but_not_what_is_being_read(slots, reader, tmp_path):
    slot = slots.acquire(0.0)
    slot.pixels[:SIZE] = 9
    slots.close()
    slots.close()
    assert list(tmp_path.iterdir()) == []
    assert (reader.view(slot.index, slot.ticket, SHAPE) == 9).all()


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
    assert (SlotReader(slots.name, tmp_path).view(new.index, new.ticket, SHAPE) == 4).all()
    assert (reader.view(lost.index, lost.ticket, SHAPE) == 3).all(), 'what was under way is lost'
    assert slots.acquire(1.0) is not None
    assert slots.acquire(1.0) is None


def test_a_missing_segment_is_answered_with_what_to_do(tmp_path):
    assert 'transport: inline' in refusal(NAME, tmp_path)


@pytest.mark.parametrize('name', [
    '../s3dnn.x', '/etc/passwd', 's3dnn./../x', 's3dnn.', '', 's3dnn.a\n', 's3dnn.a b', 'x'])
def test_a_name_that_is_no_segment_is_refused(name, tmp_path):
    (tmp_path / 'x').write_bytes(bytes(8192))
    assert 'is not a name' in refusal(name, tmp_path)


def test_a_directory_in_place_of_a_segment_is_refused(tmp_path):
    (tmp_path / NAME).mkdir()
    refusal(NAME, tmp_path)


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
    except RingError:
        return
    with pytest.raises(RingError):
        reader.view(0, 1, (1, 100, 100, 3))


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
    second = SharedSlots('test', 1, SIZE, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {slots.name, second.name}
    second.close()


@pytest.mark.parametrize('content', [b'', b'S3DNNRG', bytes(100), b'somebody else has this name'])
def test_what_has_only_the_name_of_a_segment_is_left_alone(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    assert remove_orphans(tmp_path) == []
    assert (tmp_path / NAME).read_bytes() == content


def test_a_segment_is_known_as_ours_from_the_beginning(tmp_path, monkeypatch):
    """Whenever its owner dies, the next one removes it."""
    class Died(BaseException):
        pass

    def die(*_):
        raise Died
    monkeypatch.setattr(os, 'posix_fallocate', die)
    with pytest.raises(Died):
        SharedSlots('test', 2, SIZE, tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.read_bytes().startswith(b'S3DNNRG1')


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
    with pytest.raises(RingError):
        SlotReader(NAME, tmp_path)
    assert remove_orphans(tmp_path) == []
    assert path.is_symlink() or path.exists()
    assert secret.exists() and (tmp_path / slots.name).exists()


@pytest.mark.parametrize('module, function', [(os, 'posix_fallocate'), (mmap, 'mmap')])
@pytest.mark.parametrize('number', [errno.ENOSPC, errno.ENOMEM])
def test_too_little_memory_is_answered_with_what_to_do(
        module, function, number, tmp_path, monkeypatch):
    def no_memory(*_):
        raise OSError(number, os.strerror(number))

    files = len(os.listdir('/proc/self/fd'))
    monkeypatch.setattr(module, function, no_memory)
    with pytest.raises(RingError) as caught:
        SharedSlots('test', 2, 10_000_000, tmp_path)
    for part in ('20.0 MB', 'ring_slots', 'max_batch', '--shm-size', os.strerror(number)):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir('/proc/self/fd')) == files


def test_a_directory_that_cannot_be_written_is_answered_with_its_name(tmp_path):
    with pytest.raises(RingError) as caught:
        SharedSlots('test', 2, SIZE, tmp_path / 'missing')
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
    pool = SharedSlots('net', 2, 64, tmp_path)
    small = pool.acquire(0.0)
    reader, name = SlotReader(pool.name, tmp_path), pool.name
    pool.grow(64)
    assert pool.acquire(0.0).pixels.size == 64 and pool.name == name
    pool.grow(1000)
    large = pool.acquire(0.0)
    assert large.pixels.size >= 1000 and pool.name != name
    # what is under way in the old one stays readable
    assert reader.view(small.index, small.ticket, (64,)).size == 64
    pool.close()


def test_all_slots_are_taken_back_at_once(tmp_path):
    pool = SharedSlots('net', 2, 64, tmp_path)
    slots = [pool.acquire(0.0), pool.acquire(1.0)]
    reader = SlotReader(pool.name, tmp_path)
    assert pool.revoke_all() == slots
    for slot in slots:
        with pytest.raises(StaleSlotError):
            reader.view(slot.index, slot.ticket, (1,))
    assert pool.revoke_all() == []
    assert pool.acquire(2.0) is not None
    pool.close()
