"""A node that ends is started again at once, later each time it fails at its start, or never."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.respawn import (
    FIRST_DELAY_S,
    LONGEST_DELAY_S,
    RETRIES,
    SOON_S,
    UNUSABLE,
    RespawnPolicy,
)

KILLED = -9
FAILED = 1


def delays(*ends):
    policy = RespawnPolicy()
    return [policy.delay_s(status, lifetime_s) for status, lifetime_s in ends]


@pytest.mark.parametrize('status', [KILLED, FAILED, 0])
def test_a_node_that_has_worked_starts_again_at_once_every_time(status):
    assert delays(*[(status, SOON_S)] * 20) == [FIRST_DELAY_S] * 20


def test_the_delay_doubles_while_the_node_fails_at_its_start():
    assert delays(*[(FAILED, 1.0)] * 4) == [0.1, 0.2, 0.4, 0.8]


@given(st.lists(st.tuples(st.sampled_from([KILLED, FAILED, 0]), st.floats(0.0, 100.0))))
def test_a_node_that_is_not_unusable_is_always_started_again(ends):
    for delay_s, (_, lifetime_s) in zip(delays(*ends), ends):
        assert FIRST_DELAY_S <= delay_s <= LONGEST_DELAY_S
        assert lifetime_s < SOON_S or delay_s == FIRST_DELAY_S


def test_what_is_unusable_from_the_start_stays_ended():
    assert delays((UNUSABLE, 1.0)) == delays((UNUSABLE, 10 * SOON_S)) == [None]
    assert delays((FAILED, 1.0), (UNUSABLE, 1.0)) == [FIRST_DELAY_S, None]


def test_a_node_that_has_worked_is_tried_a_few_times_more():
    found = delays((KILLED, SOON_S), *[(UNUSABLE, 1.0)] * RETRIES)
    assert None not in found[:-1] and found[-1] is None
    # a GPU that is reset takes seconds
    assert sum(found[:-1]) > 10.0


def test_it_is_as_new_once_it_works_again():
    found = delays((KILLED, SOON_S), *[(UNUSABLE, 1.0)] * (RETRIES - 1), (KILLED, SOON_S),
                   (UNUSABLE, 1.0))
    assert found[-2:] == [FIRST_DELAY_S, 2 * FIRST_DELAY_S]
