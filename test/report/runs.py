"""Builders of recordings and results for the tests of a report."""

from s3dnn_ros.runtime.recorder import RequestTimes, Stage, Stamp
from s3dnn_ros.runtime.recording import Name, Recording, Run
from s3dnn_ros.runtime.variant_chooser import Boundary

BEGIN_S = 1000.0
PERIOD_S, SEGMENT_S, DEADLINE_S = 0.1, 0.01, 0.05
ENVIRONMENT = {'commit': 'abc1234', 'date': '2026-01-01', 'versions': {'python': '3.8'},
               'machine': {'cpu': 'a CPU'}}


def request(number, instance='front', at_s=0.0, late=False, dropped=False, segments=2, images=1,
            finishes=True):
    """Return (times, stamps) of one request, so long after the begin."""
    now_s = BEGIN_S + at_s
    times = RequestTimes(number, instance, now_s, now_s + DEADLINE_S)
    stamps = [Stamp(Stage.STAGED, number, instance, 0, now_s)]
    if dropped:
        return times, [*stamps, Stamp(Stage.DROPPED, number, instance, 0, now_s + 0.001)]
    took_s = 3 * SEGMENT_S if late else SEGMENT_S
    for segment in range(segments):
        stamps.append(Stamp(Stage.SUBMITTED, number, instance, segment, now_s, images))
        now_s += took_s
        stamps.append(Stamp(Stage.ENDED, number, instance, segment, now_s, images))
    if finishes:
        stamps.append(Stamp(Stage.FINISHED, number, instance, 0, now_s, images))
    return times, stamps


def recording(*requests, cohort=True, simulated=True, instances=(), **run):
    """Return the recording of these requests, in a cohort with a boundary for each segment."""
    stamps = [stamp for _, of_one in requests for stamp in of_one]
    boundaries = [Boundary(stamp.now_s, stamp.request, stamp.instance, stamp.segment,
                           0.001 * (stamp.request % 5 - 2), 7 + stamp.request % 2,
                           stamp.request % 3) for stamp in stamps
                  if stamp.stage == Stage.SUBMITTED] if cohort else []
    models = dict.fromkeys(instances, 'net') or {
        stamp.instance: 'net' for stamp in stamps} or {'front': 'net'}
    return Recording(
        Run('a board', simulated, 'balanced', ENVIRONMENT, **{'command': 's3dnn lab', **run}),
        models, [times for times, _ in requests], stamps, boundaries,
        configurations=[Name(7, 'slow'), Name(8, 'fast')] if cohort else [])


def many(count, instances=('front', 'rear'), period_s=PERIOD_S):
    """Return so many requests, of which every seventh is late and every eleventh is dropped."""
    return [request(number, instances[number % len(instances)], period_s * number,
                    late=number % 7 == 3, dropped=number % 11 == 5)
            for number in range(count)]


def lab_results(seeds=3, **names):
    """Return results of an experiment of the lab; `names` are figures of every run."""
    figures = {'missed_share': 0.1, 'energy_j': 5.0, 'response_ms': {'mean': 8.0, 'p99': 20.0},
               **names}
    return {'format': 1, 'lab': 'neuos', 'environment': ENVIRONMENT, 'device': 'simulated',
            'plan': {'boards': ['tx2', 'xavier'], 'seeds': seeds}, 'total': 99, 'complete': False,
            'cells': [{'cell': {'board': 'tx2', 'instances': 4, 'contender': contender,
                                'seed': seed},
                       'result': {**figures, 'missed_share': 0.01 * (seed + place)}}
                      for place, contender in enumerate(('balanced', 'POET'))
                      for seed in range(seeds)]}
