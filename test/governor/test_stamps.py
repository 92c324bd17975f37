"""Stamps: what goes back is refused, but no bag is lost; another clock is told once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.governor.stamps import (
    AHEAD_S,
    BEHIND_S,
    NS_PER_S,
    RESTART_S,
    WINDOW_FRAMES,
    WINDOW_S,
    Stamps,
    clock_sentence,
)

START_S = 1_000_000.0
ROUNDING_S = 1e-6
PERIODS_S = st.floats(0.005, 0.5)
# what a frame needs to arrive, without what the middleware holds up
DELAYS_S = st.lists(st.floats(0.0, 0.05), min_size=2, max_size=60)
FOREIGN_S = st.one_of(st.floats(2 * AHEAD_S, 1e6), st.floats(-9e5, -BEHIND_S - 1.0))


def ns(seconds):
    return round(seconds * NS_PER_S)


def refused(stamps_s, stamps=None):
    """Return the stamps that are refused, when a frame arrives every 10 ms."""
    stamps = stamps or Stamps()
    return [stamp_s for index, stamp_s in enumerate(stamps_s)
            if stamps.read(ns(stamp_s), START_S + 0.01 * index).refusal]


def frames(period_s, delays_s):
    """Return (when a frame is taken, when it arrives), in order of arrival."""
    received_s = START_S
    for index, delay_s in enumerate(delays_s):
        taken_s = START_S + index * period_s
        received_s = max(received_s, taken_s + delay_s)
        yield taken_s, received_s


def steady(stamps, seconds, offset_s, start_s=START_S, period_s=0.1):
    """Play frames that arrive 10 ms after they are taken; return what was told meanwhile."""
    told = []
    for index in range(round(seconds / period_s) + 1):
        taken_s = start_s + index * period_s
        stamps.read(ns(taken_s + offset_s), taken_s + 0.01)
        told.append(stamps.news())
    return [offset_s for offset_s in told if offset_s is not None]


# which frames go on

@given(st.lists(st.integers(1, 10**12), unique=True))
def test_stamps_that_rise_are_never_refused(stamps_ns):
    stamps = Stamps()
    assert not any(stamps.read(stamp_ns, START_S).refusal for stamp_ns in sorted(stamps_ns))


@given(frames_of_bag=st.integers(2, 40), period_s=PERIODS_S, loops=st.integers(2, 10))
def test_a_bag_that_loops_loses_one_frame_each_time_at_most(frames_of_bag, period_s, loops):
    bag_s = [START_S + index * period_s for index in range(frames_of_bag)]
    assert set(refused(bag_s * loops)) <= {bag_s[0]}


@given(length_s=st.floats(0.1, 10.0), back_s=st.floats(0.0, 10.0))
def test_a_bag_that_is_rewound_loses_one_frame_at_most(length_s, back_s):
    played_s = [START_S + 0.05 * index for index in range(round(length_s / 0.05) + 1)]
    again_s = [played_s[-1] - back_s + 0.05 * index for index in range(40)]
    assert len(refused(played_s + again_s)) <= 1


@given(times=st.lists(st.integers(1, 4), min_size=1, max_size=30))
def test_repeated_frames_are_refused_each_time(times):
    repeated_s = [START_S + index for index, number in enumerate(times) for _ in range(number)]
    assert len(refused(repeated_s)) == sum(times) - len(times)


def test_a_frozen_camera_is_refused_for_ever_and_has_no_other_clock():
    stamps = Stamps()
    assert len(refused([START_S] * 1000, stamps)) == 999
    assert stamps.offset_s is None


@given(st.lists(st.booleans(), min_size=2, max_size=40))
def test_of_two_frames_that_swap_the_older_one_is_refused(swaps):
    stamps_s, older_s = [START_S], []
    for index, swap in enumerate(swaps):
        pair_s = [START_S + 2 * index + 1, START_S + 2 * index + 1.1]
        stamps_s += reversed(pair_s) if swap else pair_s
        older_s += pair_s[:1] if swap else []
    assert refused(stamps_s) == older_s


def test_a_clock_that_is_set_back_a_little_loses_one_frame():
    before_s = [START_S + 0.1 * index for index in range(10)]
    assert len(refused(before_s + [stamp_s + 1.0 - RESTART_S for stamp_s in before_s])) == 1


def test_a_refusal_says_which_stamp_and_how_far_it_goes_back():
    stamps = Stamps()
    stamps.read(ns(2.0), START_S)
    refusal = stamps.read(ns(1.75), START_S).refusal
    assert f'stamp {ns(1.75)} is 250.0 ms before the last one' in refusal


# when a frame was taken

@given(period_s=PERIODS_S, delays_s=st.lists(st.floats(0.0, BEHIND_S - 0.1), max_size=40))
def test_stamps_of_this_machines_clock_count_however_late_the_frames_come(period_s, delays_s):
    stamps = Stamps()
    for taken_s, received_s in frames(period_s, delays_s):
        # what waits behind a slow frame is older still, which only a fresh start may not know
        if received_s - taken_s > BEHIND_S:
            return
        assert stamps.read(ns(taken_s), received_s).taken_s == pytest.approx(
            taken_s, abs=ROUNDING_S)
        assert stamps.news() is None


@given(offset_s=FOREIGN_S, drift=st.floats(-1e-3, 1e-3), period_s=PERIODS_S, delays_s=DELAYS_S)
def test_cameras_that_differ_in_their_offset_are_equally_urgent_up_to_the_delay(
        offset_s, drift, period_s, delays_s):
    right, foreign = Stamps(), Stamps()
    for taken_s, received_s in frames(period_s, delays_s):
        stamp_s = taken_s + offset_s + drift * (taken_s - START_S)
        apart_s = (foreign.read(ns(stamp_s), received_s).taken_s
                   - right.read(ns(taken_s), received_s).taken_s)
        assert -ROUNDING_S <= apart_s <= received_s - taken_s + ROUNDING_S


@given(st.lists(st.tuples(st.integers(0, 10**16), st.floats(0.0, 100.0)), max_size=40))
def test_no_frame_counts_as_taken_after_its_arrival(events):
    stamps, received_s = Stamps(), 0.0
    for stamp_ns, later_s in events:
        received_s += later_s
        assert stamps.read(stamp_ns, received_s).taken_s <= received_s


@given(held_up_s=st.floats(BEHIND_S, 60.0), before=st.integers(1, 30))
def test_frames_that_were_held_up_are_late(held_up_s, before):
    stamps = Stamps()
    steady(stamps, 0.1 * before, 0.0)
    taken_s = START_S + 0.1 * before
    for index in range(round(held_up_s / 0.1)):
        taken_s += 0.1
        received_s = START_S + 0.1 * before + held_up_s + 0.001 * index
        assert stamps.read(ns(taken_s), received_s).taken_s == pytest.approx(
            taken_s, abs=ROUNDING_S)
    assert stamps.news() is None


@pytest.mark.parametrize('step_s', [37.0, -37.0])
def test_a_clock_of_this_machine_that_is_set_is_recognised_in_a_moment(step_s):
    stamps = Stamps()
    steady(stamps, 5.0, 0.0)
    steady(stamps, WINDOW_S, -step_s, START_S + 10.0 + step_s)
    assert stamps.offset_s == pytest.approx(-step_s, abs=0.1)
    assert stamps.read(ns(START_S + 13.0), START_S + 13.0 + step_s).taken_s == pytest.approx(
        START_S + 13.0 + step_s)


def test_a_clock_that_is_put_right_counts_again_at_once():
    stamps = Stamps()
    steady(stamps, 5.0, 37.0)
    steady(stamps, 0.1, 0.0, START_S + 6.0)
    assert stamps.offset_s is None
    assert stamps.read(ns(START_S + 6.2), START_S + 6.25).taken_s == pytest.approx(START_S + 6.2)


def test_a_single_wrong_stamp_hurts_no_other_frame():
    stamps = Stamps()
    steady(stamps, 5.0, 0.0)
    for wrong_s in (START_S + 1e6, 1.0):
        assert stamps.read(ns(wrong_s), START_S + 6.0).taken_s == START_S + 6.0
        assert stamps.read(ns(START_S + 6.1), START_S + 6.2).taken_s == pytest.approx(
            START_S + 6.1)
    assert stamps.news() is None


def test_simulated_time_that_starts_again_begins_a_new_history():
    stamps = Stamps()
    steady(stamps, 5.0, 0.0)
    assert steady(stamps, 5.0, 0.0, start_s=10.0) == []
    assert stamps.offset_s is None


# what is told

@pytest.mark.parametrize('offset_s', [37.0, 0.5, -18.0, -10800.0, -START_S + 5.0])
def test_another_clock_is_told_once(offset_s):
    (told_s,) = steady(Stamps(), 60.0, offset_s)
    assert told_s == pytest.approx(offset_s, abs=0.02)


def test_a_few_frames_are_not_enough_to_tell():
    stamps = Stamps()
    assert steady(stamps, WINDOW_S - 0.1, 37.0) == []
    slow = Stamps()
    assert steady(slow, 2 * (WINDOW_FRAMES - 2), 37.0, period_s=2.0) == []
    assert len(steady(slow, 2.0, 37.0, START_S + 100.0, period_s=2.0)) == 1


def test_an_offset_that_changes_much_is_told_again():
    stamps = Stamps()
    assert steady(stamps, 5.0, 37.0) == pytest.approx([37.0], abs=0.02)
    assert steady(stamps, 5.0, 40.0, START_S + 10.0) == []
    assert steady(stamps, 5.0, 10800.0, START_S + 20.0) == pytest.approx([10800.0], abs=0.02)


def test_a_short_bag_that_loops_without_simulated_time_is_told_once():
    stamps, told = Stamps(), []
    for index in range(300):
        stamps.read(ns(5000.0 + 0.1 * (index % 5)), START_S + 0.1 * index)
        told.append(stamps.news())
    assert len([offset_s for offset_s in told if offset_s is not None]) == 1


def test_slow_frames_do_not_change_the_offset_and_drift_does():
    stamps = Stamps()
    for index in range(100):
        stamps.read(ns(START_S + index - 10800.0), START_S + index + 0.01 + 0.1 * (index % 5))
        assert stamps.offset_s == pytest.approx(-10800.01)
    for drift_s in range(100):
        stamps.read(ns(START_S + 100 + drift_s - 10800.0), START_S + 100 + 1.1 * drift_s)
    assert stamps.offset_s == pytest.approx(-10810.0, abs=1.1)


@pytest.mark.parametrize(('offset_s', 'words'), [
    (37.0, '37.0 s ahead of this'), (-10800.0, '10800.0 s behind this')])
def test_the_sentence_names_camera_offset_and_remedy(offset_s, words):
    sentence = clock_sentence('rear', offset_s)
    assert sentence.startswith("camera 'rear': its stamps are " + words)
    for part in ('counted from arrival', 'chrony', 'use_sim_time'):
        assert part in sentence
