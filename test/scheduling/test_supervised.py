"""Supervised streaming: who goes, who waits, and that nobody waits for ever."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling import make_scheduler
from s3dnn_ros.scheduling.supervised import Supervised

ROUNDING = 1e-9
WAIT_S = 50e-6
DELAYS_S = st.sampled_from([0.0, 3e-5, 1e-4])    # of successors
AMPLE_S = (0.02, 0.03, 0.05, math.inf)           # slack for a look-ahead


@pytest.fixture
def machine(kit):
    return kit.Machine(Supervised())


def tb_ratio(works):
    return sum(work.tb_ratio for work in works)


def in_order(works, now_s):
    """Sort by priority and slack; those in the list's order that are equal."""
    return sorted(works, key=lambda work: (-work.priority, work.slack_s(now_s)))


def expected_group(turn):
    """Return whom Algorithm 2 submits beside what runs; look-ahead and waits apart."""
    group, left = [], []
    # exact, where slack at now_s is rounded
    queue = in_order(turn.queued, 0.0)
    for work in queue:
        fits = tb_ratio([*turn.running, *group, work]) <= 1.0 + ROUNDING
        first = work is queue[0]
        harmless = (queue[0] in group
                    or queue[0].slack_s(0.0) - turn.now_s >= work.time_s)
        outranked = any(other.priority > work.priority for other in left)
        if (first and not turn.running) or (fits and not outranked and (first or harmless)):
            group.append(work)
        else:
            left.append(work)
    return group


# properties

@given(data=st.data())
def test_the_group_is_that_of_the_algorithm(data, kit):
    scheduler = Supervised(look_ahead=False, successor_wait_s=0.0, max_passes=10**9)
    story = data.draw(kit.stories(priorities=(0, 0, 0, 1)))
    for turn in kit.tell(story, scheduler).rounds:
        assert kit.ids(turn.dispatch.submit) == kit.ids(expected_group(turn))


@given(data=st.data(), delay_s=DELAYS_S, capacity=st.sampled_from([0.5, 1.0, 2.0]))
def test_the_device_is_never_overfull_unless_by_one_alone(data, delay_s, capacity, kit):
    machine = kit.tell(data.draw(kit.stories()), Supervised(capacity), delay_s)
    for turn in machine.rounds:
        running = [*turn.running, *turn.dispatch.submit]
        assert len(running) <= 1 or tb_ratio(running) <= capacity + 2 * ROUNDING


@given(data=st.data(), delay_s=DELAYS_S)
def test_an_idle_device_gets_the_least_slack_unless_that_waits_for_a_reason(data, delay_s, kit):
    machine = kit.tell(data.draw(kit.stories()), Supervised(max_passes=10**9), delay_s)
    for turn in machine.rounds:
        if turn.running or turn.reserved or not turn.queued:
            continue
        first = in_order(turn.queued, 0.0)[0]
        awaited = any(turn.now_s < since_s + WAIT_S
                      and successor.slack_s(0.0) <= first.slack_s(0.0)
                      for since_s, successor in turn.coming)
        assert awaited or first in turn.dispatch.submit or first in turn.dispatch.reserved


@given(data=st.data(), delay_s=DELAYS_S)
def test_nothing_goes_while_higher_priority_stays_queued(data, delay_s, kit):
    machine = kit.tell(data.draw(kit.stories(priorities=(0, 1, 2))), Supervised(), delay_s)
    for turn in machine.rounds:
        lowest = min((work.priority for work in turn.dispatch.submit), default=math.inf)
        assert all(work.priority <= lowest for work in turn.left)


@given(data=st.data(), delay_s=DELAYS_S, max_passes=st.integers(1, 3))
def test_nobody_is_left_behind_more_often_than_allowed(data, delay_s, max_passes, kit):
    machine = kit.tell(data.draw(kit.stories(slacks_s=(0.0, 0.01, 1.0, math.inf))),
                       Supervised(max_passes=max_passes), delay_s)
    passes, older = {}, {}
    for turn in machine.rounds:
        for index, work in enumerate(turn.queued):
            older.setdefault(id(work), index)
        if turn.running and turn.dispatch.submit:
            for work in turn.left:
                if tb_ratio([*turn.running, work]) > 1.0 + ROUNDING:
                    passes[id(work)] = passes.get(id(work), 0) + 1
    # those that have waited for longer may have used up their passes too, and go before
    assert all(count <= max_passes + older[key] for key, count in passes.items())


