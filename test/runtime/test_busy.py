"""Busy times are the length of the union of what was under way, for each name."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from s3dnn_ros.runtime.busy import BusyTimes

NAMES = 'abc'
STEP_S = 0.125      # exact in binary, so that sums are


@given(st.lists(st.tuples(st.sets(st.sampled_from(NAMES), min_size=1), st.integers(0, 40),
                          st.integers(0, 40)), max_size=12), st.integers(0, 50))
def test_what_overlaps_counts_once_and_what_is_open_up_to_now(works, now):
    works = [(names, min(ends), max(ends)) for names, *ends in works]
    events = sorted([(begin, 0, 'began', names) for names, begin, _ in works]
                    + [(end, 1, 'ended', names) for names, _, end in works],
                    key=lambda event: event[:2])
    busy = BusyTimes()
    for step, _, what, names in events:
        if step <= now:
            getattr(busy, what)(names, STEP_S * step)
    expected = {
        name: STEP_S * sum(any(name in names and begin <= step < end
                               for names, begin, end in works) for step in range(now))
        for name in NAMES if any(name in names and begin <= now for names, begin, _ in works)}
    assert busy.until(STEP_S * now) == pytest.approx(expected)
