"""What waits for one network: order, fusion, lanes."""

import types

import hypothesis.strategies as st
import pytest
from hypothesis import given

from s3dnn_ros.engines.base import Run
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable
from s3dnn_ros.recent import FORGOTTEN_RUNS
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.model_queue import ModelQueue

NOW_S = 100.0


class Asked:
    """A request, as far as a queue looks at it."""

    def __init__(self, deadline_s=1e9, frames=1, priority=0, max_batch=0, run_late=False):
        self.deadline_s, self.frames, self.priority = deadline_s, frames, priority
        self.max_batch, self.run_late = max_batch, run_late


@pytest.fixture(scope='session')
def make_queue(make_profile):
    """Return a builder of queues; with times, a run of n images takes `base_s` + n · `each_s`."""
    def build(*requests, lanes=1, largest=64, padded=None, times=(0.1, 0.01)):
        network = types.SimpleNamespace(lanes=lanes, largest=largest, segments=1,
                                        padded=padded or (lambda frames: frames))
        queue = ModelQueue(network, Expectation(1, times and make_profile(*times)))
        for request in requests:
            queue.put(request)
        return queue
    return build


def drain(queue, fuse, max_batch):
    while queue.ready(fuse):
        yield queue.take(NOW_S, fuse, max_batch)


def test_without_fusion_the_first_to_arrive_goes_alone(make_queue):
    requests = [Asked(deadline_s) for deadline_s in (300.0, 100.0, 200.0)]
    assert list(drain(make_queue(*requests), False, 8)) == [(request,) for request in requests]


asked = st.builds(Asked, st.floats(90.0, 110.0), st.integers(1, 3), st.integers(0, 1))


@given(st.lists(asked, max_size=12), st.booleans(), st.integers(1, 8), st.integers(3, 8))
def test_every_request_is_taken_once_and_no_batch_is_too_large(
        make_queue, requests, fuse, max_batch, largest):
    batches = list(drain(make_queue(*requests, largest=largest), fuse, max_batch))
    assert sorted(map(id, (request for batch in batches for request in batch))) == sorted(
        map(id, requests))
    for batch in batches:
        frames = sum(request.frames for request in batch)
        assert len(batch) == 1 or frames <= min(max_batch, largest)


@given(st.lists(asked, min_size=1, max_size=12), st.integers(1, 8))
def test_fused_are_the_most_urgent(make_queue, requests, max_batch):
    queue = make_queue(*requests)
    chosen = queue.take(NOW_S, True, max_batch)
    others = [request for request in requests if request not in chosen]
    urgency = [(-request.priority, request.deadline_s) for request in (*chosen, *others)]
    assert all(one <= other for one in urgency[:len(chosen)] for other in urgency[len(chosen):])


@given(st.lists(asked, min_size=1, max_size=12), st.integers(1, 8))
def test_a_batch_keeps_every_deadline_that_a_run_of_its_own_would_keep(
        make_queue, requests, max_batch):
    queue = make_queue(*requests, times=(0.1, 1.0))
    chosen = queue.take(NOW_S, True, max_batch)
    frames = sum(request.frames for request in chosen)
    alone_s = NOW_S + queue.expect.run_s(chosen[0].frames)
    kept = [request.deadline_s for request in chosen if request.deadline_s >= alone_s]
    assert len(chosen) == 1 or all(
        NOW_S + queue.expect.run_s(frames) <= deadline_s for deadline_s in kept)


@pytest.mark.parametrize('deadline_s, expected', [(100.35, 1), (100.45, 2), (100.55, 3)])
def test_as_many_are_fused_as_the_earliest_deadline_allows(make_queue, deadline_s, expected):
    requests = [Asked(), Asked(), Asked(deadline_s)]
    chosen = make_queue(*requests, times=(0.2, 0.1)).take(NOW_S, True, 8)
    assert len(chosen) == expected
    assert chosen[0] is requests[2]


def test_a_batch_counts_with_the_time_of_what_really_runs(make_queue):
    queue = make_queue(Asked(100.5), Asked(), Asked(), times=(0.1, 0.1),
                       padded=lambda frames: 1 if frames == 1 else 8)
    assert len(queue.take(NOW_S, True, 8)) == 1


