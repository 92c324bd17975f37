"""Schedulers by name."""

import pytest

from s3dnn_ros.scheduling import POLICIES, make_scheduler


@pytest.mark.parametrize('name', POLICIES)
def test_every_policy_can_be_made_and_has_nothing_to_do_at_first(name):
    dispatch = make_scheduler(name).dequeue(0.0)
    assert (dispatch.submit, dispatch.reserved) == ((), ())


def test_every_call_makes_a_new_scheduler():
    assert make_scheduler('fifo') is not make_scheduler('fifo')


def test_an_unknown_policy_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'lifo' is unknown; known are .*fifo"):
        make_scheduler('lifo')
