"""A simulated device: what runs alone takes its time, what runs together shares the device."""

import itertools
import types

import hypothesis.strategies as st
import pytest
from hypothesis import given

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines.simulated import SimulatedEngine
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable

TIMES_S = st.floats(1e-4, 0.1)
SHARES = st.floats(0.05, 1.0)


def profile(name, times_s, utilization):
    return ProfileTable(name, '', 'simulated', 'simulated', 'default', {}, tuple(
        ProfileRow(segment, 1, 1e3 * time_s, 1e3 * time_s, 1e3 * time_s, utilization, utilization)
        for segment, time_s in enumerate(times_s)))


class Device:
    """A simulated engine, its networks by name, and when their segments ended."""

    def __init__(self, networks, **options):
        self.clock = VirtualClock(10.0)
        self.engine = SimulatedEngine(self.clock, {
            name: profile(name, *values) for name, values in networks.items()}, **options)
        self.flights = {
            name: self.engine.load(name, [], [], types.SimpleNamespace(name=name)).open([[None]])
            for name in networks}
        self.ended = []

    def submit(self, name, segment=0, level=0, last=None):
        what = segment if last is None else 'all'
        self.flights[name].submit(segment, lambda run: self.ended.append((name, what, run)),
                                  level, last=last)

    def run(self):
        while self.engine.next_end_s() < float('inf'):
            self.clock.advance(self.engine.next_end_s() - self.clock.now_s())
            self.engine.end_due()
        return {(name, segment): run.ended_s - 10.0 for name, segment, run in self.ended}


@given(TIMES_S, SHARES)
def test_what_runs_alone_takes_its_time(time_s, share):
    device = Device({'a': ([time_s], share)})
    device.submit('a')
    assert device.run() == {('a', 0): pytest.approx(time_s)}


@given(st.lists(TIMES_S, min_size=1, max_size=4), st.integers(0, 3))
def test_segments_that_are_submitted_together_are_told_once(times_s, first):
    first = min(first, len(times_s) - 1)
    device = Device({'a': (times_s, 0.5)})
    for segment in range(first):
        device.submit('a', segment)
    device.submit('a', first, last=len(times_s) - 1)
    assert device.run()['a', 'all'] == pytest.approx(sum(times_s))
    assert len(device.ended) == first + 1
    run = device.ended[-1][2]
    assert run.started_s - 10.0 == pytest.approx(sum(times_s[:first]))


@given(TIMES_S, TIMES_S, st.floats(0.05, 0.5), st.floats(0.05, 0.5))
def test_what_fits_beside_each_other_is_not_slowed(first_s, second_s, first, second):
    device = Device({'a': ([first_s], first), 'b': ([second_s], second)})
    device.submit('a')
    device.submit('b')
    assert device.run() == {('a', 0): pytest.approx(first_s), ('b', 0): pytest.approx(second_s)}


@given(TIMES_S, st.floats(0.51, 1.0), st.integers(2, 6))
def test_what_wants_more_than_there_is_is_slowed_alike(time_s, share, count):
    device = Device({str(index): ([time_s], share) for index in range(count)})
    for name in device.flights:
        device.submit(name)
    assert list(device.run().values()) == pytest.approx([count * share * time_s] * count)


@given(st.lists(st.tuples(TIMES_S, SHARES, st.integers(0, 2)), min_size=1, max_size=6))
def test_the_device_never_does_more_than_it_can(segments):
    device = Device({str(index): ([time_s], share)
                     for index, (time_s, share, _) in enumerate(segments)}, levels=3)
    for index, (_, _, level) in enumerate(segments):
        device.submit(str(index), level=level)
    ended_s = device.run()
    assert len(ended_s) == len(segments)
    assert max(ended_s.values()) >= sum(time_s * share for time_s, share, _ in segments) - 1e-9
    for index, (time_s, _, _) in enumerate(segments):
        assert ended_s[str(index), 0] >= time_s - 1e-9


@given(TIMES_S, SHARES, TIMES_S)
def test_a_more_urgent_segment_is_not_slowed_by_others(time_s, share, other_s):
    device = Device({'urgent': ([time_s], share), 'other': ([other_s], 1.0)}, levels=2)
    device.submit('other', level=1)
    device.submit('urgent', level=0)
    assert device.run()['urgent', 0] == pytest.approx(time_s)


