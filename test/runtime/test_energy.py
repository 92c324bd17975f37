"""Energy is dealt out by busy time, none is lost, and a meter that fails stops nobody."""

import math
import threading

import hypothesis.strategies as st
import pytest
from hypothesis import given

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.runtime.energy import EnergyAccount, EnergySplit, EnergyUse

NAMES = ('a', 'b', 'c')
WAIT_S = 30.0
TOLERANCE = 1e-9
steps = st.floats(0.0, 1e6)
intervals = st.lists(st.tuples(steps, st.fixed_dictionaries(dict.fromkeys(NAMES, steps))),
                     max_size=20)


def readings(taken):
    """Yield counters that run on from any moment, by what is added in each interval."""
    energy_mj, busy_s = 7.0, dict.fromkeys(NAMES, 3.0)
    yield energy_mj, dict(busy_s)
    for step_mj, steps_s in taken:
        energy_mj += step_mj
        busy_s = {name: busy_s[name] + steps_s[name] for name in busy_s}
        yield energy_mj, dict(busy_s)


def split(taken, order=NAMES):
    shares = EnergySplit(order)
    for energy_mj, busy_s in readings(taken):
        shares.add(energy_mj, {name: busy_s[name] for name in order})
    return shares


@given(intervals)
def test_what_is_dealt_out_and_what_is_nobodys_is_all(taken):
    shares = split(taken)
    dealt_out_mj = sum(shares.of_instances_mj.values())
    total_mj = sum(step_mj for step_mj, _ in taken)
    assert dealt_out_mj + shares.idle_mj == pytest.approx(total_mj, rel=TOLERANCE, abs=1e-6)
    assert shares.total_mj == pytest.approx(total_mj, rel=TOLERANCE, abs=1e-6)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.dictionaries(
    st.sampled_from(NAMES), st.floats(-1e6, 1e6))), max_size=20))
def test_nobody_ever_gets_less_than_before_whatever_the_counters_do(counters):
    shares = EnergySplit(NAMES)
    for energy_mj, busy_s in counters:
        before = (*shares.of_instances_mj.values(), shares.idle_mj)
        shares.add(energy_mj, busy_s)
        after = (*shares.of_instances_mj.values(), shares.idle_mj)
        assert all(0.0 <= one <= other for one, other in zip(before, after))


@given(intervals, st.permutations(NAMES))
def test_the_order_of_the_instances_does_not_matter(taken, order):
    shares, others = split(taken), split(taken, order)
    assert others.of_instances_mj == pytest.approx(shares.of_instances_mj, rel=TOLERANCE)
    assert others.idle_mj == pytest.approx(shares.idle_mj, rel=TOLERANCE)


def test_an_interval_is_of_those_who_were_busy_in_it():
    shares = split([(10.0, {'a': 3.0, 'b': 1.0, 'c': 0.0}),
                    (6.0, {'a': 0.0, 'b': 0.0, 'c': 0.0}),
                    (2.0, {'a': 0.0, 'b': 0.0, 'c': 0.5})])
    assert shares.of_instances_mj == pytest.approx({'a': 7.5, 'b': 2.5, 'c': 2.0})
    assert shares.idle_mj == pytest.approx(6.0)


def test_an_interval_lasts_until_the_counter_steps():
    shares = split([(0.0, {'a': 3.0, 'b': 0.0, 'c': 0.0}), (8.0, {'a': 0.0, 'b': 1.0, 'c': 0.0})])
    assert shares.of_instances_mj == pytest.approx({'a': 6.0, 'b': 2.0, 'c': 0.0})


class FakeMeter:
    """Tells what the test sets; None, or an error, if it is told to."""

    period_s = 0.001

    def __init__(self):
        self.now_mj, self.now_mw = 1000.0, 5000.0
        self.broken = None
        self.closed = False
        self.asked = threading.Semaphore(0)

    def energy_mj(self):
        self.asked.release()
        if self.broken:
            raise self.broken
        return self.now_mj

    def power_mw(self):
        return self.now_mw

    def close(self):
        self.closed = True


@pytest.fixture
def account(said):
    """Return an account whose readings the test takes, on a fake meter."""
    made = EnergyAccount(FakeMeter(), ('a', 'b'), lambda: dict(made.busy_s))
    made.busy_s, made.reports, made.meter = {}, said, made._meter
    yield made
    made.close()
    assert made.meter.closed


def test_before_the_first_reading_nobody_can_tell(account):
    assert math.isnan(account.use.power_mw) and math.isnan(account.use.energy_mj)
    assert account.use.of_instances_mj == {}


def test_it_counts_from_the_first_reading(account):
    account.read()
    assert account.use == EnergyUse(5000.0, 0.0, {'a': 0.0, 'b': 0.0})
    account.meter.now_mj += 50.0
    account.busy_s['b'] = 0.01
    account.read()
    assert account.use == EnergyUse(5000.0, 50.0, {'a': 0.0, 'b': 50.0})


@pytest.mark.parametrize('broken, reports', [(PlatformError('GPU 0', 'is gone'), 1), (None, 0)])
def test_what_was_used_while_nobody_could_tell_is_dealt_out_later(account, broken, reports):
    account.read()
    account.meter.broken, account.meter.now_mw = broken, None
    account.busy_s['a'] = 0.03
    for _ in range(3):
        account.read()
    assert math.isnan(account.use.power_mw)
    assert account.use.energy_mj == 0.0
    account.meter.broken, account.meter.now_mw = None, 4000.0
    account.meter.now_mj += 80.0
    account.busy_s['b'] = 0.01
    account.read()
    assert account.use == EnergyUse(4000.0, 80.0, pytest.approx({'a': 60.0, 'b': 20.0}))
    assert len(account.reports) == reports


def test_a_thread_of_its_own_reads_again_and_again(account):
    account.start()
    for _ in range(5):
        assert account.meter.asked.acquire(timeout=WAIT_S)
    account.close()
    assert 's3dnn-energy' not in {thread.name for thread in threading.enumerate()}
