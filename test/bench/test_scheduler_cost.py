"""The load under which decisions are timed: always as many works as there are instances."""

import pytest

from s3dnn_ros.bench.scheduler_cost import SEGMENTS, decision_us
from s3dnn_ros.scheduling import make_scheduler

POLICIES = ('streams', 'fifo', 'edf', 'supervised', 'gated')


class Counting:
    """A scheduler that notes what it is given."""

    def __init__(self, scheduler):
        self._scheduler = scheduler
        self.whole_networks = scheduler.whole_networks
        self.open = {}
        self.most_open = self.segments = 0

    def enqueue(self, work, now_s):
        self._scheduler.enqueue(work, now_s)
        assert work.instance not in self.open
        self.open[work.instance] = work
        self.most_open = max(self.most_open, len(self.open))
        self.segments = max(self.segments, work.segment + 1)

    def dequeue(self, now_s):
        return self._scheduler.dequeue(now_s)

    def complete(self, work, now_s):
        assert self.open.pop(work.instance) is work
        self._scheduler.complete(work, now_s)


@pytest.mark.parametrize('policy', POLICIES)
@pytest.mark.parametrize('instances', [1, 5])
def test_every_instance_has_one_segment_or_network_open_at_a_time(policy, instances):
    counting = Counting(make_scheduler(policy))
    cost = decision_us(counting, instances, 40)
    assert len(counting.open) == counting.most_open == instances
    assert counting.segments == (1 if counting.whole_networks else SEGMENTS)
    assert 0.0 < cost['p50'] <= cost['p95'] <= cost['p99']
    assert cost['mean'] > 0.0
