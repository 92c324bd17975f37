"""What a scheduler's decisions cost, by how many instances have work queued."""

from __future__ import annotations

import collections
import random
import time
from typing import Dict

from s3dnn_ros.bench.record import percentiles_us
from s3dnn_ros.scheduling import SegmentWork

# Of one job: segments of like time, a part of the device each.
SEGMENTS = 8
SEGMENT_S = 0.5e-3
TB_RATIO = (0.1, 1.0)
UTILIZATION = (0.4, 1.0)
# Deadlines are so long, that the first of the queue are late and the last have time.
LATEST_DEADLINE_S = 0.1


def decision_us(scheduler, instances: int, decisions: int, seed=0) -> Dict[str, float]:
    """Return percentiles, in µs, of the time of a `dequeue` with so many instances queued.

    Every instance has one segment, or one whole network, queued or running; what has run longest
    ends next, and what comes behind it is queued before the next decision. `mean` is
    that of the whole round: complete, enqueue, dequeue.
    """
    chance = random.Random(seed)
    running: collections.deque = collections.deque()
    times_ns = []
    now_s = 0.0
    for index in range(instances):
        scheduler.enqueue(_job(chance, f'instance_{index}', now_s), now_s)
    started_ns = time.perf_counter_ns()
    for _ in range(decisions):
        begun_ns = time.perf_counter_ns()
        dispatch = scheduler.dequeue(now_s)
        times_ns.append(time.perf_counter_ns() - begun_ns)
        running.extend(dispatch.submit)
        now_s += SEGMENT_S
        if running:
            ended = running.popleft()
            scheduler.complete(ended, now_s)
            behind = None if scheduler.whole_networks else ended.successor
            scheduler.enqueue(behind or _job(chance, ended.instance, now_s), now_s)
    round_us = (time.perf_counter_ns() - started_ns) / 1e3 / decisions
    return {**percentiles_us(times_ns), 'mean': round(round_us, 1)}


def _job(chance, instance, now_s):
    deadline_s = now_s + chance.uniform(SEGMENTS * SEGMENT_S, LATEST_DEADLINE_S)
    work = None
    for segment in range(SEGMENTS - 1, -1, -1):
        work = SegmentWork(instance, segment, chance.uniform(*TB_RATIO), deadline_s,
                           (SEGMENTS - segment) * SEGMENT_S, SEGMENT_S, 0,
                           chance.uniform(*UTILIZATION), work)
    return work
