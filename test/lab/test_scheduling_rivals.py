"""Rules of other schedulers with the shipped core, in virtual time."""

import pytest

from s3dnn_ros.lab.virtual_executor import VirtualExecutor
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable

SECONDS = 20.0
SEGMENTS = 4
ALONE_S = 0.02


def profile(name, utilization):
    time_ms = 1e3 * ALONE_S / SEGMENTS
    return ProfileTable(name, '', 'simulated', 'simulated', 'default', {}, tuple(
        ProfileRow(segment, 1, time_ms, time_ms, time_ms, utilization, utilization)
        for segment in range(SEGMENTS)))


class Run:
    """Instances that ask periodically, by their priorities, and what became of their requests."""

    def __init__(self, policy, priorities, period_s, deadline_s, utilization=0.9):
        self.spans = []
        self.sent, self.late, self.dropped = (dict.fromkeys(priorities, 0) for _ in range(3))
        names = [f'net_{index}' for index in range(len(priorities))]
        self.executor = VirtualExecutor(policy, {name: profile(name, utilization)
                                                 for name in names},
                                        self._finished, self._dropped, seed=0)
        for index, (name, priority) in enumerate(zip(names, priorities)):
            self._ask(self.executor.add(name, priority), period_s, deadline_s,
                      index * period_s / len(names))
        self.executor.run_until(SECONDS)

    def _ask(self, instance, period_s, deadline_s, at_s):
        def ask():
            self.sent[instance.settings.priority] += 1
            self.executor.send(instance, self.executor.now_s() + deadline_s)
            self._ask(instance, period_s, deadline_s, at_s + period_s)
        self.executor.at(at_s, ask)

    def _finished(self, job):
        self.spans.append((job.started_s, job.ended_s))
        self.late[job.priority] += job.ended_s > job.urgent.deadline_s

    def _dropped(self, request, reason, sentence):
        self.dropped[request.priority] += 1


def test_clockwork_runs_one_at_a_time_and_hardly_any_that_it_accepts_is_late():
    run = Run('clockwork', [0] * 4, period_s=0.06, deadline_s=0.05)
    spans = sorted(run.spans)
    assert all(end_s <= begin_s + 1e-9 for (_, end_s), (begin_s, _) in zip(spans, spans[1:]))
    # it is asked for more than it can do
    assert run.dropped[0] > 0.1 * run.sent[0]
    assert run.late[0] < 0.01 * run.sent[0]
    # the device has always work
    assert sum(end_s - begin_s for begin_s, end_s in spans) > 0.9 * SECONDS


@pytest.mark.parametrize('low', [2, 6])
def test_daris_keeps_all_deadlines_of_high_priority_whatever_is_asked_at_low(low):
    run = Run('daris', [1, 1, *[0] * low], period_s=0.1, deadline_s=0.1)
    assert run.late[1] == run.dropped[1] == 0 < run.sent[1]
    if low == 2:
        assert run.dropped[0] + run.late[0] == 0
    else:
        # some are refused, and most of the others are in time
        assert 0 < run.dropped[0] < run.sent[0]
        assert run.late[0] < 0.05 * run.sent[0]


def test_without_priorities_daris_is_late_where_all_are_asked_for_too_much():
    run = Run('daris', [1] * 8, period_s=0.1, deadline_s=0.1)
    assert run.late[1] + run.dropped[1] > 0
