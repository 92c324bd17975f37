"""What an executor tells: when the next batch would start, and what is known of its runs."""

import types

import pytest

from s3dnn_ros.runtime.admission import (
    IN_TIME_FRAMES,
    MOST_CAMERAS,
    MOST_FRONT_ENDS,
    MOST_HANDOVER_S,
    Admission,
    Load,
)

NOW_S = 100.0
RUN_S = 0.04


class ModelQueue:
    """A queue as far as it is asked here: every run takes its time for each image."""

    def __init__(self, lanes=1, largest=4, run_s=RUN_S):
        self.network = types.SimpleNamespace(lanes=lanes, largest=largest)
        self._run_s = run_s

    def known_run_s(self, frames):
        return frames * self._run_s, True

    def margin_s(self, frames):
        return 0.25 * frames * self._run_s


def instance(name='net', queue=None, priority=0):
    return types.SimpleNamespace(name=name, queue=queue or ModelQueue(),
                                 settings=types.SimpleNamespace(priority=priority, model='tiny'),
                                 spec=types.SimpleNamespace(fingerprint='f00d'))


def request(of, deadline_s=NOW_S + 0.1, *, sent_s=NOW_S, arrived_s=NOW_S, epoch=1, sequence=1):
    batch = types.SimpleNamespace(sent_s=sent_s, epoch=epoch, sequence=sequence)
    return types.SimpleNamespace(instance=of, batch=batch, arrived_s=arrived_s,
                                 deadline_s=deadline_s)


class Workers:
    """Threads as far as they are asked here: what waits takes its time."""

    def __init__(self, unfinished, each_s):
        self.unfinished, self.each_s = unfinished, each_s

    def wait_s(self, ahead=0):
        return (self.unfinished + ahead) * self.each_s


def make(*instances, serial=True, whole=False, unfinished=0, decoding_s=0.0):
    told = []
    admission = Admission({item.name: item for item in instances}, serial, whole, 'me',
                          Workers(unfinished, decoding_s), told.append)

    def tell(*loads):
        admission.tell(loads, NOW_S)
        # front ends take it
        assert not told[-1].objection()
        return {item.instance: item for item in told[-1].instances}
    return admission, tell, told


def load(queue, *, priority=0, deadline_s=NOW_S + 0.05, left_s=0.03, segment_s=0.01, started=True):
    return Load(queue, priority, deadline_s, left_s, segment_s, started)


def test_a_free_device_takes_a_batch_at_once():
    _, tell, told = make(instance('net'), instance('other'))
    capacities = tell()
    assert [capacities[name].wait_s for name in ('net', 'other')] == [0.0, 0.0]
    assert capacities['net'].run_s == (0.04, 0.08, 0.12, 0.16)
    assert capacities['net'].margin_s == 0.01 and capacities['net'].largest == 4
    assert (capacities['net'].model, capacities['net'].description) == ('tiny', 'f00d')
    assert (told[0].process, told[0].serial, told[0].drops_late) == ('me', True, True)


def test_a_serial_device_is_taken_by_all_networks():
    net, other = instance('net'), instance('other')
    admission, tell, _ = make(net, other)
    for item in (net, other):
        admission.arrived(request(item, NOW_S + 1.0))
    capacities = tell(load(net.queue, left_s=0.03), load(other.queue, left_s=0.04, started=False))
    assert capacities['net'].wait_s == capacities['other'].wait_s == pytest.approx(0.07)


@pytest.mark.parametrize('serial', (False, True))
def test_no_batch_is_taken_whose_results_would_wait_for_a_thread(serial):
    """5 results wait, and that of what runs will: 6 times 20 ms, of which 40 run on the device."""
    net = instance('net', ModelQueue(lanes=4))
    _, tell, _ = make(net, serial=serial, unfinished=5, decoding_s=0.02)
    capacity = tell(load(net.queue))['net']
    assert (capacity.wait_s, capacity.results_s) == (pytest.approx(0.12 - RUN_S), 0.02)


def test_a_device_that_takes_longer_than_the_threads_decides_alone():
    net = instance('net')
    _, tell, _ = make(net, serial=False, unfinished=1, decoding_s=0.02)
    assert tell(load(net.queue, left_s=0.03))['net'].wait_s == pytest.approx(0.03)


def test_what_is_more_urgent_waits_for_the_segment_that_runs_alone():
    net, urgent = instance('net'), instance('urgent')
    admission, tell, _ = make(net, urgent)
    admission.arrived(request(net, NOW_S + 1.0))
    admission.arrived(request(urgent, NOW_S + 0.02))        # 20 ms from its arrival
    running = load(net.queue, deadline_s=NOW_S + 0.9, left_s=0.2, segment_s=0.01)
    waiting = load(net.queue, deadline_s=NOW_S + 0.9, left_s=0.2, segment_s=0.0, started=False)
    capacities = tell(running, waiting)
    assert capacities['urgent'].wait_s == pytest.approx(0.01)
    assert capacities['net'].wait_s == pytest.approx(0.4)