def test_where_nothing_runs_side_by_side_one_waits_for_the_other():
    device = Device({'a': ([0.1], 0.2), 'b': ([0.1], 0.2)}, parallel=False)
    device.submit('a')
    device.submit('b')
    assert device.run() == {('a', 0): pytest.approx(0.1), ('b', 0): pytest.approx(0.2)}


def test_a_segment_submitted_behind_another_starts_when_that_has_ended():
    device = Device({'a': ([0.1, 0.2], 1.0)})
    device.submit('a', 0)
    device.submit('a', 1)
    assert device.run() == {('a', 0): pytest.approx(0.1), ('a', 1): pytest.approx(0.3)}
    assert device.ended[1][2].started_s == pytest.approx(10.1)


def test_a_flight_that_is_held_stops_behind_its_segment_until_it_is_resumed():
    device = Device({'a': ([0.1, 0.2], 1.0), 'b': ([0.1], 1.0)})
    for segment in range(2):
        device.submit('a', segment)
    flight = device.flights['a']
    assert flight.hold() and flight.progress() == 0
    assert device.run() == {('a', 0): pytest.approx(0.1)}
    assert flight.progress() == 1
    device.submit('b')
    device.run()
    flight.resume()
    assert device.run()['a', 1] == pytest.approx(0.4)
    assert flight.progress() == 2


@given(st.lists(TIMES_S, min_size=2, max_size=6), st.floats(0.0, 0.999), SHARES)
def test_a_network_that_runs_whole_is_held_behind_the_segment_that_runs(times_s, part, share):
    device = Device({'a': (times_s, share), 'b': ([0.05], share)})
    flight, ends_s = device.flights['a'], list(itertools.accumulate(times_s))
    device.submit('a', last=len(times_s) - 1)
    assert device.engine.next_end_s() == pytest.approx(10.0 + ends_s[-1])
    held_s = part * ends_s[-1]
    device.clock.advance(held_s)
    device.engine.end_due()
    ended = flight.progress()
    assert ended == pytest.approx(sum(end_s <= held_s for end_s in ends_s), abs=(
        any(abs(end_s - held_s) < 1e-8 for end_s in ends_s)))
    assert flight.hold() == (ended < len(times_s) - 1)
    held = device.run()
    assert flight.progress() == ended + 1
    assert device.clock.now_s() - 10.0 == pytest.approx(ends_s[ended])
    device.submit('b')
    device.run()
    waited_s = device.clock.now_s() - 10.0 - ends_s[ended]
    flight.resume()
    assert device.run()['a', 'all'] == pytest.approx(
        held.get(('a', 'all'), ends_s[-1] + waited_s))
    assert device.ended[-1][2].started_s == pytest.approx(
        10.0 if ended < len(times_s) - 1 else device.ended[-1][2].started_s)


@given(st.lists(TIMES_S, min_size=2, max_size=4), st.lists(TIMES_S, min_size=1, max_size=4),
       SHARES, SHARES, st.integers(0, 1))
def test_a_network_that_runs_whole_ends_as_if_its_segments_ran_one_by_one(
        times_s, other_s, share, other_share, level):
    ended_s = []
    for together in (True, False):
        device = Device({'a': (times_s, share), 'b': (other_s, other_share)}, levels=2)
        for name, count, urgency in (('a', len(times_s), level), ('b', len(other_s), 1)):
            if together:
                device.submit(name, 0, urgency, last=count - 1)
            for segment in () if together else range(count):
                device.submit(name, segment, urgency)
        ended = device.run()
        ended_s.append([ended['a', 'all'], ended['b', 'all']] if together else
                       [ended['a', len(times_s) - 1], ended['b', len(other_s) - 1]])
    assert ended_s[0] == pytest.approx(ended_s[1])


def test_a_flight_that_is_held_first_does_not_start_and_the_last_segment_ends():
    device = Device({'a': ([0.1], 1.0)})
    flight = device.flights['a']
    assert not flight.hold()
    device.submit('a')
    assert device.run() == {}
    flight.resume()
    assert not flight.hold()        # nothing is left behind what runs
    assert device.run() == {('a', 0): pytest.approx(0.1)}


@given(st.integers(0, 99))
def test_the_same_seed_gives_the_same_times(seed):
    times_s = []
    for _ in range(2):
        device = Device({'a': ([0.1] * 5, 1.0)}, jitter=0.5, seed=seed)
        for segment in range(5):
            device.submit('a', segment)
        times_s.append(device.run())
    assert times_s[0] == times_s[1]
    assert 0.5 < times_s[0]['a', 4] < 0.75


