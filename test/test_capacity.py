"""What an executor tells: told again only where front ends could not know it."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.limits import LONGEST_NAME
from s3dnn_ros.capacity import START_TOLERANCE, START_TOLERANCE_S, Capacity, InstanceCapacity
from s3dnn_ros.governor.outlook import Outlook

TOLD = InstanceCapacity('net', 'tiny', 7, 0, 0.03, (0.03, 0.06), (True, False), 0.002, 0.001,
                        0.004, 0.003, {5: 8})


def follows(after, since_s=0.0, told=TOLD, **changes):
    """Tell whether `after` and its executor follow from `told`."""
    before = Capacity('me', True, True, (told,))
    return dataclasses.replace(before, instances=(after,), **changes).follows(before, since_s)


@given(since_s=st.floats(0.0, 10.0), late_s=st.floats(-0.9, 0.9))
def test_a_start_that_comes_when_it_was_told_is_known(since_s, late_s):
    wait_s = max(0.0, TOLD.wait_s - since_s + late_s * START_TOLERANCE_S)
    assert follows(dataclasses.replace(TOLD, wait_s=wait_s), since_s)


@given(since_s=st.floats(0.0, 0.028))
def test_a_device_that_is_free_sooner_than_told_is_news(since_s):
    assert not follows(dataclasses.replace(TOLD, wait_s=0.0), since_s)


def test_a_device_that_is_free_later_than_told_is_news():
    assert not follows(dataclasses.replace(TOLD, wait_s=0.01), 0.1)


def test_one_that_is_still_free_is_no_news():
    assert follows(dataclasses.replace(TOLD, wait_s=0.0), 0.1)


def test_a_short_run_is_told_more_exactly():
    told = dataclasses.replace(TOLD, wait_s=0.0, run_s=(0.001,), measured=(True,))
    assert not follows(dataclasses.replace(told, wait_s=1.1e-3 * START_TOLERANCE), told=told)
    assert follows(dataclasses.replace(told, wait_s=0.9e-3 * START_TOLERANCE), told=told)


@given(st.sampled_from([{'taken': {5: 9}}, {'taken': {}}, {'priority': 1}, {'model': 'other'},
                        {'description': 8}, {'measured': (True, True)}, {'run_s': ()}]))
def test_what_front_ends_cannot_know_is_news(changes):
    assert not follows(dataclasses.replace(TOLD, **changes))


def test_the_first_times_are_news():
    unknown = dataclasses.replace(TOLD, run_s=(), wait_s=0.0)
    assert not follows(dataclasses.replace(TOLD, wait_s=0.0), told=unknown)


@given(st.sampled_from([{'margin_s': 0.005}, {'handover_s': 0.005}, {'finish_s': 0.005},
                        {'run_s': (0.031, 0.062)}, {'in_time': {'front': 0.5}}]))
def test_what_was_learned_of_a_run_goes_with_the_next_start(changes):
    assert follows(dataclasses.replace(TOLD, **changes))


@given(st.sampled_from([{'drops_late': False}, {'serial': False}, {'process': 'other'}]))
def test_an_executor_that_is_another_is_news(changes):
    assert not follows(TOLD, **changes)


def test_instances_that_come_or_go_are_news():
    one, none = Capacity('me', True, True, (TOLD,)), Capacity('me', True, True, ())
    assert not one.follows(none, 0.0)
    assert not none.follows(one, 0.0)


FLOATS = st.floats(width=32) | st.sampled_from([0.0, 0.04, 1e300, -0.001])
NAMES = st.text(max_size=5) | st.just('x' * (LONGEST_NAME + 1))
ANYTHING = st.builds(
    InstanceCapacity, NAMES, NAMES, st.integers(0, 2 ** 32 - 1), st.integers(-9, 9), FLOATS,
    st.lists(FLOATS, max_size=3).map(tuple), st.lists(st.booleans(), max_size=3).map(tuple),
    FLOATS, FLOATS, FLOATS, FLOATS, st.dictionaries(st.integers(0, 9), st.integers(0, 9)),
    st.dictionaries(NAMES, FLOATS, max_size=2))


@given(st.lists(ANYTHING, max_size=3), NAMES, st.booleans(), st.floats(0.0, 1e9))
def test_what_front_ends_take_of_an_executor_lets_them_go_on(instances, process, serial, now_s):
    capacity = Capacity(process, serial, True, tuple(instances))
    objection = capacity.objection()
    if objection:
        assert objection.startswith('the capacity of process') and len(objection) < 400
        return
    outlook = Outlook()
    outlook.tell(capacity, now_s)
    for item in instances:
        for sequence in (0, 1):
            opens_s = outlook.opens_s(item.instance, now_s)
            assert opens_s is None or math.isfinite(opens_s)
            for frames in (1, 2, 9):
                time_s = outlook.time_s(item.instance, frames)
                assert time_s is None or math.isfinite(time_s)
                assert not time_s or not math.isnan(outlook.apart_s(item.instance, frames))
            outlook.sent(item.instance, sequence, 1, now_s)


@pytest.mark.parametrize('changes, words', [
    ({'wait_s': math.nan}, 'times'), ({'wait_s': math.inf}, 'times'),
    ({'finish_s': -math.inf}, 'times'), ({'run_s': (0.03, math.nan)}, 'times'),
    ({'run_s': (0.0,), 'measured': ()}, 'no time'), ({'measured': (True,)}, 'were measured'),
    ({'in_time': {'front': 2.0}}, 'parts'), ({'in_time': {'x' * 1000: 1.0}}, 'names'),
    ({'model': 'x' * 100_000}, 'names'), ({'taken': dict.fromkeys(range(2000), 1)}, 'lists')])
def test_what_no_executor_tells_is_refused_by_name(changes, words):
    told = dataclasses.replace(TOLD, **changes)
    sentence = Capacity('me', True, True, (TOLD, told)).objection()
    assert words in sentence and "process 'me'" in sentence and "instance 'net'" in sentence
    assert not Capacity('me', True, True, (TOLD,)).objection()


def test_no_executor_has_instances_or_a_name_without_end():
    assert Capacity('x' * 1000, True, True, ()).objection()
    assert Capacity('me', True, True, (TOLD,) * 1000).objection()