@given(data=st.data(), delay_s=DELAYS_S)
def test_a_reservation_is_worth_while_and_in_time(data, delay_s, kit):
    machine = kit.tell(data.draw(kit.stories(slacks_s=AMPLE_S)), Supervised(), delay_s)
    for turn in machine.rounds:
        group = turn.dispatch.reserved
        if group and turn.dispatch.submit:
            leader, = turn.dispatch.submit
            assert not turn.running
            assert tb_ratio([*group, leader]) > 1.0
            assert tb_ratio([*group, leader.successor]) <= 1.0 + 2 * ROUNDING
            slack_s = min(work.slack_s(turn.now_s) for work in group)
            assert slack_s >= leader.time_s - ROUNDING


@given(data=st.data(), delay_s=DELAYS_S)
def test_a_reservation_is_honoured_or_dropped(data, delay_s, kit):
    machine = kit.tell(data.draw(kit.stories(slacks_s=AMPLE_S)), Supervised(), delay_s)
    for before, turn in zip(machine.rounds, machine.rounds[1:]):
        if not turn.reserved:
            continue
        submitted = kit.ids(turn.dispatch.submit)
        honoured = submitted[:len(turn.reserved)] == kit.ids(turn.reserved)
        kept = kit.ids(turn.dispatch.reserved) == kit.ids(turn.reserved) and not submitted
        known = kit.ids(before.queued)
        last = in_order(turn.reserved, 0.0)[-1]
        overtaken = any(id(work) not in known and work.slack_s(0.0) < last.slack_s(0.0)
                        for work in turn.queued)
        expired = any(work.slack_s(turn.now_s) <= ROUNDING for work in turn.reserved)
        withdrawn = not set(kit.ids(turn.reserved)) <= set(kit.ids(turn.queued))
        assert honoured or kept or expired or overtaken or withdrawn


@given(data=st.data(), delay_s=DELAYS_S)
def test_the_leader_s_successor_goes_with_the_reserved_group(data, delay_s, kit):
    machine = kit.tell(data.draw(kit.stories(slacks_s=AMPLE_S)), Supervised(), delay_s)
    leader = None
    for turn in machine.rounds:
        if turn.dispatch.reserved and turn.dispatch.submit:
            leader = turn.dispatch.submit[0]
        honoured = turn.reserved and turn.reserved[0] in turn.dispatch.submit
        if honoured and not turn.running and leader.successor in turn.queued:
            assert leader.successor in turn.dispatch.submit


@pytest.mark.parametrize('ratio', [0.3, 0.6, 1.2])
@given(slacks_s=st.lists(st.integers(0, 99), max_size=20))
def test_what_waits_for_its_turn_only_keeps_its_place(ratio, slacks_s, kit):
    machine = kit.Machine(Supervised(max_passes=1))
    machine.arrive(*(kit.work(tb_ratio=ratio, slack_s=slack_s) for slack_s in slacks_s))
    queued = list(machine.queued)
    assert kit.ids(machine.drain()) == kit.ids(in_order(queued, 0.0))


@given(data=st.data())
def test_an_idle_scheduler_remembers_nothing(data, kit):
    machine = kit.tell(data.draw(kit.stories()), Supervised())
    memory = [value for value in vars(machine.scheduler).values()
              if hasattr(value, '__len__') and not isinstance(value, str)]
    assert memory
    assert not any(memory)


def utilization(works):
    return sum(work.utilization for work in works)


@given(data=st.data(), capacity=st.sampled_from([0.5, 1.0, 2.0]))
def test_the_device_is_never_overfull_by_utilization_if_that_is_the_share(data, capacity, kit):
    machine = kit.Machine(Supervised(capacity, 'utilization'))
    machine.arrive(*(
        dataclasses.replace(kit.work(tb_ratio=ratio, slack_s=slack_s), utilization=used)
        for ratio, used, slack_s in data.draw(st.lists(st.tuples(
            st.sampled_from([0.1, 1.0, 3.0]), st.floats(0.05, 1.0), st.floats(0.0, 1.0))))))
    machine.drain()
    for turn in machine.rounds:
        running = [*turn.running, *turn.dispatch.submit]
        assert len(running) <= 1 or utilization(running) <= capacity + 2 * ROUNDING


# examples

def test_large_kernels_run_alone_however_much_time_there_is(kit):
    machine = kit.Machine(Supervised())
    machine.arrive(*(kit.work(tb_ratio=1.0, slack_s=100.0) for _ in range(3)))
    assert len(machine.dequeue()) == 1


@pytest.mark.parametrize('share, together', [('tb_ratio', 1), ('utilization', 4)])
def test_the_share_that_was_asked_for_is_the_one_that_counts(share, together, kit):
    machine = kit.Machine(Supervised(share=share, look_ahead=False))
    machine.arrive(*(dataclasses.replace(kit.work(tb_ratio=1.0, slack_s=0.001, time_s=0.01),
                                         utilization=0.25) for _ in range(5)))
    assert len(machine.dequeue()) == together


