"""Whatever comes, every request ends once."""

import collections
import random

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from core_bench import CoreBench
from hypothesis import given

from s3dnn_ros.scheduling.rivals import KNOWN

NETWORKS = ('net', 'other', 'third')


@hypothesis.settings(max_examples=150)
@given(seed=st.integers(0, 2**32), scheduler=st.sampled_from(sorted(KNOWN)),
       fuse=st.booleans(), late_policy=st.sampled_from(['run', 'drop']),
       max_queue=st.integers(1, 12), max_batch=st.integers(1, 5),
       known=st.booleans(), stopped_early=st.booleans(), count=st.integers(0, 40),
       lead_s=st.sampled_from([0.0, 0.01, 1.0]))
def test_every_request_ends_once_and_every_lane_is_free_at_the_end(
        make_batch, make_frame, make_profile, seed, scheduler, fuse, late_policy,
        max_queue, max_batch, known, stopped_early, count, lead_s):
    chance = random.Random(seed)
    networks = {}
    for name in NETWORKS:
        segments = chance.randint(1, 3)
        times = make_profile(0.05, 0.01, segments, chance.choice([0.2, 0.5, 1.0]))
        networks[name] = {'segments': segments, 'lanes': chance.randint(1, 3),
                          'largest': 4, 'profile': times if known else None}
    core = CoreBench(make_batch, make_frame, networks, scheduler, {'lead_s': lead_s},
                     fusion=fuse, late_policy=late_policy, max_queue=max_queue,
                     max_batch=max_batch)
    requests = []
    while len(requests) < count:
        if chance.random() < 0.6:
            name = chance.choice(NETWORKS) + chance.choice(['', '2'])
            deadline_s = core.clock.now_s() + chance.uniform(-0.1, 1.0)
            requests.append(core.admit(len(requests), deadline_s, name, chance.randint(1, 3)))
        else:
            step_randomly(core, chance)
    while not stopped_early and len(ended(core)) < count:
        step_randomly(core, chance)
    core.stop()
    outcomes = collections.Counter(map(id, ended(core)))
    assert outcomes == {id(request): 1 for request in requests}
    assert core.free()
    assert not core.reports
    for queue in core.queues.values():
        assert queue.network.most_flights <= queue.network.lanes
        assert KNOWN[scheduler].whole_networks or queue.network.most_ahead <= (2 if lead_s else 1)
    for job in core.finished:
        assert len(job.requests) == 1 or (fuse and job.frames <= min(max_batch, 4))
        if not job.error:
            images = np.concatenate([request.batch.pixels for request in job.requests])
            assert job.outputs['scores'][:, 0] * 255 == pytest.approx(images[:, 0, 0, 0])


def step_randomly(core, chance):
    """Let time pass, and end some segment or let the engine fail."""
    running = core.engine.running(0)
    took_s = chance.uniform(0.0, 0.05)
    if not running:
        core.let_pass(took_s)
        return
    step = chance.choice(running)
    if chance.random() < 0.1:
        what = chance.choice(['open', 'submit', 'submit 1', 'outputs', 'close'])
        step.network.broken[what] = RuntimeError(what)
    core.engine.finish(step, error='failed' if chance.random() < 0.1 else '', took_s=took_s)


def ended(core):
    """Return the requests that were finished or dropped, once for each time."""
    return [request for job in core.finished for request in job.requests] + [
        what[0] for what in core.dropped]
