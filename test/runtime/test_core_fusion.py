"""Lanes, and requests that run together."""

import pytest
from core_bench import NOW_S

from s3dnn_ros.runtime.events import Stopping


def test_no_more_jobs_start_than_there_are_lanes(bench):
    core = bench({'net': {'lanes': 2}}, scheduler='streams', fusion=False)
    for value in range(5):
        core.admit(value)
    core.announced(2)
    assert [step.values for step in core.engine.running(2)] == [[0], [1]]
    assert not core.watched.enqueued
    for value in range(5):
        assert core.finish()[0] == value
    assert core.network.most_flights == 2


@pytest.mark.parametrize('scheduler', ['streams', 'supervised'])
def test_a_lane_is_held_until_the_last_segment(bench, scheduler):
    core = bench({'net': {'segments': 2}}, scheduler=scheduler, fusion=False)
    core.admit(0)
    core.admit(1)
    order = [core.engine.finish() for _ in range(4)]
    assert [(step.values, step.segment) for step in order] == [
        ([0], 0), ([0], 1), ([1], 0), ([1], 1)]
    assert core.network.most_flights == 1


# fusion

@pytest.fixture
def fusing(bench, make_profile):
    """Return a builder of benches with times that make fusion worth it, and a network beside."""
    def build(times=(0.1, 0.01), scheduler='edf', **options):
        network = {'profile': make_profile(*times)}
        for option in ('lanes', 'segments', 'largest'):
            if option in options:
                network[option] = options.pop(option)
        return bench({'net': network, 'other': {}}, scheduler=scheduler, **options)
    return build


def test_waiting_requests_of_two_instances_run_as_one_batch(fusing):
    core = fusing()
    other = core.occupy()
    requests = [core.admit(10, instance='net'), core.admit(20, instance='net2', frames=2),
                core.admit(30, instance='net')]
    core.engine.finish(other)
    core.next_job()
    assert core.engine.finish().values == [10, 20, 20, 30]
    job = core.next_job()
    assert job.requests == tuple(requests)
    assert job.frames == 4
    assert job.outputs['scores'][:, 0] * 255 == pytest.approx([10, 20, 20, 30])


def test_a_fused_job_takes_in_what_arrives_before_its_start(fusing):
    core = fusing()
    other = core.occupy()
    core.announced()
    for value, frames in ((1, 1), (2, 2), (3, 3)):
        core.admit(value)
        (work,) = core.announced()
        assert work.remaining_s == pytest.approx(0.1 + 0.01 * frames)
    assert len(core.watched.withdrawn) == 2
    core.engine.finish(other)
    core.next_job()
    core.engine.running()
    core.admit(4)               # too late for this one
    assert core.finish()[1].frames == 3
    assert core.engine.finish().values == [4]


def test_what_starts_is_what_the_scheduler_was_told_last(fusing):
    core = fusing()
    other = core.occupy()
    core.admit(1, deadline_s=130.0)
    core.admit(2, deadline_s=120.0, instance='net2')
    core.engine.finish(other)
    core.next_job()
    _, job = core.finish()
    assert (job.work.instance, job.work.deadline_s) == ('net2', 120.0)


def test_a_job_that_is_full_keeps_its_place(bench, make_profile):
    core = bench({'net': {'profile': make_profile(0.1, 0.01)}, 'other': {}, 'third': {}},
                 scheduler='fifo', max_batch=2)
    other = core.occupy()
    core.announced()
    full = []
    for value in (1, 2):
        full.append(core.admit(value))
        core.announced()
    core.admit(99, instance='third')
    core.announced()
    for value in range(3, 8):
        core.admit(value)
    core.engine.finish(other)
    core.next_job()
    assert core.finish()[1].requests == tuple(full)
    assert core.finish()[0] == 99


@pytest.mark.parametrize('max_batch, largest, sizes', [
    (3, 64, [3, 3, 1]), (8, 2, [2, 2, 2, 1]), (1, 64, [1] * 7), (64, 64, [7])])
def test_never_more_than_max_batch_images_run_together(fusing, max_batch, largest, sizes):
    core = fusing(max_batch=max_batch, largest=largest)
    other = core.occupy()
    for value in range(7):
        core.admit(value)
    core.engine.finish(other)
    core.engine.let_go()
    while sum(core.network.batches) < 7:
        core.next_job()
    assert core.network.batches == sizes


