"""Whole jobs on a device with gates: who is open, who is held, and when that is decided anew."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.scheduling.gated import FULL, LEAST_WAIT_S, Gated
from s3dnn_ros.scheduling.lead import MARGIN_S

SEGMENT_S = 0.01


class Device:
    """Keeps what is submitted and held, and checks that a scheduler keeps the rules."""

    def __init__(self, scheduler=None):
        self.scheduler = scheduler or Gated()
        self.now_s = 0.0
        self.queued, self.open, self.held = [], [], []

    def arrive(self, *works):
        for work in works:
            self.scheduler.enqueue(work, self.now_s)
            self.queued.append(work)
        self.decide()

    def decide(self):
        self.scheduler.carried_out(0.0)
        chosen = self.scheduler.dequeue(self.now_s)
        self.late = [work.instance for work in chosen.late]
        assert not chosen.levels and not chosen.reserved
        for work in chosen.submit:
            remove(self.queued, work)
            self.open.append(work)
        assert all(any(work is late for work in self.queued) for late in chosen.late)
        for work in chosen.hold:
            remove(self.open, work)
            self.held.append(work)
        for work in chosen.resume:
            remove(self.held, work)
            self.open.append(work)

    def pass_s(self, seconds, **reached):
        self.now_s += seconds
        for work in (*self.open, *self.held):
            if work.instance in reached:
                self.scheduler.reached(work, reached[work.instance], self.now_s)
        self.decide()

    def end(self, work):
        remove(self.open if work in self.open else self.held, work)
        self.scheduler.complete(work, self.now_s)
        self.decide()

    @property
    def state(self):
        return tuple(sorted(work.instance for work in works)
                     for works in (self.open, self.held, self.queued))


def remove(works, work):
    """Take this very work out; ValueError if it is not there."""
    del works[[id(kept) for kept in works].index(id(work))]


@pytest.fixture
def job(kit):
    """Return a builder of jobs that fill the device, in segments of 10 ms."""
    def build(instance, slack_s, segments=4, tb_ratio=1.0, now_s=0.0, **options):
        return kit.work(instance, tb_ratio, slack_s, SEGMENT_S, now_s=now_s,
                        successors=[tb_ratio] * (segments - 1), **options)
    return build


def test_the_most_urgent_is_open_and_nothing_is_submitted_before_its_turn(job):
    device = Device()
    device.arrive(job('third', 0.003), job('first', 0.001), job('second', 0.002))
    assert device.state == (['first'], [], ['second', 'third'])


@pytest.mark.parametrize('utilization, joins', [(FULL - 0.05, True), (FULL + 0.05, False)])
def test_while_much_is_left_of_the_device_another_joins(kit, utilization, joins):
    device = Device()
    device.arrive(*(dataclasses.replace(kit.work(name, 1.0, 0.1, SEGMENT_S),
                                        utilization=utilization) for name in 'abc'))
    assert device.state == (['a', 'b'], [], ['c']) if joins else (['a'], [], ['b', 'c'])


def test_where_not_all_can_be_in_time_the_longest_gives_way(job):
    device = Device()
    device.arrive(job('long', 0.01), job('short', 0.035, segments=1))
    assert device.state == (['short'], [], ['long'])
    device.arrive(job('at once', 0.0, segments=1))
    assert device.state == (['at once'], ['short'], ['long'])


def test_nobody_gives_way_to_a_lower_priority(job):
    device = Device()
    device.arrive(job('long', 0.01, priority=1), job('short', 0.035, segments=1))
    assert device.state == (['long'], [], ['short'])


def test_a_more_urgent_job_holds_what_runs_until_it_has_ended(job):
    device = Device()
    slow, urgent = job('slow', 0.008), job('urgent', 0.0, segments=1)
    device.arrive(slow)
    device.arrive(urgent)
    assert device.state == (['urgent'], ['slow'], [])
    device.end(urgent)
    assert device.state == (['slow'], [], [])


def test_what_fits_runs_side_by_side(job):
    device = Device()
    device.arrive(*(job(name, 0.001, tb_ratio=0.4) for name in 'abc'))
    assert device.state == (['a', 'b'], [], ['c'])


@given(st.lists(st.tuples(st.floats(-1.0, 1.0), st.integers(-1, 1)), max_size=10),
       st.sampled_from([0.0, 0.001]))
def test_what_fits_runs_at_once_whatever_its_deadline(kit, jobs, lead_s):
    device = Device(Gated(lead_s=lead_s))
    for number, (slack_s, priority) in enumerate(jobs):
        device.arrive(kit.work(f'{number}', 0.1, slack_s, SEGMENT_S, priority=priority))
        assert (device.held, device.queued) == ([], [])
        assert device.scheduler.next_wake_s(device.now_s) is None


def test_the_next_opens_when_the_first_is_nearly_over(job):
    device = Device(Gated(lead_s=0.002))
    device.arrive(job('first', 0.1), job('next', 0.2), job('third', 0.3))
    assert device.scheduler.next_wake_s(0.0) == pytest.approx(0.038)
    device.pass_s(0.038, first=3)
    # its last segment began at some time up to now
    assert device.state == (['first'], [], ['next', 'third'])
    assert device.scheduler.next_wake_s(0.038) == pytest.approx(0.046)
    device.pass_s(0.008)
    assert device.state == (['first', 'next'], [], ['third'])
    device.end(device.open[0])
    assert device.state == (['next'], [], ['third'])


def test_a_job_that_is_behind_is_not_nearly_over(job):
    device = Device(Gated(lead_s=0.002))
    device.arrive(job('first', 0.1), job('next', 0.2))
    device.pass_s(0.04, first=2)
    device.pass_s(0.02)
    assert device.state == (['first'], [], ['next'])
    # its third segment may end at once, and then it has 10 ms left
    assert device.scheduler.next_wake_s(0.06) == pytest.approx(0.068)


def test_behind_what_is_shorter_than_the_lead_the_next_opens_at_once(job):
    device = Device(Gated(lead_s=0.012))
    device.arrive(job('first', 0.1, segments=1), job('next', 0.2, segments=1), job('third', 0.3))
    assert device.state == (['first', 'next'], [], ['third'])
    device.end(device.open[0])
    assert device.state == (['next', 'third'], [], [])


def lead_of(device, job, takes_s, runs=200):
    """Return the lead after runs on a host that takes so long to open a job, once it is told."""
    device.arrive(job('0', 1e3, segments=1))
    began_s = device.now_s
    for number in range(1, runs):
        device.arrive(job(str(number), 1e3 + number, segments=1))
        wake_s = device.scheduler.next_wake_s(device.now_s)
        lead_s = began_s + SEGMENT_S - wake_s
        device.pass_s(wake_s - device.now_s)
        assert len(device.open) == 2
        device.scheduler.carried_out(takes_s)
        first, began_s = device.open[0], device.now_s
        device.now_s = wake_s + lead_s
        device.end(first)
    return lead_s


@pytest.mark.parametrize('takes_s, lead_s', [(0.0, 150e-6), (300e-6, 300e-6 + MARGIN_S)])
def test_on_a_slow_host_the_next_opens_sooner(job, takes_s, lead_s):
    assert lead_of(Device(Gated(lead_s=150e-6)), job, takes_s) == pytest.approx(lead_s, rel=0.01)


def test_where_the_device_stood_still_the_next_opens_sooner(job):
    device = Device(Gated(lead_s=150e-6))
    for last in range(2):
        device.arrive(job('first', 0.1, segments=1), job('next', 0.2, segments=1))
        wake_s = device.scheduler.next_wake_s(device.now_s)
        assert (wake_s < device.now_s + SEGMENT_S - 155e-6) == bool(last)
        device.now_s += SEGMENT_S
        for _ in range(2):
            device.end(device.open[0])


def test_nobody_has_to_make_way_for_what_is_nearly_over(job):
    device = Device(Gated(lead_s=0.002))
    device.arrive(job('first', 0.1, segments=1))
    device.pass_s(0.009)
    assert device.scheduler.next_wake_s(0.009) is None      # nobody waits
    device.arrive(job('urgent', 0.001, segments=1, now_s=0.009), job('later', 0.2))
    assert device.state == (['urgent'], ['first'], ['later'])


def test_what_cannot_be_in_time_any_more_makes_way(job):
    device = Device()
    first, other = job('first', 0.001, segments=1), job('other', 0.02)
    device.arrive(first)
    device.arrive(other)
    assert device.state == (['first'], [], ['other'])
    assert device.scheduler.next_wake_s(0.0) == pytest.approx(first.deadline_s)
    device.pass_s(0.0115)           # longer than it was to take
    assert device.state == (['other'], ['first'], [])
    device.end(other)
    assert device.state == (['first'], [], [])


def test_who_is_queued_and_cannot_be_in_time_is_told_until_it_is_gone(job):
    device = Device()
    late = job('late', 0.001, segments=1)
    device.arrive(job('first', 0.0, segments=1), late)
    assert device.late == []
    for _ in range(2):
        device.pass_s(0.002)
        assert device.late == ['late']
    assert device.scheduler.withdraw(late)
    remove(device.queued, late)
    device.decide()
    assert device.late == []


def test_a_job_in_its_last_segment_is_not_given_up_for_that(job):
    device = Device()
    device.arrive(job('first', 0.001, segments=2), job('other', 0.02))
    device.pass_s(0.01, first=1)
    device.pass_s(0.005)
    assert 'first' in device.state[0]


def test_nothing_of_lower_priority_runs_beside_what_higher_one_holds(job):
    device = Device()
    device.arrive(job('first', 0.001, priority=1), job('second', 0.002, priority=1),
                  job('low', 0.0, tb_ratio=0.0))
    assert device.state == (['first'], [], ['low', 'second'])


def test_only_what_is_queued_can_be_withdrawn(job):
    device = Device()
    first, second, third = (job(name, 0.001) for name in ('a', 'b', 'c'))
    device.arrive(first, second, third)
    assert [device.scheduler.withdraw(work) for work in (first, second, third, third)] == [
        False, True, True, False]


@pytest.mark.parametrize('options', [{'capacity': 0.0}, {'share': 'all'}, {'lead_s': -0.1},
                                     {'lead_s': True}])
def test_options_out_of_their_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Gated(**options)


def test_without_holds_what_has_started_goes_on_and_others_have_their_turns(job):
    device = Device()
    first, other = job('first', 0.0), job('other', 0.02)
    device.arrive(other)
    third = job('third', 0.1)
    device.arrive(first, third, job('fourth', 0.2))
    assert device.state == (['first'], ['other'], ['fourth', 'third'])
    device.scheduler.allow_holding(False)
    device.decide()
    assert device.state == (['first', 'other'], [], ['fourth', 'third'])
    assert device.scheduler.next_wake_s(device.now_s) is None
    device.end(first)
    assert device.state == (['other'], [], ['fourth', 'third'])
    device.end(other)
    assert device.state == (['third'], [], ['fourth'])
    device.end(third)
    assert device.state == (['fourth'], [], [])


def test_jobs_whose_time_nobody_knows_run(kit):
    device = Device()
    device.arrive(*(kit.work(name, time_s=0.0, successors=(1.0,)) for name in 'ab'))
    assert device.open


@dataclasses.dataclass
class Event:
    kind: str
    which: int
    seconds: float
    slack_s: float
    share: float


EVENTS = st.lists(st.builds(
    Event, st.sampled_from(['arrive', 'arrive', 'end', 'progress', 'wait', 'allow', 'forbid']),
    st.integers(0, 9), st.floats(0.0, 0.02), st.floats(-0.02, 0.1),
    st.sampled_from([0.2, 0.6, 1.0])), max_size=40)


@settings(max_examples=200)
@given(EVENTS, st.sampled_from([0.0, 0.001]))
def test_whatever_happens_somebody_runs_and_the_most_urgent_is_among_them(kit, events, lead_s):
    device = Device(Gated(lead_s=lead_s))
    segments_of, allowed = {}, True
    for number, event in enumerate(events):
        under_way = [*device.open, *device.held]
        if event.kind == 'arrive':
            device.arrive(kit.work(f'job {number}', event.share, event.slack_s, SEGMENT_S,
                                   now_s=device.now_s, successors=[event.share] * 2))
        elif event.kind == 'end' and device.open:
            device.end(device.open[event.which % len(device.open)])
        elif event.kind == 'progress' and under_way:
            work = under_way[event.which % len(under_way)]
            segments_of[work.instance] = min(3, segments_of.get(work.instance, 0) + 1)
            device.pass_s(event.seconds, **{work.instance: segments_of[work.instance]})
        elif event.kind in ('allow', 'forbid'):
            allowed = event.kind == 'allow'
            device.scheduler.allow_holding(allowed)
            device.decide()
        else:
            device.pass_s(event.seconds)
        known = [*device.open, *device.held, *device.queued]
        assert bool(device.open) == bool(known)
        assert allowed or not device.held
        ends_s = device.now_s
        for work in sorted(known, key=lambda work: work.deadline_s):
            ends_s += work.remaining_s
            if ends_s > work.deadline_s - 1e-9:
                break
        else:
            # all can be in time, one after the other
            if known and allowed:
                first_s = min(work.deadline_s for work in known)
                assert any(work.deadline_s == first_s for work in device.open)
        wake_s = device.scheduler.next_wake_s(device.now_s)
        assert wake_s is None or wake_s >= device.now_s + LEAST_WAIT_S - 1e-12
    for _ in range(len(events)):
        if device.open:
            device.end(device.open[0])
    assert device.state == ([], [], [])
    assert device.scheduler.next_wake_s(device.now_s) is None