def test_small_kernels_are_grouped_by_slack(machine, kit):
    large, small, urgent, tiny = (
        kit.work(tb_ratio=ratio, slack_s=slack_s)
        for ratio, slack_s in [(0.8, 0.2), (0.5, 0.3), (0.4, 0.1), (0.1, 0.4)])
    machine.arrive(large, small, urgent, tiny)
    assert machine.dequeue() == [urgent, small, tiny]


@pytest.mark.parametrize('ratio', [1.0, 3.0])
def test_a_large_kernel_runs_alone(ratio, machine, kit):
    large, small = kit.work(tb_ratio=ratio, slack_s=0.1), kit.work(tb_ratio=0.1, slack_s=0.2)
    machine.arrive(small, large)
    assert machine.dequeue() == [large]
    assert machine.dequeue() == []
    machine.finish()
    assert machine.dequeue() == [small]


def test_what_runs_counts_towards_the_group(machine, kit):
    machine.arrive(kit.work(tb_ratio=0.7))
    machine.dequeue()
    fits, too_large = kit.work(tb_ratio=0.3, slack_s=2.0), kit.work(tb_ratio=0.4, slack_s=3.0)
    machine.arrive(too_large, fits)
    assert machine.dequeue() == [fits]


def test_ten_tenths_are_one(machine, kit):
    machine.arrive(*(kit.work(tb_ratio=0.1) for _ in range(10)))
    assert len(machine.dequeue()) == 10


@pytest.mark.parametrize('slack_s, slips_past', [
    (0.5, True), (0.25, True), (0.2, False), (-1.0, False)])
def test_small_work_slips_past_only_within_the_slack_of_the_first(
        slack_s, slips_past, machine, kit):
    machine.arrive(kit.work(tb_ratio=0.6))
    machine.dequeue()
    first = kit.work(tb_ratio=0.5, slack_s=slack_s, time_s=0.125)
    small = kit.work(tb_ratio=0.1, slack_s=1.0, time_s=0.25)
    machine.arrive(first, small)
    assert machine.dequeue() == ([small] if slips_past else [])


@pytest.mark.parametrize('slack_s', [1e6, math.inf])
@pytest.mark.parametrize('max_passes', [1, 5])
def test_a_steady_stream_of_small_work_holds_a_large_one_up_for_so_long(slack_s, max_passes, kit):
    machine = kit.Machine(Supervised(max_passes=max_passes))
    large = kit.work(tb_ratio=1.0, slack_s=slack_s)
    machine.arrive(kit.work(tb_ratio=0.3), large)
    machine.queued.remove(large)
    machine.scheduler.withdraw(large)
    machine.dequeue()
    machine.arrive(large)
    for _ in range(max_passes + 2):
        # two overlap at all times, so the device never is idle by itself
        machine.arrive(kit.work(tb_ratio=0.3, slack_s=0.1, now_s=machine.now_s))
        machine.dequeue()
        machine.finish()
    machine.dequeue()
    assert large in machine.started
    assert machine.started.index(large) == max_passes + 1


# options

@pytest.mark.parametrize('option, value', [
    ('capacity', 0.0), ('capacity', math.nan), ('capacity', math.inf), ('capacity', '1'),
    ('share', 'memory'), ('share', 'priority'), ('share', None), ('share', ['tb_ratio']),
    ('order', 'fifo'), ('order', None),
    ('look_ahead', 1), ('successor_wait_s', -1e-6), ('successor_wait_s', None),
    ('max_passes', 0), ('max_passes', 1.5), ('max_passes', True)])
def test_an_option_out_of_range_is_refused_in_a_sentence(option, value):
    with pytest.raises(ValueError) as caught:
        make_scheduler('supervised', **{option: value})
    assert f"'supervised': {option} is {value!r}; expected " in str(caught.value)


def test_options_arrive(kit):
    machine = kit.Machine(make_scheduler('supervised', capacity=2.0))
    machine.arrive(kit.work(tb_ratio=1.0), kit.work(tb_ratio=1.0))
    assert len(machine.dequeue()) == 2


@given(deadlines=st.lists(st.floats(0.1, 10.0), min_size=2, max_size=6),
       remaining=st.lists(st.floats(0.001, 5.0), min_size=6, max_size=6))
def test_by_deadline_the_earliest_goes_first_whatever_its_slack(kit, deadlines, remaining):
    scheduler = make_scheduler('supervised', order='deadline')
    works = [dataclasses.replace(kit.work(f'net{index}'), deadline_s=deadline_s,
                                 remaining_s=remaining_s)
             for index, (deadline_s, remaining_s) in enumerate(zip(deadlines, remaining))]
    for work in works:
        scheduler.enqueue(work, 0.0)
    for expected in sorted(works, key=lambda work: work.deadline_s):
        assert scheduler.dequeue(0.0).submit == (expected,)
        scheduler.complete(expected, 0.0)
