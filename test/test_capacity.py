"""What an executor tells: told again only where front ends could not know it."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.capacity import START_TOLERANCE, START_TOLERANCE_S, Capacity, InstanceCapacity

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
