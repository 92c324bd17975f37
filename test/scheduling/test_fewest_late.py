"""Who is late where not all can be in time, beside all there is to choose from."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling.fewest_late import fewest_late

# whole numbers, so that sums are exact
JOBS = st.lists(st.tuples(st.integers(1, 20), st.integers(0, 60)), max_size=7).map(
    lambda jobs: sorted(jobs, key=lambda job: job[1]))


def in_time(jobs, now_s):
    """Tell whether all are, one behind the other."""
    ends_s = itertools.accumulate((takes_s for takes_s, _ in jobs), initial=now_s)
    return all(end_s <= deadline_s for end_s, (_, deadline_s) in zip(
        itertools.islice(ends_s, 1, None), jobs))


@given(JOBS, st.integers(0, 20))
def test_the_others_are_in_time_and_no_choice_leaves_more_of_them(jobs, now_s):
    late = fewest_late(jobs, now_s)
    kept = [job for place, job in enumerate(jobs) if place not in late]
    assert len(kept) + len(late) == len(jobs)
    assert in_time(kept, now_s)
    assert not any(in_time(chosen, now_s)
                   for chosen in itertools.combinations(jobs, len(kept) + 1))


@pytest.mark.parametrize('jobs, late', [
    ([(4, 5), (1, 5.1), (1, 5.2)], [0]),        # the long one, though it is the most urgent
    ([(4, 5), (4, 6)], [1]),                    # of two alike, the later one
    ([(4, 5), (4, 8)], [])])
def test_examples(jobs, late):
    assert fewest_late(jobs, 0.0) == late
