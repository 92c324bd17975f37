"""Virtual time: what is to be done is done at its time, and nothing else moves the clock."""

import pytest
from core_bench import NOW_S, CoreBench
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.floats(0.0, 10.0), max_size=20), st.floats(0.0, 10.0))
def test_actions_happen_at_their_times_in_order(make_batch, make_frame, times_s, end_s):
    core, done = CoreBench(make_batch, make_frame), []
    for number, time_s in enumerate(times_s):
        core.driver.at(NOW_S + time_s,
                       lambda number=number: done.append((core.clock.now_s() - NOW_S, number)))
    core.driver.run_until(NOW_S + end_s)
    expected = sorted((NOW_S + time_s, number) for number, time_s in enumerate(times_s)
                      if NOW_S + time_s <= NOW_S + end_s)
    assert [number for _, number in done] == [number for _, number in expected]
    assert [at_s for at_s, _ in done] == pytest.approx([at_s - NOW_S for at_s, _ in expected])
    assert core.clock.now_s() == NOW_S + end_s


def test_an_action_may_bring_others(bench):
    core, done = bench(), []

    def again():
        done.append(core.clock.now_s())
        core.driver.at(core.clock.now_s() + 1.0, again)

    core.driver.at(NOW_S, again)
    core.let_pass(3.5)
    assert done == pytest.approx([NOW_S, NOW_S + 1.0, NOW_S + 2.0, NOW_S + 3.0])


def test_a_request_that_an_action_brings_runs_at_once(bench):
    core = bench()
    core.driver.at(NOW_S + 2.0, lambda: core.admit(5))
    core.let_pass(3.0)
    assert core.engine.running()[0].started_s == NOW_S + 2.0


def test_the_core_is_stepped_where_something_is_new_and_not_otherwise(bench):
    core, stepped_s = bench(), []
    step = core.core.step

    def note(now_s):
        stepped_s.append(now_s - NOW_S)
        return step(now_s)
    core.core.step = note
    for time_s in (1.0, 2.0, 3.0):
        core.driver.at(NOW_S + time_s, lambda: None)
    core.driver.at(NOW_S + 2.5, lambda: core.admit(5))
    core.driver.run_until(NOW_S + 4.0)
    assert set(stepped_s) <= {0.0, 2.5} and 2.5 in stepped_s
