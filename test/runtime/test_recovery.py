"""A network that fails is replaced once, and again later and later while that does not help."""

import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.errors import RestartError
from s3dnn_ros.runtime.recovery import FIRST_DELAY_S, LONGEST_DELAY_S, Recovery

NOW_S = 100.0


class FakeNetwork:
    """What a queue needs to know of a network."""

    segments, lanes, batch, largest, output_shapes = 2, 3, 0, 8, {'y': ('N', 3)}


class Bench:
    """A queue with its recovery; attempts wait in `attempts` until the test runs them."""

    def __init__(self, reports=()):
        self.clock = VirtualClock(NOW_S)
        self.attempts = []
        self.reports = reports
        self.errors = []        # what the next loads raise
        self.lost = False
        self.loaded = FakeNetwork()
        self.queue = types.SimpleNamespace(network=self.loaded)
        self.recovery = Recovery('net', self.queue, self.load, self.submit, self.clock,
                                 lambda: self.lost)

    def submit(self, attempt):
        self.attempts.append(attempt)

    def load(self):
        if self.errors:
            raise self.errors.pop(0)
        self.loaded = FakeNetwork()
        return self.loaded

    def end(self, error='', network=None):
        """Let a job end that ran on this network, the one in use unless told otherwise."""
        self.recovery.ended(types.SimpleNamespace(
            network=network or self.queue.network, error=error))

    def attempt(self):
        """Run the one attempt that was made."""
        (attempt,) = self.attempts
        self.attempts.clear()
        attempt()


@pytest.fixture
def bench(said):
    return Bench(said)


def test_a_network_that_runs_well_is_not_touched(bench):
    network = bench.queue.network
    bench.end()
    assert bench.recovery.refusal() == ''
    assert bench.queue.network is network
    assert bench.attempts == bench.reports == []


def test_a_failed_run_has_the_network_replaced(bench):
    failed = bench.queue.network
    bench.end('lost device')
    assert 'being restarted' in bench.recovery.refusal()
    assert 'lost device' in bench.recovery.refusal()
    bench.attempt()
    assert bench.recovery.refusal() == ''
    assert bench.queue.network is bench.loaded is not failed
    assert ["instance 'net'" in report for report in bench.reports] == [True, True]
    assert 'lost device' in bench.reports[0]
    assert 'runs again' in bench.reports[1]


def test_until_then_the_line_has_something_that_takes_nothing_and_keeps_no_memory(bench):
    failed = bench.queue.network
    bench.end('lost device')
    network = bench.queue.network
    assert (network.segments, network.lanes, network.largest) == (2, 3, 8)
    for call in (network.open, network.stage):
        with pytest.raises(RestartError, match='lost device'):
            call([])
    assert failed not in vars(network).values()


def test_further_failures_of_a_network_that_is_out_of_use_change_nothing(bench):
    failed = bench.queue.network
    for error in ('lost device', 'another', 'one more'):
        bench.end(error, failed)
    bench.end('its network is being restarted')     # what waited, and was refused at its start
    assert len(bench.attempts) == 1
    bench.attempt()
    bench.end('too late', failed)
    assert bench.attempts == []
    assert bench.recovery.refusal() == ''


def test_a_network_that_cannot_be_loaded_is_reported_with_the_reason(bench):
    bench.errors = [RuntimeError('out of memory')]
    bench.end('lost device')
    bench.attempt()
    assert 'out of memory' in bench.reports[-1]
    assert f'{FIRST_DELAY_S:g} s' in bench.reports[-1]
    assert bench.recovery.refusal()


def test_where_there_is_no_use_in_another_attempt_that_is_for_others_to_say(bench):
    bench.errors, bench.lost = [RuntimeError('out of memory')], True
    bench.end('lost device')
    bench.attempt()
    assert len(bench.reports) == 1


@given(steps_s=st.lists(st.floats(0.0, 5.0), min_size=1, max_size=60), loads=st.booleans())
def test_attempts_come_later_and_later_while_they_do_not_help(steps_s, loads):
    bench = Bench()
    times_s = []
    bench.end('lost device')
    for step_s in steps_s:
        bench.clock.advance(step_s)
        bench.recovery.refusal()
        if bench.attempts:
            times_s.append(bench.clock.now_s())
            bench.errors = [] if loads else [RuntimeError('out of memory')]
            bench.attempt()
            if loads:
                bench.end('lost device')
    delay_s = FIRST_DELAY_S
    for before_s, after_s in zip(times_s, times_s[1:]):
        assert after_s - before_s >= delay_s - 1e-9
        # and not later than the first look after that time
        assert after_s - before_s <= delay_s + 5.0 + 1e-9
        delay_s = min(2 * delay_s, LONGEST_DELAY_S)


def test_a_run_that_goes_well_starts_the_delays_anew(bench):
    for _ in range(5):
        bench.end('lost device')
        bench.attempt()         # at once, every time
        bench.end()


def test_nothing_is_tried_after_the_end():
    def refuse(attempt):
        raise RuntimeError('cannot schedule new futures after shutdown')

    bench = Bench()
    recovery = Recovery('net', bench.queue, bench.load, refuse, bench.clock,
                        lambda: False)
    recovery.ended(types.SimpleNamespace(network=bench.queue.network, error='lost device'))
    assert recovery.refusal()
