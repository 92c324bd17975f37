"""Busy times are the length of the union of what was under way, for each name."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from s3dnn_ros.runtime.busy import BusyTimes

NAMES = 'abc'
STEP_S = 0.125      # exact in binary, so that sums are


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 40), st.integers(0, 40)),
                max_size=12), st.integers(0, 50))
def test_what_overlaps_counts_once_and_what_is_open_up_to_now(works, now):
    works = [(name, min(ends), max(ends)) for name, *ends in works]
    events = sorted([(begin, 0, 'began', name) for name, begin, _ in works]
                    + [(end, 1, 'ended', name) for name, _, end in works])
    busy = BusyTimes()
    for step, _, what, name in events:
        if step <= now:
            getattr(busy, what)(name, STEP_S * step)

    def seconds(of):
        return STEP_S * sum(any(name in of and begin <= step < end for name, begin, end in works)
                            for step in range(now))

    expected = {name: seconds(name) for name in NAMES
                if any(name == other and begin <= now for other, begin, _ in works)}
    assert busy.until(STEP_S * now) == pytest.approx(expected)
    assert busy.all_until(STEP_S * now) == pytest.approx(seconds(NAMES))