class SlowBoard:
    """Lets everything run at a pace; clocks change at given times, and a launch takes time."""

    def __init__(self, pace=1.0, traffic=0.0, launch_s=0.0, changes=()):
        self.now, self.traffic, self._launch_s = pace, traffic, launch_s
        self._changes = list(changes)       # of time and pace
        self.used = []

    def pace(self, model, segment, batch):
        return self.now, self.traffic

    def launch(self, now_s):
        return now_s + self._launch_s

    def next_change_s(self):
        return self._changes[0][0] if self._changes else float('inf')

    def change_due(self, now_s):
        if self.next_change_s() > now_s:
            return False
        self.now = self._changes.pop(0)[1]
        return True

    def passed(self, time_s, device, memory):
        self.used.append((time_s, device, memory))


@given(TIMES_S, st.floats(0.1, 2.0), st.floats(0.0, 0.1))
def test_a_board_says_when_segments_begin_and_how_fast_they_run(time_s, pace, launch_s):
    board = SlowBoard(pace, launch_s=launch_s)
    device = Device({'a': ([time_s], 0.5)}, board=board)
    device.submit('a')
    assert device.run() == {('a', 0): pytest.approx(launch_s + time_s / pace)}
    assert device.ended[0][2].started_s == pytest.approx(10.0 + launch_s)
    assert sum(time_s for time_s, *_ in board.used) == pytest.approx(launch_s + time_s / pace)
    assert sum(time_s * share for time_s, share, _ in board.used) == pytest.approx(
        0.5 * time_s / pace)


@given(TIMES_S, st.floats(0.1, 0.9), st.floats(0.2, 1.0), st.floats(0.2, 1.0))
def test_a_segment_goes_on_at_the_new_pace_when_a_clock_changes(time_s, share, first, second):
    changed_s = share * time_s / first
    device = Device({'a': ([time_s], 0.5)},
                    board=SlowBoard(first, changes=[(10.0 + changed_s, second)]))
    device.submit('a')
    assert device.run() == {('a', 0): pytest.approx(changed_s + (1.0 - share) * time_s / second)}


@given(TIMES_S, st.floats(0.1, 1.0), st.integers(1, 5))
def test_who_share_the_bandwidth_are_slowed_alike(time_s, traffic, count):
    board = SlowBoard(traffic=traffic)
    device = Device({str(index): ([time_s], 0.1) for index in range(count)}, board=board)
    for name in device.flights:
        device.submit(name)
    slowed = max(1.0, count * traffic)
    assert list(device.run().values()) == pytest.approx([time_s * slowed] * count)
    assert max(memory for *_, memory in board.used) == pytest.approx(min(1.0, count * traffic))


def test_the_host_launches_ahead_while_the_device_runs():
    device = Device({'a': ([0.1, 0.2], 1.0)}, board=SlowBoard(launch_s=0.03))
    device.submit('a', 0)
    device.submit('a', 1)
    assert device.run() == {('a', 0): pytest.approx(0.13), ('a', 1): pytest.approx(0.33)}


@given(TIMES_S, st.floats(0.05, 1.0), st.floats(0.0, 0.95))
def test_another_program_takes_its_share(time_s, share, taken):
    device = Device({'a': ([time_s], share)})
    device.engine.disturb(taken)
    device.submit('a')
    assert device.run() == {('a', 0): pytest.approx(time_s * max(1.0, share / (1.0 - taken)))}


def test_a_board_is_told_what_another_program_uses():
    board = SlowBoard()
    device = Device({'a': ([0.1], 0.5)}, board=board)
    device.engine.disturb(0.3)
    device.submit('a')
    device.run()
    assert [used for _, used, _ in board.used] == [pytest.approx(0.8)]


@pytest.mark.parametrize(('variant', 'last', 'expected'), [
    (0, None, 0.1), (1, None, 0.1 / 2), (2, None, 0.1 / 4), (9, None, 0.1 / 4),
    # what follows without a decision is exact
    (1, 1, 0.1 / 2 + 0.2)])
def test_variants_are_faster(variant, last, expected):
    device = Device({'a': ([0.1, 0.2], 1.0)}, speedups={'a': [[1.0, 2.0, 4.0], [1.0, 2.0]]})
    flight = device.flights['a']
    assert flight.network.variants == [3, 2]
    flight.submit(0, lambda run: device.ended.append(('a', 0, run)), variant=variant, last=last)
    assert device.run() == {('a', 0): pytest.approx(expected)}
