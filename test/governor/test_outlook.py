"""What executors can take: told, added to by what is on its way, gone with its process."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.capacity import Capacity, InstanceCapacity
from s3dnn_ros.governor.outlook import FLOOD_S, LOST_S, MOST_FORMER, SILENT_S, Outlook

EPOCH = 7
RUN_S = 0.04
MOMENTS = st.floats(0.0, 1.0)


def told(*names, process='one', serial=True, taken=0, **values):
    values = {'run_s': (RUN_S, 2 * RUN_S), 'measured': (True, True), **values}
    return Capacity(process, serial, True, tuple(
        InstanceCapacity(name, taken={EPOCH: taken}, **values) for name in names))


@pytest.fixture
def outlook():
    return Outlook(EPOCH)


def test_nobody_takes_what_no_executor_has_told_of(outlook):
    outlook.tell(told('net'), 0.0)
    assert outlook.takes('net') and not outlook.takes('other')
    assert outlook.opens_s('other', 0.0) is None
    assert outlook.time_s('other', 1) is None and outlook.device('other') is None
    outlook.sent('other', 1, 1, 0.0)


@given(MOMENTS, st.floats(0.0, 0.01), st.floats(0.0, 0.02))
def test_the_next_batch_is_chosen_just_before_the_device_is_free(wait_s, handover_s, prepare_s):
    outlook = Outlook(EPOCH)
    outlook.prepared('net', prepare_s)
    outlook.tell(told('net', wait_s=wait_s, handover_s=handover_s), 10.0)
    assert outlook.opens_s('net', 10.0) == pytest.approx(10.0 + wait_s - handover_s - prepare_s)


def test_nothing_follows_until_the_executor_tells_of_what_was_sent(outlook):
    outlook.tell(told('net', 'other', 'quick'), 0.0)
    outlook.sent('net', 5, 1, 0.0)
    # the device runs one after the other
    for name in ('net', 'other'):
        assert outlook.opens_s(name, 0.001) is None
    outlook.tell(told('net', 'other', taken=4), 0.002)
    assert outlook.opens_s('net', 0.002) is None
    outlook.tell(told('net', 'other', taken=5, wait_s=0.03), 0.003)
    assert outlook.opens_s('net', 0.003) == pytest.approx(0.033)


def test_on_a_parallel_device_only_its_own_batches_hold_an_instance_back(outlook):
    outlook.tell(told('net', 'other', serial=False), 0.0)
    outlook.sent('net', 5, 1, 0.0)
    assert outlook.opens_s('net', 0.001) is None
    assert outlook.opens_s('other', 0.001) == 0.0
    assert outlook.device('net') is None


def test_runs_that_are_over_before_the_next_arrives_hold_nothing_back(outlook):
    outlook.tell(told('net', run_s=(0.001,), measured=(True,), handover_s=0.0035), 0.0)
    for sequence in range(3):
        assert outlook.opens_s('net', 0.1) <= 0.1
        outlook.sent('net', sequence + 1, 1, 0.1)
    outlook.sent('net', 4, 1, 0.1)
    assert outlook.opens_s('net', 0.1) is None


def test_results_that_wait_for_threads_hold_back_as_runs_do(outlook):
    """Two runs of 1 ms are over before another batch arrives, but not the results of the first."""
    runs = {'serial': False, 'run_s': (0.001,), 'measured': (True,), 'handover_s': 0.003}
    for results_s, opens_s in (0.002, 0.0), (0.004, None):
        outlook.tell(told('net', 'other', results_s=results_s, taken=9, **runs), 0.0)
        outlook.sent('net', 10, 1, 0.0)
        assert outlook.opens_s('net', 0.0) == 0.0
        outlook.sent('net', 11, 1, 0.0)
        assert outlook.opens_s('net', 0.0) == opens_s
        outlook.tell(told('net', 'other', taken=11, **runs), 0.0)


def test_what_is_lost_on_the_way_is_given_up_when_the_executor_tells_of_others(outlook):
    outlook.tell(told('net'), 0.0)
    outlook.sent('net', 1, 1, 0.0)
    assert outlook.opens_s('net', 10.0) is None     # the executor has stopped
    outlook.tell(told('net', taken=0), LOST_S - 0.01)
    assert outlook.opens_s('net', LOST_S) is None
    outlook.tell(told('net', taken=0), LOST_S)
    assert outlook.opens_s('net', LOST_S) == LOST_S


def test_a_new_process_takes_over_and_what_was_sent_to_the_old_one_is_forgotten(outlook):
    assert outlook.tell(told('net', 'other'), 0.0) == ()
    outlook.sent('net', 1, 1, 0.0)
    assert outlook.tell(told('net', process='two'), 0.1) == ('net',)
    assert outlook.opens_s('net', 0.1) == 0.1
    assert outlook.tell(told('net', process='two'), 0.2) == ()


def test_of_two_executors_that_tell_of_one_instance_the_later_one_keeps_it(outlook):
    outlook.tell(told('net', 'other'), 0.0)
    assert outlook.tell(told('net', process='two'), 0.1) == ('net',)
    assert outlook.rival_of('net', 0.1) == ''
    for now_s in (0.2, 0.4):
        assert outlook.tell(told('net', 'other'), now_s) == ()
        assert outlook.tell(told('net', process='two'), now_s) == ()
    assert outlook.process_of('net') == 'two' and outlook.process_of('other') == 'one'
    assert outlook.rival_of('net', 0.5) == 'one' and outlook.rival_of('other', 0.5) == ''
    assert outlook.rival_of('net', 0.4 + SILENT_S) == ''


@pytest.mark.parametrize('says_so', [True, False])
def test_the_other_executor_takes_over_when_the_one_that_has_the_instance_ends(outlook, says_so):
    outlook.tell(told('net'), 0.0)
    outlook.tell(told('net', process='two'), 0.1)
    outlook.tell(told('net'), 0.2)
    if says_so:
        outlook.tell(Capacity('two', True, True, ()), 0.3)
    now_s = 0.4 if says_so else 0.1 + SILENT_S
    assert outlook.tell(told('net'), now_s) == (() if says_so else ('net',))
    assert outlook.process_of('net') == 'one' and outlook.rival_of('net', now_s) == ''


def test_an_executor_that_stops_takes_nothing(outlook):
    outlook.tell(told('net'), 0.0)
    outlook.tell(Capacity('one', True, True, ()), 1.0)
    assert not outlook.takes('net') and outlook.opens_s('net', 1.0) is None
    assert not outlook.drops_late('net')


def test_two_executors_are_two_devices(outlook):
    outlook.tell(told('net', process='one'), 0.0)
    outlook.tell(told('other', process='two'), 0.0)
    outlook.sent('net', 1, 1, 0.0)
    assert outlook.opens_s('other', 0.0) == 0.0
    assert outlook.device('net') != outlook.device('other')


def test_times_beyond_what_was_told_are_in_proportion(outlook):
    outlook.prepared('net', 0.002)
    outlook.tell(told('net', handover_s=0.001, finish_s=0.004), 0.0)
    assert outlook.time_s('net', 1) == pytest.approx(0.007 + RUN_S)
    assert outlook.time_s('net', 4) == pytest.approx(0.007 + 4 * RUN_S)
    assert outlook.apart_s('net', 2) == pytest.approx(0.007 + 2 * RUN_S)
    # nobody knows what three together take
    assert outlook.apart_s('net', 3) == math.inf


@given(run_s=st.floats(0.001, 0.1), handover_s=st.floats(0.0, 0.01))
def test_fusing_pays_as_long_as_nobody_has_measured_a_single_frame(run_s, handover_s):
    # half of what a pair took is an estimate: a sum of it is no measure of what a pair saves
    outlook = Outlook()
    outlook.tell(told('net', run_s=(run_s / 2.0, run_s), measured=(False, True),
                      handover_s=handover_s), 0.0)
    assert outlook.apart_s('net', 2) > outlook.time_s('net', 2)


def test_an_executor_that_knows_no_times_gets_one_batch_at_a_time(outlook):
    outlook.tell(told('net', run_s=(), measured=()), 0.0)
    assert outlook.time_s('net', 1) is None
    outlook.sent('net', 1, 1, 0.0)
    assert outlook.opens_s('net', 0.0) is None


def test_silence_is_counted(outlook):
    outlook.tell(told('net'), 1.0)
    assert outlook.silent_s('net', 3.5) == 2.5
    assert outlook.silent_s('nobody', 3.5) == 0.0


def test_of_a_flood_of_executors_few_get_an_instance(outlook):
    """And the one that is there is back when it is over."""
    outlook.tell(told('net', process='real'), 0.0)
    for number in range(1000):
        outlook.tell(told('net', process=f'forged {number}'), 0.001 * number)
    assert outlook.process_of('net') == f'forged {MOST_FORMER - 1}'
    assert outlook.rival_of('net', 1.0) == 'forged 999'
    assert len(outlook._executors) == 1
    outlook.tell(told('net', process='real'), 1.0 + SILENT_S)
    assert outlook.process_of('net') == 'real'


def test_executors_that_start_again_and_again_get_their_instance(outlook):
    for number in range(3 * MOST_FORMER):
        outlook.tell(told('net', process=f'start {number}'), FLOOD_S / MOST_FORMER * number)
        assert outlook.process_of('net') == f'start {number}'
