"""Times of batches: enough runs, disturbed ones once more, and an honest account of the rest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.profiling.batch_timer import (
    FEWEST_RUNS,
    MOST_ATTEMPTS,
    MOST_RUNS,
    ROUND_S,
    SECONDS_PER_BATCH,
    SPREAD_LIMIT,
    WARM_UP_RUNS,
    BatchTimer,
    BatchTimes,
    disturbed,
)


class FakeNetwork:
    """One segment that takes `image_s` an image, as often slower as `slow` says by batch.

    `slow` maps a batch to the factors of its measurements, one after another; a sequence of
    factors is that of the runs in turn. The last one holds for all that follow.
    """

    def __init__(self, image_s=0.01, slow=None):
        self.image_s = image_s
        self.measured, self.shared = [], []
        self.spent_s = 0.0
        self._slow = {batch: list(factors) for batch, factors in (slow or {}).items()}
        self._factor = 1.0

    def padded(self, frames):
        return frames

    def measure(self, batch, repeats, variant=0):
        self.measured.append((batch, repeats))
        if repeats == WARM_UP_RUNS:
            slow = self._slow.get(batch, [1.0])
            self._factor = slow.pop(0) if len(slow) > 1 else slow[0]
        factors = np.resize(self._factor, repeats)
        rows = [[self.image_s * batch * factor] for factor in factors]
        self.spent_s += sum(map(sum, rows))
        return rows

    def measure_shared(self, batch, repeats):
        self.shared.append((batch, repeats))
        self.spent_s += repeats * self.image_s * batch
        return self.image_s * batch

    def runs_of(self, batch):
        """Return the rounds of a batch that was measured once, without the one that warms up."""
        return [runs for known, runs in self.measured if known == batch][1:]


def times(batch, run_s, spread=0.0, **changes):
    """Return BatchTimes with this median and spread."""
    runs_s = run_s * np.array([1 - spread / 2, 1 - spread / 2, 1.0, 1 + spread / 2,
                               1 + spread / 2])
    return BatchTimes(batch, runs_s[:, np.newaxis], **changes)


# how many runs

def test_a_wanted_number_of_runs_is_kept():
    network = FakeNetwork()
    measured = BatchTimer(network, [2, 1], repeats=7).measure()
    assert network.measured == [(1, WARM_UP_RUNS), (1, 7), (2, WARM_UP_RUNS), (2, 7)]
    assert network.shared == [(1, 7), (2, 7)]
    assert [item.batch for item in measured] == [1, 2]


@given(st.floats(1e-6, 10.0))
def test_without_one_a_batch_takes_some_seconds_and_neither_few_nor_many_runs(run_s):
    network = FakeNetwork(run_s)
    BatchTimer(network, [1], parallel=False).measure()
    runs = sum(network.runs_of(1))
    assert FEWEST_RUNS <= runs <= MOST_RUNS and not network.shared
    assert runs == FEWEST_RUNS or runs * run_s <= SECONDS_PER_BATCH * (1 + 1e-9)
    assert runs == MOST_RUNS or (runs + 1) * run_s >= SECONDS_PER_BATCH * (1 - 1e-9)


@pytest.mark.parametrize('run_s, rounds', [(1e-3, [100]), (0.25, [4] * 7 + [2]), (3.0, [1] * 30)])
def test_runs_are_asked_for_in_rounds_of_about_a_second(run_s, rounds):
    network = FakeNetwork(run_s)
    BatchTimer(network, [1]).measure()
    assert network.runs_of(1) == rounds
    assert all(runs == 1 or runs * run_s <= ROUND_S for runs in rounds)


# what is disturbed

@pytest.mark.parametrize('runs_s, found', [
    ({1: 0.02, 2: 0.03, 8: 0.1}, {}),
    ({5: 0.188, 6: 0.217, 8: 0.113}, {5: 'longer than batch 8', 6: 'longer than batch 8'}),
    ({1: 0.02, 2: 0.04, 4: 0.16}, {4: 'an image takes longer than in batch'}),
    ({3: 0.0412, 4: 0.04}, {})])        # next to nothing: the engine fills up to 4
def test_times_out_of_order_are_disturbed(runs_s, found):
    said = disturbed(times(batch, run_s) for batch, run_s in runs_s.items())
    assert list(said) == list(found)
    assert all(found[batch] in said[batch] for batch in found)


def test_an_order_that_comes_again_is_the_devices_own_but_spread_is_not():
    assert not disturbed([times(3, 0.06, repeated=True), times(4, 0.04)])
    wide = times(3, 0.03, 2 * SPREAD_LIMIT, repeated=True)
    assert f'{2 * SPREAD_LIMIT:.0%}' in disturbed([wide, times(4, 0.04)])[3]


@given(st.floats(1e-6, 1e3), st.floats(0.0, 1.0), st.floats(1e-6, 1e3), st.floats(0.0, 1.0))
def test_of_two_measurements_the_less_slowed_one_is_kept(first_s, first_spread, again_s, spread):
    first, again = times(2, first_s, first_spread), times(2, again_s, spread)
    kept = first.or_quieter(again)
    assert kept.attempts == 2
    assert kept.run_s in (first.run_s, again.run_s)
    upper = [np.percentile(item.times_s, 75) for item in (kept, first, again)]
    assert upper[0] == min(upper)


# measured again

def test_a_batch_that_was_disturbed_once_is_measured_again_at_the_end():
    network = FakeNetwork(slow={2: [3.0, 1.0]})
    measured = BatchTimer(network, range(1, 5), repeats=10).measure()
    order = [batch for batch, runs in network.measured if runs == WARM_UP_RUNS]
    assert order == [1, 2, 3, 4, 2]
    assert [item.run_s for item in measured] == pytest.approx([0.01, 0.02, 0.03, 0.04])
    assert [item.attempts for item in measured] == [1, 2, 1, 1]
    assert not disturbed(measured)


def test_a_batch_that_stays_noisy_is_given_up_after_some_attempts():
    network = FakeNetwork(slow={2: [[1.0, 2.0, 4.0], [1.0, 1.5, 2.0], [1.0, 3.0]]})
    measured = BatchTimer(network, [1, 2, 3], repeats=12).measure()
    assert [batch for batch, runs in network.measured if runs == WARM_UP_RUNS].count(2) \
        == MOST_ATTEMPTS
    assert list(disturbed(measured)) == [2]
    # the second was the quietest
    assert measured[1].times_s.max() == pytest.approx(0.04)


def test_where_most_batches_are_noisy_none_is_measured_again():
    network = FakeNetwork(slow={batch: [[1.0, 2.0, 4.0]] for batch in (1, 2, 3, 4)})
    measured = BatchTimer(network, range(1, 6), repeats=12).measure()
    assert [item.attempts for item in measured] == [1] * 5
    assert list(disturbed(measured)) == [1, 2, 3, 4]


def test_what_a_device_does_every_time_is_measured_twice_and_believed():
    network = FakeNetwork(slow={3: [1.5]})
    measured = BatchTimer(network, [3, 4], repeats=10).measure()
    assert [batch for batch, runs in network.measured if runs == WARM_UP_RUNS] == [3, 4, 3]
    assert measured[0].repeated and not disturbed(measured)


# progress

@given(st.floats(1e-4, 0.5), st.booleans())
def test_the_steps_tell_what_is_done_and_what_is_left(image_s, parallel):
    network, steps = FakeNetwork(image_s), []
    at_s = []

    def progress(step):
        steps.append(step)
        at_s.append(network.spent_s)

    BatchTimer(network, [1, 2, 4], parallel=parallel, progress=progress).measure()
    assert steps[0].total_s == 0.0 and [step.batch for step in steps] == sorted(
        step.batch for step in steps)
    # on a device that takes so long for every image the first estimate is right
    for step, spent_s in zip(steps[1:], at_s[1:]):
        assert step.done_s == pytest.approx(spent_s)
        assert step.total_s == pytest.approx(network.spent_s)


def test_what_is_measured_again_is_added_to_what_is_left():
    network, steps = FakeNetwork(slow={1: [9.0, 1.0]}), []
    BatchTimer(network, [1, 2], repeats=10, progress=steps.append).measure()
    assert [(step.batch, step.attempt) for step in steps if step.attempt > 1] == [(1, 2)] * 3
    again = [step for step in steps if step.attempt == 2]
    assert again[0].total_s > again[0].done_s >= steps[-4].done_s
