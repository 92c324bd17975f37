"""When segments should end, and behind which of them something is chosen before they do."""

import math
import types

import pytest

from s3dnn_ros.runtime.segment_ends import EARLIEST_END, SegmentEnds

LEAD_S = 150e-6


class FakeExpectation:
    """Knows how long segments take: 1 ms, and what is left of a job 2 ms."""

    def segment_s(self, segment, batch):
        return 1e-3

    def least_left_s(self, segment, batch):
        return 2e-3


def job(level=0, factor=1.0):
    """Return what is looked at of a job."""
    return types.SimpleNamespace(
        level=level, batch=1, queue=types.SimpleNamespace(expect=FakeExpectation()),
        flight=types.SimpleNamespace(progress=lambda: 0), time_factor=lambda segment: factor,
        nearly_over=None, handed_over_s=0.0, expected=None, expected_from_s=0.0, look_s=0.0)


def work(last=False):
    """Return a segment."""
    return types.SimpleNamespace(segment=0, successor=None if last else object())


def running(*pairs):
    return {id(each): one for one, each in pairs}


@pytest.fixture
def ends():
    return SegmentEnds(LEAD_S, whole_networks=False, holds=False)


def test_a_segment_is_nearly_over_a_lead_before_its_end(ends):
    one, segment = job(), work()
    assert ends.near_s is None
    ends.expect(one, segment, started_s=5.0)
    assert ends.near_s == pytest.approx(5.0 + 1e-3 - LEAD_S)
    assert one.look_s == pytest.approx(5.0 + EARLIEST_END * 1e-3)
    under_way = running((one, segment))
    assert not list(ends.nearly_over(5.0, under_way))
    assert list(ends.nearly_over(5.001, under_way)) == [(one, segment)]
    assert ends.near_s is None


def test_what_runs_no_more_and_what_was_handed_over_is_passed_over(ends):
    gone, told = (job(), work()), (job(), work())
    for one, segment in (gone, told):
        ends.expect(one, segment, 0.0)
    ends.hand_over(*told, now_s=0.0)
    assert not list(ends.nearly_over(1.0, running(told)))


def test_only_the_most_urgent_is_given(ends):
    urgent, other = (job(level=0), work()), (job(level=1), work())
    for one, segment in (urgent, other):
        ends.expect(one, segment, 0.0)
    assert list(ends.nearly_over(1.0, running(urgent, other))) == [urgent]


def test_nothing_is_chosen_behind_a_last_segment_beside_others(ends):
    last, other = (job(), work(last=True)), (job(), work())
    ends.expect(*last, 0.0)
    assert not list(ends.nearly_over(1.0, running(last, other)))
    ends.expect(*last, 0.0)
    assert list(ends.nearly_over(1.0, running(last))) == [last]


def test_an_end_may_be_reckoned_to_come_earlier_never_to_be_looked_for_later(ends):
    one = job(factor=2.0)
    ends.expect(one, work(), 0.0)
    slow_s = one.look_s
    one.time_factor = lambda segment: 0.5
    ends.reckon(one)
    quick_s = one.look_s
    assert quick_s == pytest.approx(slow_s / 4)
    one.time_factor = lambda segment: 4.0
    ends.reckon(one)
    assert one.look_s == quick_s


@pytest.mark.parametrize('lead_s, whole_networks', [(0.0, False), (LEAD_S, True)])
def test_without_a_lead_or_with_whole_networks_nothing_is_chosen_early(lead_s, whole_networks):
    ends, one = SegmentEnds(lead_s, whole_networks, holds=False), job()
    ends.expect(one, work(), 0.0)
    assert ends.near_s is None and one.look_s < math.inf


def test_what_may_be_held_is_expected_by_its_progress():
    ends, one = SegmentEnds(LEAD_S, whole_networks=True, holds=True), job()
    ends.expect(one, work(), 0.0)
    assert one.look_s == pytest.approx(EARLIEST_END * 2e-3)


def test_a_hand_over_counts_from_the_end_of_its_step(ends):
    one, segment = job(), work()
    ends.hand_over(one, segment, now_s=1.0)
    ends.settle(step_s=0.25)
    ends.settle(step_s=0.25)
    assert one.handed_over_s == 1.25 and one.nearly_over is segment


def test_a_host_that_is_late_is_woken_earlier(ends):
    one = job()
    for _ in range(10):
        ends.hand_over(one, work(), now_s=1.0)
        ends.heard(one, now_s=1.0)
    ends.expect(one, work(), 0.0)
    assert ends.near_s < 1e-3 - LEAD_S
