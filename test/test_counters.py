"""Counters add up, also from several threads."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.limits import LONGEST_NAME
from s3dnn_ros.counters import (
    MOST_STRANGERS,
    STRANGERS,
    WINDOW,
    CameraCount,
    Counters,
    Percentiles,
)

MS = 1e-6     # of the percentiles, against NumPy's


def test_streams_named_beforehand_are_there_with_zeros():
    assert Counters([('front', 'net')]).snapshot() == (CameraCount('front', 'net'),)


def test_streams_come_in_the_order_of_their_appearance():
    counters = Counters()
    for camera in 'bac':
        counters.arrived(camera, 'net')
    assert [count.camera for count in counters.snapshot()] == ['b', 'a', 'c']


def test_instances_of_one_camera_are_counted_apart():
    counters = Counters()
    counters.arrived('front', 'a')
    counters.published('front', 'b', latency_s=0.0)
    a, b = counters.snapshot()
    assert (a.frames, a.published, b.frames, b.published) == (1, 0, 0, 1)


def test_the_last_sentence_stays_when_a_drop_has_none():
    counters = Counters()
    counters.dropped('front', reason='data', sentence='the image is cut short')
    counters.dropped('front', reason='rate')
    (count,) = counters.snapshot()
    assert count.dropped == (('data', 1), ('rate', 1))
    assert count.dropped_total == 2
    assert count.last_error == 'the image is cut short'


def test_a_withdrawn_frame_moves_from_published_to_dropped():
    counters = Counters()
    counters.arrived('front')
    counters.published('front', latency_s=0.0, missed=True)
    counters.withdrawn('front', missed=True, reason='lease', sentence='gone')
    (count,) = counters.snapshot()
    assert (count.frames, count.published, count.missed, count.dropped_total) == (1, 0, 0, 1)
    assert count.last_error == 'gone'


def test_a_snapshot_does_not_change_afterwards():
    counters = Counters()
    counters.arrived('front')
    before = counters.snapshot()
    counters.arrived('front')
    assert before[0].frames == 1


@given(st.lists(st.sampled_from(['publish', 'late', 'drop', 'withdraw', 'wait']), max_size=40))
def test_frames_are_published_dropped_or_inside(fates):
    counters, inside, late = Counters([('front', '')]), 0, 0
    for fate in fates:
        counters.arrived('front')
        inside += fate == 'wait'
        late += fate == 'late'
        if fate in ('publish', 'late', 'withdraw'):
            counters.published('front', latency_s=0.0, missed=fate == 'late')
        if fate == 'withdraw':
            counters.withdrawn('front', missed=False, reason='lease')
        if fate == 'drop':
            counters.dropped('front', reason='data')
    (count,) = counters.snapshot()
    assert count.frames == len(fates) == count.published + count.dropped_total + inside
    assert count.missed == late


@given(st.lists(st.floats(0.0, 1e3), min_size=1, max_size=60))
def test_percentiles_are_numpys(latencies_s):
    counters = Counters()
    for latency_s in latencies_s:
        counters.published('front', latency_s=latency_s)
    found = counters.snapshot()[0].latency_ms
    expected = np.percentile(np.array(latencies_s) * 1000.0, (50, 95, 99))
    assert (found.p50, found.p95, found.p99) == pytest.approx(tuple(expected), abs=MS)


def test_percentiles_forget_what_is_older_than_the_window():
    counters = Counters()
    counters.published('front', latency_s=1e6)
    for _ in range(WINDOW):
        counters.published('front', latency_s=0.001)
    assert counters.snapshot()[0].latency_ms == Percentiles(1.0, 1.0, 1.0)


def test_no_samples_have_no_percentiles():
    assert Percentiles.of([]) == Percentiles(0.0, 0.0, 0.0)


def test_counts_from_several_threads_are_all_there():
    counters, threads, rounds = Counters(), 4, 500

    def work():
        for _ in range(rounds):
            counters.arrived('front')
            counters.dropped('front', reason='data')

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    (count,) = counters.snapshot()
    assert count.frames == count.dropped_total == threads * rounds


def counts(counters):
    return {(count.camera, count.instance): count for count in counters.snapshot()}


@given(st.lists(st.tuples(st.integers(0, 3 * MOST_STRANGERS), st.sampled_from(['net', 'far']),
                          st.sampled_from(['', 'x' * LONGEST_NAME])), max_size=1200))
def test_whoever_comes_is_counted_and_few_under_names_of_their_own(frames):
    counters = Counters([('front', 'net')])
    counters.know([('7', 'net')])
    for camera, instance, suffix in frames:
        counters.arrived(f'{camera}{suffix}', instance)
        counters.dropped(f'{camera}{suffix}', instance, reason='request', sentence='no')
    found = counts(counters)
    assert len(found) <= MOST_STRANGERS + 3
    assert sum(count.frames for count in found.values()) == len(frames)
    assert all(count.frames == count.dropped_total for count in found.values())
    assert max(len(camera) for camera, _ in found) <= LONGEST_NAME
    assert found.get(('7', 'net'), CameraCount('7')).frames == frames.count((7, 'net', ''))


def test_those_that_are_known_have_their_names_behind_any_number_of_others():
    counters = Counters()
    counters.know([('front', 'net')])
    for number in range(MOST_STRANGERS + 1):
        counters.arrived(f'{number}')
    counters.arrived('front', 'net')
    counters.expect('rear', 'net')
    found = counts(counters)
    assert found['front', 'net'].frames == 1 and ('rear', 'net') in found
    assert found[STRANGERS].frames == 1 and f'{MOST_STRANGERS}' not in dict(found)
