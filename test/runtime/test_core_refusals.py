"""What a scheduler refuses is dropped before it runs, where late results are not wanted."""

import dataclasses

import pytest
from core_bench import NOW_S

from s3dnn_ros.scheduling import Dispatch


class Refusing:
    """Refuses what has this deadline, and runs all else, one at a time."""

    whole_networks = holds = False

    def __init__(self, deadline_s):
        self.deadline_s = deadline_s
        self.queue, self.running = [], None

    def enqueue(self, work, now_s):
        self.queue.append(work)

    def dequeue(self, now_s):
        refuse = tuple(work for work in self.queue if work.deadline_s == self.deadline_s)
        others = [work for work in self.queue if work not in refuse]
        if self.running or not others:
            return Dispatch(refuse=refuse)
        self.running = others[0]
        self.withdraw(self.running)
        return Dispatch((self.running,), refuse=refuse)

    def complete(self, work, now_s):
        self.running = None

    def withdraw(self, work):
        self.queue = [other for other in self.queue if other is not work]
        return True

    def next_wake_s(self, now_s):
        return None


LATE_S = NOW_S + 0.5


def core_of(bench, make_profile, late_policy='drop', **options):
    net = {'segments': 2, 'profile': make_profile(0.1, 0.0, 2)}
    return bench({'net': net, 'other': {}}, scheduler=Refusing(LATE_S),
                 late_policy=late_policy, **options)


def test_a_refused_request_is_dropped_at_its_arrival(bench, make_profile):
    core = core_of(bench, make_profile)
    core.occupy()
    refused = core.admit(1, LATE_S)
    request, reason, sentence = core.next_drop()
    assert (request, reason) == (refused, 'late') and 'scheduler' in sentence
    assert not core.dropped


def test_the_other_requests_of_its_batch_run(bench, make_profile):
    core = core_of(bench, make_profile, fusion=True, max_batch=4)
    other = core.occupy()
    with core.held():
        refused, kept = core.admit(1, LATE_S), core.admit(2, LATE_S + 0.1)
    assert core.next_drop()[0] is refused
    core.engine.finish(other)
    core.next_job()
    assert [core.engine.finish().values for _ in range(2)] == [[2]] * 2
    assert core.next_job().requests == (kept,)
    assert not core.dropped


@pytest.mark.parametrize('late_policy, run_late', [('run', False), ('drop', True)])
def test_nothing_is_dropped_that_is_to_run_late(
        bench, make_profile, make_batch, make_frame, late_policy, run_late):
    core = core_of(bench, make_profile, late_policy)
    core.make_batch = lambda *frames, **options: dataclasses.replace(
        make_batch(*frames, **options), run_late=run_late)
    core.admit(1, LATE_S)
    core.step()
    assert not core.dropped
    # it changes its mind
    core.watched._scheduler.deadline_s = None
    core.step()
    for _ in range(2):
        core.engine.finish()
    assert core.next_job().outputs is not None