def test_images_and_not_requests_are_counted(fusing):
    core = fusing(max_batch=4)
    other = core.occupy()
    for frames in (3, 2, 2, 6):
        core.admit(frames=frames)
    core.engine.finish(other)
    core.engine.let_go()
    while sum(core.network.batches) < 13:
        core.next_job()
    assert core.network.batches == [3, 4, 6]


def test_without_fusion_requests_run_alone(fusing):
    core = fusing(fusion=False, lanes=2)
    other = core.occupy()
    for value in range(4):
        core.admit(value, instance=('net', 'net2')[value % 2])
    core.engine.finish(other)
    core.next_job()
    for value in range(4):
        assert core.engine.finish().values == [value]
        assert len(core.next_job().requests) == 1


def test_fusion_can_be_switched_while_running(fusing):
    core = fusing(lanes=4, fusion=False)
    other = core.occupy()
    core.announced()
    core.admit(1)
    core.admit(2)
    core.announced(2)
    core.change(fusion=True)
    core.admit(3)
    core.admit(4)
    core.announced()
    core.engine.finish(other)
    core.engine.let_go()
    while sum(core.network.batches) < 4:
        core.next_job()
    assert len(core.network.batches) < 4


def test_no_more_are_fused_than_the_earliest_deadline_allows(fusing):
    core = fusing(times=(0.2, 0.1))
    other = core.occupy()
    for value in range(3):
        core.admit(value)
    core.admit(9, deadline_s=NOW_S + 0.45)
    core.engine.finish(other)
    core.next_job()
    assert core.engine.finish(took_s=0.4).values == [9, 0]
    assert core.next_job().ended_s <= NOW_S + 0.45
    assert core.engine.finish().values == [1, 2]


def test_fused_jobs_keep_to_the_lanes(fusing):
    core = fusing(scheduler='streams', lanes=2)
    for count in (1, 2):
        core.admit()
        core.engine.running(count)
    for value in range(5):
        core.admit(value, instance=('net', 'net2')[value % 2])
    for _ in range(3):
        core.finish()
    assert core.network.batches == [1, 1, 5]
    assert core.network.most_flights == 2


def test_a_fused_job_that_fails_fails_with_all_its_requests(fusing):
    core = fusing()
    other = core.occupy()
    requests = (core.admit(1), core.admit(2, instance='net2'))
    core.engine.finish(other)
    core.next_job()
    _, job = core.finish(error='out of memory')
    assert (job.requests, job.error, job.outputs) == (requests, 'out of memory', None)
    core.admit(3)
    assert not core.finish()[1].error


def test_the_bound_drops_one_request_of_a_fused_job_and_the_others_run(fusing):
    core = fusing(max_queue=3)
    other = core.occupy()
    core.announced()
    requests = []
    for value in range(4):
        requests.append(core.admit(value))
        (work,) = core.announced()
        assert work.remaining_s == pytest.approx(0.1 + 0.01 * len(requests))
    (work,) = core.announced()          # the job without the one that was dropped
    assert work.remaining_s == pytest.approx(0.13)
    request, reason, _ = core.next_drop()
    assert (request, reason) == (requests[0], 'queue')
    core.engine.finish(other)
    core.next_job()
    assert core.finish()[1].requests == tuple(requests[1:])
    assert not core.dropped


def test_what_is_late_of_a_fused_job_is_dropped_and_the_others_run(fusing):
    core = fusing(late_policy='drop')
    other = core.occupy()
    late = core.admit(1, deadline_s=NOW_S + 1.0)
    others = (core.admit(2, deadline_s=NOW_S + 5.0), core.admit(3, deadline_s=NOW_S + 6.0))
    core.engine.finish(other, took_s=2.0)
    core.next_job()
    assert core.next_drop()[:2] == (late, 'late')
    assert core.finish()[1].requests == others
    assert not core.dropped


def test_stopping_drops_each_request_of_a_fused_job(fusing):
    core = fusing()
    other = core.occupy()
    requests = [core.admit(1), core.admit(2, instance='net2')]
    core.announced()
    core.post(Stopping())
    assert [core.next_drop()[:2] for _ in requests] == [
        (request, 'shutdown') for request in requests]
    core.engine.finish(other)
    assert core.has_stopped


def test_without_a_profile_nothing_is_fused(bench):
    core = bench()
    for value in range(3):
        core.admit(value)
    for value in range(3):
        assert core.finish()[0] == value
