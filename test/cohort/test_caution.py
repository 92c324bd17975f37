"""Who was late keeps more of its deadline free, and forgets that slowly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.cohort.caution import DECAY, RISE, Caution


def test_who_was_never_late_keeps_nothing_more():
    caution = Caution()
    caution.ended('net', -0.3)
    caution.ended('net', 0.0)
    assert caution.share('net') == caution.share('another') == 0.0


def test_a_late_job_adds_what_it_was_late_by_and_a_little():
    caution = Caution()
    caution.ended('net', 0.2)
    assert caution.share('net') == pytest.approx(0.2 + RISE)
    assert caution.share('another') == 0.0
    caution.ended('net', -0.1)
    assert caution.share('net') == pytest.approx((0.2 + RISE) * (1.0 - DECAY))


@given(st.lists(st.floats(-1.0, 100.0)))
def test_it_is_a_share_whatever_happened(lates):
    caution = Caution()
    for late in lates:
        caution.ended('net', late)
        assert 0.0 <= caution.share('net') <= 1.0


def test_what_delays_again_and_again_makes_few_jobs_late():
    """A delay of 0.3 deadlines of every second job, which else fills what is not kept free."""
    caution, late = Caution(), 0
    for turn in range(2000):
        used = max(0.4, 0.9 - caution.share('net')) + 0.3 * (turn % 2)
        late += used > 1.0
        caution.ended('net', used - 1.0)
    assert late / 2000 <= 0.03