def test_times_of_a_batch_that_runs_no_more_are_forgotten(make_queue):
    queue = make_queue(times=None)
    for _ in range(3):
        queue.ran(2, 9.0)
    for _ in range(FORGOTTEN_RUNS):
        queue.ran(1, 0.1)
    assert queue.known_run_s(2) == (9.0, True)
    queue.ran(1, 0.1)
    assert queue.known_run_s(2) == (pytest.approx(0.2), False)


@given(st.lists(asked, min_size=1, max_size=12), st.lists(st.integers(0, 4), min_size=12,
                                                          max_size=12))
def test_no_batch_is_larger_than_any_of_its_front_ends_allows(make_queue, requests, limits):
    for request, limit in zip(requests, limits):
        request.max_batch = limit and max(limit, request.frames)
    chosen = make_queue(*requests).take(NOW_S, True, 64)
    frames = sum(request.frames for request in chosen)
    assert all(frames <= (request.max_batch or 64) for request in chosen)


@pytest.mark.parametrize('late', [False, True])
def test_what_is_to_run_late_is_not_late(make_queue, late):
    queue = make_queue(times=(0.2, 0.1))
    assert queue.is_late(Asked(NOW_S + 0.1, run_late=late), NOW_S) != late


def test_runs_are_told_as_they_went_and_before_that_as_profiled(make_queue):
    queue = make_queue(times=(0.2, 0.1))
    assert queue.known_run_s(2) == (pytest.approx(0.4), True)
    for _ in range(3):
        queue.ran(2, 0.5)
    assert queue.known_run_s(2) == (0.5, True)
    assert queue.known_run_s(1) == (pytest.approx(0.3), True)


def test_without_a_profile_runs_of_other_sizes_are_estimates(make_queue):
    queue = make_queue(times=None)
    assert queue.known_run_s(1) == (0.0, False)
    queue.ran(1, 0.2)
    assert queue.known_run_s(1) == (0.2, False)       # one run, as that of warming up, says little
    assert queue.known_run_s(3) == (pytest.approx(0.6), False)
    for _ in range(2):
        queue.ran(1, 0.2)
    assert queue.known_run_s(1) == (0.2, True)


def test_what_does_not_save_time_is_not_fused(make_queue):
    assert len(make_queue(Asked(), Asked(), times=(0.0, 0.1)).take(NOW_S, True, 8)) == 1


def test_before_anything_is_known_requests_run_alone(make_queue):
    queue = make_queue(Asked(), Asked(), times=None)
    assert len(queue.take(NOW_S, True, 8)) == 1
    queue.put(Asked())
    queue.expect.observe(0, 1, 0.1)
    assert len(queue.take(NOW_S, True, 8)) == 2


def test_what_was_taken_comes_first_again(make_queue):
    requests = [Asked() for _ in range(3)]
    queue = make_queue(*requests)
    queue.put_back(queue.take(NOW_S, False, 8))
    assert queue.take(NOW_S, False, 8) == (requests[0],)
    queue.put_back(requests[:1])
    assert list(drain(queue, False, 8)) == [(request,) for request in requests]


def test_choosing_takes_nothing_and_counts_with_what_was_taken(make_queue):
    requests = [Asked() for _ in range(3)]
    queue = make_queue(*requests)
    assert queue.choose(NOW_S, True, 2) == queue.choose(NOW_S, True, 2) == tuple(requests[:2])
    taken = queue.take(NOW_S, True, 2)
    assert queue.choose(NOW_S, True, 2, taken) == taken
    assert queue.choose(NOW_S, True, 8, taken) == tuple(requests)


def test_a_request_can_be_forgotten_though_an_equal_one_waits(make_queue):
    first, second = Asked(), Asked()
    queue = make_queue(first, second)
    queue.remove(second)
    assert queue.take(NOW_S, False, 8) == (first,)
    assert not queue.ready(False)


@pytest.mark.parametrize('lanes, taken, pending, fuse, ready', [
    (1, 0, 0, True, True), (1, 1, 0, True, False), (2, 1, 0, True, True),
    (2, 0, 1, True, False), (2, 0, 1, False, True), (2, 1, 1, False, False),
    (3, 1, 1, False, True),
])
def test_a_job_is_made_only_for_a_lane_and_of_fused_ones_one_at_a_time(
        make_queue, lanes, taken, pending, fuse, ready):
    queue = make_queue(Asked(), lanes=lanes)
    queue.lanes_taken = taken
    queue.pending = [object()] * pending
    assert queue.ready(fuse) == ready


