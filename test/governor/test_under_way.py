"""Batches that were sent: every frame counts as handed on, or as lost for a reason, never both."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.counters import Counters
from s3dnn_ros.governor.batch import Batch
from s3dnn_ros.governor.under_way import OVERDUE_LOOK_S, UnderWay
from s3dnn_ros.transport.frames import FrameInfo, Transform
from s3dnn_ros.transport.slots import HeapSlots, SlotSize

LEASE_S, DEADLINE_S = 2.0, 0.5


def frame(camera, now_s):
    return FrameInfo(camera, '', 0, 0, 4, 4, Transform(1.0, 1.0), now_s, now_s + DEADLINE_S, now_s)


@given(st.lists(st.tuples(st.sampled_from(['send', 'late', 'release', 'wait', 'end']),
                          st.integers(0, 3)), max_size=40))
def test_frames_are_published_or_lost_and_the_sums_are_right(events):
    pool, counters, now_s = HeapSlots(3, SlotSize(1, 48)), Counters(), 100.0
    under_way, out, sent = UnderWay({'net': pool}, counters), [], 0
    for what, number in events:
        if what in ('send', 'late'):
            slot = pool.acquire(now_s)
            if slot is None:
                continue
            taken_s = now_s - (2 * DEADLINE_S if what == 'late' else 0.0)
            counters.arrived('front', 'net')
            under_way.sent(Batch(sent, 'net', '', 'tiny', (frame('front', taken_s),), slot,
                                 (1, 4, 4, 3), 1, False, now_s), now_s)
            out.append(slot)
            sent += 1
        elif what == 'release' and out:
            pool.release(out.pop(number % len(out)))
        elif what == 'wait':
            now_s += number
            under_way.withdraw_overdue({'net': LEASE_S}, now_s)
        elif what == 'end':
            under_way.executor_ended('net')
        for count in counters.snapshot():
            assert count.frames == count.published + count.dropped_total == sent
            assert 0 <= count.missed <= count.published
            assert set(dict(count.dropped)) <= {'lease', 'executor'}


def test_what_nobody_gave_back_is_told_with_the_parameter_and_its_time():
    pool, counters = HeapSlots(1, SlotSize(1, 48)), Counters()
    under_way, slot = UnderWay({'net': pool}, counters), pool.acquire(0.0)
    counters.arrived('front', 'net')
    under_way.sent(Batch(0, 'net', '', 'tiny', (frame('front', 0.0),), slot, (1, 4, 4, 3), 1,
                         False, 0.0), 0.0)
    under_way.withdraw_overdue({'net': LEASE_S}, LEASE_S + 0.1)
    (count,) = counters.snapshot()
    assert dict(count.dropped) == {'lease': 1} and '2000 ms (slot_lease_ms' in count.last_error
    assert isinstance(pool.acquire(3.0).pixels, np.ndarray)


def test_it_is_time_to_look_now_and_then_also_if_the_clock_goes_back():
    under_way = UnderWay({}, Counters())
    assert under_way.is_time_to_look(10.0)
    assert not under_way.is_time_to_look(10.0 + OVERDUE_LOOK_S / 2)
    assert under_way.is_time_to_look(10.0 + 2 * OVERDUE_LOOK_S)
    assert under_way.is_time_to_look(5.0)
