"""Results of `s3dnn bench overload` with figures that nothing measured."""

from s3dnn_ros.bench.overload_results import FORMAT, Record, Result, figures

RATES_HZ = {'camera_0': 10.0, 'camera_1': 10.0}


def results_of(camera, times_s, *, latency_ms=50.0, missed=False, batch=1):
    """Return a result at each of these times."""
    return [Result(time_s, camera, latency_ms, missed, batch) for time_s in times_s]


def steady(camera, rate_hz, begin_s, end_s, **options):
    """Return results that come regularly, the first half a period after the begin."""
    count = round((end_s - begin_s) * rate_hz)
    return results_of(camera, [begin_s + (index + 0.5) / rate_hz for index in range(count)],
                      **options)


def overload_results(loads=(None,), disturb=('none', 'stop'), runs=2):
    """Return results as the bench writes them."""
    return {
        'format': FORMAT, 'environment': {'commit': 'abc', 'date': 'today'}, 'device': 'none',
        'model': 'tiny', 'deadline_ms': 100.0,
        'plan': {'rates_hz': [10.0, 10.0], 'width': 64, 'height': 32, 'instants': 'spread',
                 'max_batch': 2},
        'limits': [{'alone': {'frames_hz': 20.0},
                    'beside': [{'frames_hz': 16.0, 'offered_hz': 20.0} for _ in loads]}] * runs,
        'overloads': [
            {'mode': mode, 'profile': 'none', 'late_policy': 'drop', 'load': load,
             'disturb': kind, 'runs': [_run(kind, index) for index in range(runs)]}
            for mode in ('separate', 'composed') for load in loads for kind in disturb]}


def _run(kind, index):
    results = [item for camera in RATES_HZ for item in steady(camera, 4.0 + index, 0.0, 6.0)]
    disturbance_s = None if kind == 'none' else (2.0, 4.0)
    if disturbance_s:
        results = [item for item in results if not 2.0 <= item.published_s < 4.0]
    return {'offered_hz': 20.0, 'limit_hz': {'alone': 20.0, 'beside': 16.0},
            **figures(Record(results, RATES_HZ, 0.0, 6.0, disturbance_s)),
            'dropped_by': {'replaced': 3}, 'processes': {'replay': {'cpu_share': 0.25}}}