def times_of(expect):
    """Return the time expected of each segment."""
    work, times_s = expect.work('net', 1, 0.0, 0), []
    while work:
        times_s.append(work.time_s)
        work = work.successor
    return times_s


def job(frames, factor=1.0):
    return types.SimpleNamespace(frames=frames, ended_s=0.0,
                                 time_factors=lambda first, last: [factor] * (last + 1 - first))


def test_times_are_learned_for_the_batch_that_really_ran(make_queue):
    queue = make_queue(times=None, padded=lambda frames: 4)
    queue.observe(job(3), 0, 0, Run(NOW_S, NOW_S + 0.5))
    assert queue.expect.run_s(4) == 0.5


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.001, 1.0)), min_size=1, max_size=5))
def test_runs_that_waited_for_one_another_add_up_to_no_more_than_they_took_together(
        make_queue, runs):
    # each was submitted some time ago, and runs when the one before it has ended
    queue, ran = make_queue(times=None), job(1)
    queue.expect = Expectation(len(runs))
    ended_s = NOW_S
    for segment, (ago_s, took_s) in enumerate(runs):
        started_s, ended_s = ended_s - ago_s if segment else NOW_S, ended_s + took_s
        queue.observe(ran, segment, segment, Run(started_s, ended_s))
        ran.ended_s = ended_s
    assert times_of(queue.expect) == pytest.approx([took_s for _, took_s in runs], abs=1e-9)


@given(st.integers(2, 5), st.floats(0.001, 10.0))
def test_segments_that_ran_together_share_what_they_took(make_queue, segments, took_s):
    queue = make_queue(times=None)
    queue.expect = Expectation(segments)
    for _ in range(2):
        queue.observe(job(1), 0, segments - 1, Run(NOW_S, NOW_S + took_s))
        assert times_of(queue.expect) == pytest.approx([took_s / segments] * segments)


def of_two_segments(make_queue):
    """Return a queue with a profile: 100 ms, and then 300 ms."""
    rows = [ProfileRow(segment, 1, time_ms, time_ms, time_ms, 1.0)
            for segment, time_ms in enumerate((100.0, 300.0))]
    queue = make_queue(times=None)
    queue.expect = Expectation(2, ProfileTable('net', '', 'fake', 'none', 'default', {},
                                               tuple(rows)))
    return queue


def test_what_segments_took_together_beyond_their_profile_is_shared_as_that_says(make_queue):
    queue = of_two_segments(make_queue)
    for _ in range(300):
        queue.observe(job(1), 0, 1, Run(NOW_S, NOW_S + 0.8))
    assert times_of(queue.expect) == pytest.approx([0.2, 0.6], rel=0.01)


def test_what_a_coarser_variant_took_teaches_what_the_exact_one_takes(make_queue):
    queue = make_queue(times=None)
    queue.observe(job(1, factor=0.5), 0, 0, Run(NOW_S, NOW_S + 0.2))
    assert queue.expect.run_s(1) == pytest.approx(0.4)


def test_what_ran_together_in_several_variants_teaches_what_the_exact_ones_take(make_queue):
    queue = of_two_segments(make_queue)
    ran = types.SimpleNamespace(frames=1, ended_s=0.0,
                                time_factors=lambda first, last: [0.5, 1.0][first:last + 1])
    for _ in range(300):        # 50 and 300 ms, and as much again
        queue.observe(ran, 0, 1, Run(NOW_S, NOW_S + 0.7))
    assert times_of(queue.expect) == pytest.approx([0.2, 0.6], rel=0.01)


def test_a_run_counts_from_its_own_start_if_it_did_not_wait(make_queue):
    queue = make_queue(times=None)
    queue.expect = Expectation(3)
    ran = job(1)
    queue.observe(ran, 1, 1, Run(1.0, 2.0))
    ran.ended_s = 2.0
    queue.observe(ran, 2, 2, Run(5.0, 5.25))
    assert times_of(queue.expect) == [0.0, 1.0, 0.25]
