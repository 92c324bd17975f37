"""Whatever a batch says of itself, it runs or is counted; the executor goes on."""

import array
import functools

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from builtin_interfaces.msg import Time
from s3dnn_ros.msg import FrameBatch, FrameInfo
from tiny import SIDE

from s3dnn_ros.transport.ring import SharedSlots
from s3dnn_ros.transport.slots import SlotSize

pytestmark = pytest.mark.ros

UINT32, UINT64 = 2 ** 32 - 1, 2 ** 64 - 1
BYTES = SIDE * SIDE * 3
NUMBERS = st.sampled_from((0, 1, 2, 3, SIDE, UINT32)) | st.integers(0, UINT32)
NAMES = st.sampled_from(('', 'front', 'rear', '{x}', '{node}', '~', 'a/b', '/', 'x' * 10_000, '\0',
                         '%s')) | st.text(
    st.characters(blacklist_categories=('Cs',)), max_size=6)
TIMES = st.builds(Time, sec=st.sampled_from((-2 ** 31, -1, 0, 2 ** 31 - 1)),
                  nanosec=st.sampled_from((0, 999_999_999, UINT32)))
FLOATS = st.floats(width=32)


FRAMES = st.lists(st.builds(
    FrameInfo, camera=st.just('front') | NAMES, sequence=st.integers(0, UINT64), width=NUMBERS,
    height=NUMBERS, scale_x=FLOATS, scale_y=FLOATS, offset_x=FLOATS, offset_y=FLOATS,
    received=TIMES, deadline=TIMES, taken=TIMES), max_size=3)
# What may be wrong in a message; the rest of it is right, so that it is looked at as well.
FIELDS = {
    'front_end': NAMES, 'instance': NAMES, 'model': NAMES, 'segment': NAMES, 'frames': FRAMES,
    'shape': st.lists(NUMBERS, min_size=4, max_size=4), 'slot': NUMBERS, 'max_batch': NUMBERS,
    'ticket': st.integers(0, UINT64), 'epoch': st.integers(0, UINT64), 'sent': TIMES,
    'sequence': st.integers(0, UINT64), 'run_late': st.booleans(),
    'data': st.binary(max_size=40).map(functools.partial(array.array, 'B'))}
WRONG = st.lists(st.sampled_from(sorted(FIELDS)), unique=True, max_size=3).flatmap(
    lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names}))


@pytest.fixture
def executor(world):
    """Return an active executor, and a segment with one slot that is out."""
    executor = world.executor()
    world.wait_for(lambda: executor.listening)
    return executor


@pytest.fixture
def pool(world):
    pool = SharedSlots(f'foreign_{world.instance}', 2, SlotSize(1, BYTES))
    pool.acquire(0.0)
    yield pool
    pool.close()


def test_any_batch_runs_or_is_counted(world, executor, pool):
    sent = 0

    @hypothesis.settings(max_examples=300, deadline=None,
                         suppress_health_check=list(hypothesis.HealthCheck))
    @given(st.booleans(), WRONG)
    def send(is_inline, wrong):
        nonlocal sent
        where = (dict(data=array.array('B', bytes(BYTES))) if is_inline
                 else dict(segment=pool.name, slot=0, ticket=1))
        msg = FrameBatch(**{**dict(
            instance=world.instance, model='cells', shape=[1, SIDE, SIDE, 3], run_late=True,
            frames=[FrameInfo(camera='front', width=64, height=64)], **where), **wrong})
        executor._source._on_batch(msg)
        sent += len(msg.frames)

    send()

    def counted():
        counts = executor.counts()
        return (sum(count.frames for count in counts) == sent and all(
            count.frames == count.published + count.dropped_total for count in counts))

    world.wait_for(counted)
    assert sum(count.published for count in executor.counts()) > 0, 'nothing ran at all'
    world.governor()
    world.round_trip('rear')
