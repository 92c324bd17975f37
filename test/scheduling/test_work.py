"""Work items: slack, defaults, and that nobody changes them."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling import Dispatch, SegmentWork

ROUNDING_S = 1e-9
TIMES_S = st.floats(-1e3, 1e3)


def work(**changes):
    values = {'instance': 'net', 'segment': 0, 'tb_ratio': 0.5, 'deadline_s': 10.0,
              'remaining_s': 3.0, 'time_s': 1.0}
    values.update(changes)
    return SegmentWork(**values)


@given(TIMES_S, TIMES_S, TIMES_S)
def test_a_job_started_when_its_slack_is_used_up_just_meets_its_deadline(
        deadline_s, remaining_s, now_s):
    slack_s = work(deadline_s=deadline_s, remaining_s=remaining_s).slack_s(now_s)
    assert now_s + slack_s + remaining_s == pytest.approx(deadline_s, abs=ROUNDING_S)


def test_utilization_is_the_thread_block_ratio_unless_given():
    assert work().utilization == 0.5
    assert work(utilization=0.0).utilization == 0.0


def test_a_work_item_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        work().segment = 1


def test_a_changed_copy_keeps_the_rest():
    assert dataclasses.replace(work(utilization=0.2), segment=1) == work(
        utilization=0.2, segment=1)


def test_a_dispatch_is_empty_unless_told_otherwise():
    assert Dispatch() == Dispatch((), ())
