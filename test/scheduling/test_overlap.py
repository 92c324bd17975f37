"""Who may join what runs: as if each of what runs were asked on its own."""

import bisect
import math

from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling import SegmentWork
from s3dnn_ros.scheduling.ordered import Entry
from s3dnn_ros.scheduling.overlap import INTERFERENCE, MOST, RESERVE, TRIES, Overlap

CLOSE_S = 1e-9      # sums in another order may differ so much

works = st.builds(
    lambda time_s, utilization, slack_s: SegmentWork(
        'a', 0, 0.5, time_s + slack_s, time_s, time_s, 0, utilization),
    st.integers(1, 4), st.sampled_from([0.25, 1.0, 1.5]), st.integers(-10, 120))


def entries(works):
    return sorted(Entry(0, work.deadline_s, arrival, work) for arrival, work in enumerate(works))


def load_s(work):
    return work.time_s * min(1.0, work.utilization)


def spare_of_the_tightest_s(beside, joiner, prefers):
    """Return what is left of the slack of each when the joiner is there; the least of all."""
    least_s = math.inf
    for place, entry in enumerate(beside):
        work = entry.work
        if work.slack_s(0.0) < 0.0:
            continue
        before_s = sum(load_s(other.work) for other in beside[:place])
        behind_s = sum(load_s(other.work) for other in beside[place + 1:])
        if joiner < entry:
            before_s += load_s(joiner.work)
        else:
            behind_s += load_s(joiner.work)
        if prefers:
            behind_s = min(behind_s, INTERFERENCE * work.time_s)
        free_s = work.time_s - load_s(work)
        least_s = min(least_s, (1.0 - RESERVE) * work.slack_s(0.0) + free_s - before_s - behind_s)
    return least_s


@given(st.lists(works, min_size=1, max_size=6), st.integers(0, MOST), st.booleans())
def test_one_joins_if_the_tightest_bears_it(works, place, prefers):
    beside = entries(works)
    joiner = beside.pop(min(place, len(beside) - 1))
    overlap = Overlap(beside, prefers, 0.0)
    spare_s = spare_of_the_tightest_s(beside, joiner, prefers)
    if abs(spare_s) > CLOSE_S:
        assert overlap.bears(joiner) == (spare_s > 0.0)


@given(st.lists(works, min_size=2, max_size=MOST - 1), st.randoms(), st.booleans())
def test_who_has_joined_is_asked_too(works, chance, prefers):
    order = entries(works)
    chance.shuffle(order)
    *joined, joiner = order
    overlap, beside = Overlap([], prefers, 0.0), []
    for entry in joined:
        overlap.add(entry)
        bisect.insort(beside, entry)
        assert overlap.first == beside[0]
        overlap.bears(entry._replace(arrival=99))
    spare_s = spare_of_the_tightest_s(beside, joiner, prefers)
    if abs(spare_s) > CLOSE_S and len(joined) < TRIES:
        assert overlap.bears(joiner) == (spare_s > 0.0)


def test_whoever_runs_on_an_empty_device_is_nobodys_burden():
    overlap = Overlap([], True, 0.0)
    assert overlap.first is None
    assert overlap.bears(entries([SegmentWork('a', 0, 1.0, 0.0, 1.0, 1.0)])[0])


def test_so_many_side_by_side_are_enough():
    overlap = Overlap([], False, 0.0)
    quick = SegmentWork('quick', 0, 0.1, 1.0, 0.0, 0.0)
    for entry in entries([quick] * MOST):
        assert overlap.bears(entry)
        overlap.add(entry)
    assert not overlap.bears(entry)


def test_after_so_many_that_could_not_nobody_is_asked_any_more():
    tight, endless, quick = entries([
        SegmentWork('tight', 0, 1.0, 1.0, 1.0, 1.0), SegmentWork('long', 0, 1.0, 99.0, 9.0, 9.0),
        SegmentWork('quick', 0, 1.0, 99.5, 0.0, 0.0)])
    overlap = Overlap([tight], False, 0.0)
    assert overlap.bears(quick)
    for _ in range(TRIES):
        assert not overlap.bears(endless)
    assert not overlap.bears(quick)
