"""Fusion: the newest of each camera, urgent frames first, deadlines held, and nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling.fusion import (
    HOPELESS_FRAMES,
    JITTER,
    LEAST_CHANCE,
    FusionQueue,
    WaitingFrame,
    best_batch,
)
from s3dnn_ros.scheduling.turns import Turns

CAMERAS = ('a', 'b', 'c', 'd')
# instants and durations are multiples of 1/8: sums of them are exact
MOMENTS = st.integers(0, 80).map(lambda value: value / 8)
REQUESTS = st.lists(
    st.builds(WaitingFrame, st.sampled_from(CAMERAS), MOMENTS, MOMENTS, st.uuids()), max_size=12)
# W(1), W(2), ...: never less for more frames
PROFILES = st.lists(st.integers(0, 16), min_size=5, max_size=5).map(
    lambda steps: lambda size: (1 + sum(steps[:size])) / 8)
DEADLINES = st.lists(MOMENTS, min_size=1, max_size=6)
BATCHES = st.integers(1, 5)


def filled(requests, max_batch=2, max_delay_s=0.5, time_s=None):
    queue = FusionQueue(CAMERAS, max_batch, max_delay_s, time_s)
    replaced = [old for old in map(queue.put, requests) if old]
    return queue, replaced


def request(camera, ready_s=0.0, deadline_s=100.0):
    return WaitingFrame(camera, deadline_s, ready_s, None)


def cameras_of(batch):
    return [item.camera for item in batch]


def affine(fixed_s, per_frame_s):
    return lambda size: fixed_s + size * per_frame_s


# how many

@given(DEADLINES, MOMENTS, PROFILES, BATCHES)
def test_a_batch_meets_the_earliest_deadline_that_can_be_met(deadlines_s, now_s, time_s, most):
    size = best_batch(deadlines_s, now_s, time_s, most)
    assert 1 <= size <= min(len(deadlines_s), most)
    can_be_met = [deadline_s for deadline_s in deadlines_s[:size]
                  if now_s + time_s(1) <= deadline_s]
    if size > 1 and can_be_met:
        assert now_s + time_s(size) <= min(can_be_met)


@given(DEADLINES, MOMENTS, PROFILES, BATCHES)
def test_it_is_the_largest_that_does_and_saves_time(deadlines_s, now_s, time_s, most):
    size = best_batch(deadlines_s, now_s, time_s, most)
    assert size == 1 or time_s(size) < size * time_s(1)
    for larger in range(size + 1, min(len(deadlines_s), most) + 1):
        can_be_met = [deadline_s for deadline_s in deadlines_s[:larger]
                      if now_s + time_s(1) <= deadline_s]
        assert (time_s(larger) >= larger * time_s(1)
                or (can_be_met and now_s + time_s(larger) > min(can_be_met)))


@given(DEADLINES, MOMENTS, st.integers(1, 8), st.integers(0, 8))
def test_without_a_gain_nothing_is_fused(deadlines_s, now_s, alone, extra):
    assert best_batch(deadlines_s, now_s, lambda size: size * alone / 8 + (size - 1) * extra / 8,
                      8) == 1


@given(DEADLINES, MOMENTS, BATCHES)
def test_without_a_profile_everything_is_fused(deadlines_s, now_s, most):
    assert best_batch(deadlines_s, now_s, None, most) == min(len(deadlines_s), most)


@pytest.mark.parametrize('now_s, size', [(0.0, 4), (0.5, 3), (1.0, 2), (1.5, 1), (1.75, 4)])
def test_the_later_it_is_the_smaller_the_batch_until_the_deadline_is_lost(now_s, size):
    assert best_batch([3.0, 9.0, 9.0, 9.0], now_s, affine(1.0, 0.5), 4) == size


def test_lost_requests_run_in_the_largest_batch_that_saves_time():
    assert best_batch([1.0] * 5, 7.0, affine(1.0, 0.5), 4) == 4


def test_a_lost_request_does_not_hold_back_the_others():
    assert best_batch([1.0, 9.0, 9.0], 5.0, affine(1.0, 0.5), 4) == 3


@pytest.mark.parametrize('time_s', [None, affine(1.0, 0.5)])
def test_no_requests_make_no_batch(time_s):
    assert best_batch([], 0.0, time_s, 4) == 0


# which

@given(REQUESTS, BATCHES, st.none() | PROFILES, MOMENTS)
def test_every_request_is_taken_or_replaced_once(requests, max_batch, time_s, now_s):
    queue, out = filled(requests, max_batch, time_s=time_s)
    while queue:
        out += queue.take(now_s)
    assert sorted(item.item for item in out) == sorted(item.item for item in requests)


@given(REQUESTS)
def test_the_newest_of_each_camera_waits(requests):
    queue, _ = filled(requests)
    newest = {item.camera: item for item in requests}
    assert set(queue.discard()) == set(newest.values())
    assert len(queue) == 0


@given(REQUESTS, BATCHES, st.none() | PROFILES, MOMENTS)
def test_those_that_are_lost_come_last(requests, max_batch, time_s, now_s):
    queue, _ = filled(requests, max_batch, time_s=time_s)
    batch = queue.take(now_s)
    rest = queue.discard()

    def lost(item):
        # a deadline that could not be met when the frame came says nothing
        hopeless = time_s is not None and item.ready_s + time_s(1) > item.deadline_s
        return time_s is not None and not hopeless and now_s + time_s(1) > item.deadline_s

    assert len(set(cameras_of(batch))) == len(batch)
    assert list(map(lost, batch)) == sorted(map(lost, batch))
    assert all(lost(item) >= lost(batch[-1]) for item in rest)


@given(st.lists(MOMENTS, min_size=4, max_size=4), BATCHES, PROFILES)
def test_while_all_can_be_in_time_the_earliest_deadline_is_first(deadlines_s, max_batch, time_s):
    deadlines_s = [deadline_s + 4 * time_s(1) for deadline_s in deadlines_s]
    queue, _ = filled([WaitingFrame(camera, deadline_s, 0.0, None)
                       for camera, deadline_s in zip(CAMERAS, deadlines_s)], max_batch,
                      time_s=time_s)
    taken = []
    while queue:
        taken += queue.take(0.0)
    assert [item.deadline_s for item in taken] == sorted(deadlines_s)


@given(REQUESTS, BATCHES, PROFILES, MOMENTS)
def test_no_batch_makes_a_request_late_that_could_be_in_time(requests, max_batch, time_s, now_s):
    queue, _ = filled(requests, max_batch, time_s=time_s)
    batch = queue.take(now_s)
    for item in batch:
        if now_s + time_s(1) <= item.deadline_s:
            assert now_s + time_s(len(batch)) <= item.deadline_s


def test_a_lost_request_rides_along_only_where_there_is_time():
    for deadline_s, expected in ((10.0, ['b', 'a']), (6.5, ['b'])):
        queue = FusionQueue(('a', 'b'), 2, 0.0, affine(1.0, 0.5))
        queue.put(request('a', deadline_s=1.0))
        queue.put(request('b', deadline_s=deadline_s))
        assert cameras_of(queue.take(5.0)) == expected


def test_among_equal_deadlines_the_one_that_waits_longer_is_first():
    queue = FusionQueue(('a', 'b'), 1, 0.0)
    queue.put(request('a', 0.2))
    queue.put(request('b', 0.1))
    assert cameras_of(queue.take(1.0)) == ['b']


@pytest.mark.parametrize('time_s', [None, affine(1.0, 0.5)])
def test_an_empty_queue_gives_nothing(time_s):
    queue = FusionQueue(CAMERAS, 2, 0.5, time_s)
    assert queue.take(0.0) == queue.discard() == ()
    assert queue.due_s() is None


# when

@given(REQUESTS, BATCHES, st.floats(0.0, 3.0))
def test_without_a_profile_a_batch_is_due_when_full_or_when_the_oldest_has_waited(
        requests, max_batch, delay_s):
    queue, _ = filled(requests, max_batch, delay_s)
    due_s = queue.due_s()
    waiting = queue.discard()
    if not waiting:
        assert due_s is None
        return
    oldest_s = min(item.ready_s for item in waiting)
    full = len(waiting) >= min(max_batch, len(CAMERAS))
    assert due_s == (oldest_s if full else oldest_s + delay_s)


@given(REQUESTS, BATCHES, MOMENTS, PROFILES)
def test_no_wait_is_longer_than_allowed_or_than_the_deadline_bears(
        requests, max_batch, delay_s, time_s):
    queue, _ = filled(requests, max_batch, delay_s, time_s)
    due_s = queue.due_s()
    waiting = queue.discard()
    if not waiting:
        return
    oldest_s = min(item.ready_s for item in waiting)
    assert oldest_s <= due_s <= oldest_s + delay_s
    if due_s > oldest_s:
        earliest_s = min(item.deadline_s for item in waiting)
        assert due_s <= earliest_s - time_s(len(waiting) + 1)


@given(REQUESTS, BATCHES, MOMENTS, PROFILES)
def test_a_wait_is_for_a_camera_that_is_expected_before_its_end(
        requests, max_batch, delay_s, time_s):
    queue, _ = filled(requests, max_batch, delay_s, time_s)
    due_s = queue.due_s()
    waiting = queue.discard()
    if not waiting or due_s == min(item.ready_s for item in waiting):
        return
    expected_s = []
    for camera in set(CAMERAS) - set(cameras_of(waiting)):
        ready_s = [item.ready_s for item in requests if item.camera == camera]
        if len(ready_s) > 1 and ready_s[-1] > ready_s[-2]:
            expected_s.append(2 * ready_s[-1] - ready_s[-2])
    assert len(waiting) < min(max_batch, len(CAMERAS))
    assert any(item <= due_s for item in expected_s)


def test_frames_of_all_cameras_do_not_wait_for_a_larger_batch():
    queue = FusionQueue(('a', 'b'), 8, 10.0)
    queue.put(request('a', 0.0))
    assert queue.due_s() == 10.0
    queue.put(request('b', 0.2))
    assert queue.due_s() == 0.0


def test_without_delay_a_frame_is_due_at_once():
    queue = FusionQueue(('a', 'b'), 8, 0.0)
    queue.put(request('a', 3.0))
    assert queue.due_s() == 3.0


def beating(**periods_s):
    """Return a queue that has seen two frames of each camera, the second at time 0."""
    queue = FusionQueue(('a', *periods_s), 8, 2.0, affine(1.0, 0.5))
    for camera, period_s in periods_s.items():
        for ready_s in (-period_s, 0.0):
            queue.put(request(camera, ready_s))
    queue.discard()
    return queue


def test_a_frame_waits_for_the_camera_that_comes_next():
    queue = beating(b=4.0)
    queue.put(request('a', 3.0))
    assert queue.due_s() == 4.0 + JITTER * 4.0


@pytest.mark.parametrize('ready_s', [1.0, 7.0], ids=['it comes too late', 'it stays away'])
def test_a_frame_does_not_wait_for_a_camera_that_does_not_come(ready_s):
    queue = beating(b=4.0)
    queue.put(request('a', ready_s))
    assert queue.due_s() == ready_s


def test_a_frame_is_not_held_back_by_the_slowest_camera():
    queue = beating(b=4.0, c=60.0)
    queue.put(request('a', 3.0))
    assert queue.due_s() == 4.0 + JITTER * 4.0
    queue.put(request('b', 4.0))
    assert queue.due_s() == 3.0


def test_a_camera_of_which_one_frame_came_is_not_expected():
    queue = FusionQueue(('a', 'b'), 8, 2.0, affine(1.0, 0.5))
    queue.put(request('b', 0.0))
    queue.take(0.0)
    queue.put(request('a', 1.0))
    assert queue.due_s() == 1.0


def test_a_wait_ends_while_a_larger_batch_still_meets_the_deadline():
    queue = beating(b=4.0)
    queue.put(request('a', 3.0, deadline_s=6.1))
    assert queue.due_s() == pytest.approx(6.1 - 2.0)      # W(2) is 2
    queue.put(request('a', 3.0, deadline_s=5.9))          # b would come too late
    assert queue.due_s() == 3.0


def test_no_frame_waits_where_fusing_saves_nothing():
    queue = beating(b=4.0)
    queue.time_s = affine(0.0, 0.5)
    queue.put(request('a', 3.0))
    assert queue.due_s() == 3.0


# whose turn

PERIOD_S = 0.1


def overloaded(order, run_s, deadline_s, time_s, *, max_batch=1, rates=None, weights=None,
               seconds=20.0, drop=True):
    """Return how many frames of each camera ran on one device; each instant has this order.

    `rates` says how often a camera sends in a period. As in the governor, what is lost is dropped
    or set aside.
    """
    queue = FusionQueue(order, max_batch, 0.0, time_s)
    queue.weights = weights or {}
    shots = sorted((period * PERIOD_S + shot * PERIOD_S / (rates or {}).get(camera, 1)
                    + place * 1e-3, camera)
                   for period in range(round(seconds / PERIOD_S))
                   for place, camera in enumerate(order)
                   for shot in range((rates or {}).get(camera, 1)))
    ran, free_s = dict.fromkeys(order, 0), 0.0
    for at_s, camera in [*shots, (seconds, None)]:
        while queue:
            now_s = max(free_s, queue.due_s())
            now_s = max(now_s, queue.held_until_s(now_s))
            if now_s > at_s:
                break
            if drop:
                queue.remove_lost(now_s)
            else:
                queue.set_lost_aside(now_s)
                if queue.held_until_s(now_s) > now_s:
                    continue
            batch = queue.take(now_s)
            for item in batch:
                ran[item.camera] += 1
            if batch:
                free_s = now_s + run_s * len(batch)
        if camera:
            queue.put(WaitingFrame(camera, at_s + deadline_s, at_s, None))
    return ran


@given(st.permutations(CAMERAS), st.floats(1.05, 4.0), st.floats(0.6, 8.0), st.booleans(),
       st.sampled_from([1, 2]), st.booleans())
def test_cameras_have_equal_shares_under_any_overload(
        order, overload, deadline, known, max_batch, drop):
    run_s = overload * PERIOD_S / len(CAMERAS)
    deadline_s = run_s * max_batch + deadline * PERIOD_S
    ran = overloaded(order, run_s, deadline_s, (lambda size: size * run_s) if known else None,
                     max_batch=max_batch, drop=drop)
    assert max(ran.values()) <= 1.1 * min(ran.values())


@given(st.permutations(CAMERAS), st.floats(0.02, 0.9))
def test_no_camera_is_starved_where_one_run_alone_fits_into_a_deadline(order, spare):
    # with 0.95 of a run to spare, a second run would be in time for the camera that comes 3 ms
    # after the first, and for no other: it gets what nobody else could use
    run_s = 0.06
    ran = overloaded(order, run_s, run_s * (1.0 + spare), lambda size: size * run_s)
    assert max(ran.values()) <= 1.1 * min(ran.values())


@given(st.permutations(CAMERAS), st.dictionaries(st.sampled_from(CAMERAS), st.integers(1, 4)))
def test_shares_are_in_proportion_to_weights(order, weights):
    # so much overload that nobody is limited by its own rate
    ran = overloaded(order, 0.4 * PERIOD_S, 0.5, None, weights=weights, seconds=60.0,
                     rates=dict.fromkeys(CAMERAS, 4))
    shares = [count / weights.get(camera, 1) for camera, count in ran.items()]
    assert max(shares) <= 1.1 * min(shares)


@pytest.mark.parametrize('time_s', [None, lambda size: size * 0.04])
def test_a_camera_at_ten_times_its_rate_has_no_larger_share(time_s):
    ran = overloaded(CAMERAS, 0.04, 0.5, time_s, rates={'a': 10})
    assert max(ran.values()) <= 1.1 * min(ran.values())


def test_a_weight_of_0_has_what_the_others_leave():
    ran = overloaded(CAMERAS, 0.04, 0.5, None, weights={'a': 0.0})
    assert ran['a'] <= 1
    assert max(ran[camera] for camera in 'bcd') <= 1.1 * min(ran[camera] for camera in 'bcd')
    assert overloaded(('a', 'b'), 0.04, 0.5, None, weights={'a': 0.0}) == {'a': 200, 'b': 200}


def test_a_camera_that_was_silent_does_not_catch_up():
    queue = FusionQueue(('a', 'b'), 1, 0.0)
    for step in range(100):
        queue.put(request('a', step))
        queue.take(step)
    taken = []
    for step in range(100, 120):
        queue.put(request('a', step))
        queue.put(request('b', step))
        taken += cameras_of(queue.take(step))
    assert abs(taken.count('a') - taken.count('b')) <= 1


def test_a_replacing_frame_keeps_the_place_of_its_camera():
    queue = FusionQueue(('a', 'b'), 1, 0.0)
    queue.put(request('a', 0.0))
    queue.take(0.0)
    queue.put(request('b', 1.0))
    queue.put(request('a', 2.0))
    queue.put(request('b', 3.0))
    assert cameras_of(queue.take(3.0)) == ['b']


def test_deadlines_that_are_past_on_arrival_one_after_the_other_say_nothing():
    queue = FusionQueue(('a', 'b'), 1, 0.0, affine(1.0, 0.5))
    for _ in range(HOPELESS_FRAMES):
        queue.put(request('a', 10.0, deadline_s=-9999.0))
    queue.put(request('b', 10.0, deadline_s=12.0))
    assert queue.remove_lost(10.0) == ()
    assert queue.is_hopeless(queue.first(11.0))
    assert cameras_of(queue.remove_lost(11.0)) == ['b']


def test_a_frame_that_came_too_late_runs_where_nobody_loses_by_it():
    queue = FusionQueue(('a', 'b'), 1, 0.0, affine(1.0, 0.5))
    queue.put(request('a', 10.0, deadline_s=10.1))
    assert queue.remove_lost(10.0) == ()
    queue.put(request('b', 10.0, deadline_s=12.0))
    assert cameras_of(queue.remove_lost(10.0)) == ['a']


def test_a_frame_that_might_be_late_does_not_make_the_next_one_late():
    """Runs take 1 s, few of them 1.5; a sends every 1.5 s, and has 2 s for each frame."""
    for now_s, lost in ((2.4, []), (2.9, ['a'])):
        queue = FusionQueue(('a',), 1, 0.0, affine(0.5, 0.5))
        queue.margin_s = 0.5
        for ready_s in (0.5, 2.0):
            queue.put(request('a', ready_s, deadline_s=ready_s + 2.0))
        assert cameras_of(queue.remove_lost(now_s)) == lost


def test_what_is_lost_waits_until_nothing_that_can_be_in_time_is_expected():
    """Runs take 1 s; a sends every 1.5 s, b never again."""
    queue = FusionQueue(('a', 'b'), 1, 0.0, affine(0.5, 0.5))
    for ready_s in (8.5, 10.0):
        queue.put(request('a', ready_s, deadline_s=ready_s + 2.0))
    queue.put(request('b', 10.0, deadline_s=11.6))
    assert cameras_of(queue.take(10.0)) == ['b']
    queue.put(request('b', 10.0, deadline_s=11.6))
    queue.set_lost_aside(11.0)
    assert cameras_of(queue.take(11.0)) == ['a']
    # the next of a comes at 11.5: a run of b would not be over
    assert 11.5 < queue.held_until_s(11.0) < 12.0
    queue.put(request('a', 11.5, deadline_s=13.5))
    assert cameras_of(queue.take(11.5)) == ['a']
    # it did not come, so that nothing loses by it
    assert queue.held_until_s(14.0) == 0.0
    assert cameras_of(queue.take(14.0)) == ['b']


def test_what_was_set_aside_takes_no_turn_and_a_newer_frame_is_none():
    queue = FusionQueue(('a', 'b'), 1, 0.0, affine(0.5, 0.5))
    queue.put(request('a', 10.0, deadline_s=10.5))
    queue.put(request('b', 10.0, deadline_s=12.0))
    queue.set_lost_aside(10.0)
    queue.set_lost_aside(10.0)
    newer = request('a', 10.1, deadline_s=11.5)
    assert queue.put(newer).deadline_s == 10.5
    assert queue.first(10.1) is newer and len(queue) == 2


@given(REQUESTS, st.sets(st.sampled_from(CAMERAS)), st.sets(st.sampled_from(CAMERAS)))
def test_cameras_that_leave_take_their_frames_along_and_no_others(requests, stay, later):
    queue, replaced = filled(requests)
    waiting = {item for item in requests if item not in replaced}
    removed = queue.watch(stay)
    assert set(removed) == {item for item in waiting if item.camera not in stay}
    queue.watch(stay | later)
    for camera in later:
        queue.put(request(camera))
    left = queue.discard()
    assert {item.camera for item in left} == later | {
        item.camera for item in waiting if item.camera in stay}


@given(part=st.floats(0.0, 1.0) | st.sampled_from([-1.0, 7.0, float('inf'), float('nan')]),
       lost=st.booleans())
def test_a_camera_that_is_often_late_takes_less_of_its_share(part, lost):
    turns = Turns()
    queue = FusionQueue(CAMERAS, 1, 0.0, lambda frames: 0.1 * frames, turns=turns)
    queue.in_time = {'a': part}
    queue.put(WaitingFrame('a', 99.0 if lost else 101.0, 99.99, None))
    before = turns.rank(('', 'a'), 1.0)[1]
    queue.take(100.0)
    took = turns.rank(('', 'a'), 1.0)[1] - before
    # one that was lost when it came gains nothing by more turns
    assert took == (1.0 if lost or not part <= 1.0 else max(LEAST_CHANCE, part))