def test_priority_goes_before_the_deadline():
    low, high = instance('low'), instance('high', priority=1)
    admission, tell, _ = make(low, high)
    for item in (low, high):
        admission.arrived(request(item, NOW_S + 10.0))
    capacities = tell(load(low.queue, deadline_s=NOW_S + 0.01, left_s=0.2, segment_s=0.01))
    assert capacities['high'].wait_s == pytest.approx(0.01)
    assert capacities['high'].priority == 1


def test_whole_networks_let_nothing_in_between():
    net, urgent = instance('net'), instance('urgent')
    admission, tell, _ = make(net, urgent, whole=True)
    admission.arrived(request(urgent, NOW_S + 0.02))
    assert tell(load(net.queue, deadline_s=NOW_S + 0.9, left_s=0.2))['urgent'].wait_s == 0.2


def test_on_a_parallel_device_an_instance_waits_for_its_own_lanes_alone():
    net, other = instance('net', ModelQueue(lanes=2)), instance('other')
    _, tell, _ = make(net, other, serial=False)
    one = load(net.queue, left_s=0.03)
    assert tell(one)['net'].wait_s == tell(one)['other'].wait_s == 0.0
    assert tell(one, load(net.queue, left_s=0.02))['net'].wait_s == pytest.approx(0.02)
    waiting = load(net.queue, left_s=0.04, started=False)
    assert tell(one, load(net.queue, left_s=0.02), waiting)['net'].wait_s == pytest.approx(0.06)


def test_it_tells_which_batches_are_here_and_how_they_came():
    net = instance('net')
    admission, tell, _ = make(net)
    admission.arrived(request(net, sent_s=NOW_S - 0.002, epoch=5, sequence=8))
    admission.arrived(request(net, sent_s=NOW_S - 0.002, epoch=5, sequence=9))
    admission.arrived(request(net, sent_s=NOW_S - 0.002, epoch=6, sequence=1))
    admission.published('net', 0.003)
    admission.settled('net', 'front', True)
    admission.settled('net', 'rear', False)
    capacity = tell()['net']
    assert capacity.in_time == {'front': 1.0, 'rear': 1.0 - 1.0 / IN_TIME_FRAMES}
    assert capacity.taken == {5: 9, 6: 1}
    assert capacity.handover_s == pytest.approx(0.002)
    assert capacity.finish_s == 0.003


def test_what_front_ends_know_already_is_told_only_where_it_must_be():
    net = instance('net')
    admission, _, told = make(net)
    admission.arrived(request(net))
    running = load(net.queue, left_s=RUN_S)
    assert admission.tell([running], NOW_S, False)
    assert not admission.tell([], NOW_S + RUN_S, False)         # it ends as foretold
    assert len(told) == 1
    assert admission.tell([], NOW_S + RUN_S, True)
    assert admission.tell([running], NOW_S + RUN_S, False)
    assert admission.tell([], NOW_S + 1.5 * RUN_S, False)       # it ends sooner
    admission.arrived(request(net, sequence=2))
    assert admission.tell([], NOW_S + 1.5 * RUN_S, False)
    assert len(told) == 5


def test_front_ends_that_went_are_forgotten():
    net = instance('net')
    admission, tell, _ = make(net)
    for epoch in range(3 * MOST_FRONT_ENDS):
        admission.arrived(request(net, epoch=epoch))
    assert sorted(tell()['net'].taken) == list(range(2 * MOST_FRONT_ENDS, 3 * MOST_FRONT_ENDS))


def test_cameras_that_went_are_forgotten():
    admission, tell, _ = make(instance('net'))
    for camera in range(3 * MOST_CAMERAS):
        admission.settled('net', f'camera_{camera}', True)
    assert list(tell()['net'].in_time) == [
        f'camera_{camera}' for camera in range(2 * MOST_CAMERAS, 3 * MOST_CAMERAS)]


def test_a_clock_that_differs_makes_no_handover_negative():
    net = instance('net')
    admission, tell, _ = make(net)
    admission.arrived(request(net, sent_s=NOW_S + 5.0))
    assert tell()['net'].handover_s == 0.0


def test_before_the_first_run_no_times_are_told():
    _, tell, _ = make(instance('net', ModelQueue(run_s=0.0)))
    assert tell()['net'].run_s == ()


@pytest.mark.parametrize('sent_s', [0.0, NOW_S - MOST_HANDOVER_S - 0.001])
def test_who_does_not_say_when_it_sent_tells_nothing_of_the_handover(sent_s):
    net = instance('net')
    admission, tell, _ = make(net)
    admission.arrived(request(net, sent_s=sent_s))
    assert tell()['net'].handover_s == 0.0
    admission.arrived(request(net, sent_s=NOW_S - 0.003, sequence=2))
    assert tell()['net'].handover_s == pytest.approx(0.003)
