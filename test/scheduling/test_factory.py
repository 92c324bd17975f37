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


def test_an_unknown_option_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'supervised' has no option 'size'; known are capac"):
        make_scheduler('supervised', size=1)


def test_a_policy_without_options_says_so():
    with pytest.raises(ValueError, match=r"'fifo' has no option 'size'; it takes none"):
        make_scheduler('fifo', size=1)
