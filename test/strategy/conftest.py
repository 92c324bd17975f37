"""A measure that needs no device: what a simple rule says of a strategy."""

import pytest

from s3dnn_ros.strategy.strategy import Measurement


@pytest.fixture
def ruled():
    """Return a builder of measures; `calls` gets how many strategies were asked for at once.

    A task misses the share by which more important tasks and itself ask for more than the device.
    """
    def build(workload, calls=None):
        def missed(strategy):
            variants = workload.chosen(strategy.variants)
            rates, load = [0.0] * len(variants), 0.0
            for task in strategy.order:
                load += variants[task].device_s / workload.tasks[task].period_s
                rates[task] = min(1.0, max(0.0, load - 1.0))
            return Measurement(tuple(rates), (None,) * len(rates))

        def measure(strategies):
            if calls is not None:
                calls.append(len(strategies))
            return [missed(strategy) for strategy in strategies]
        return measure
    return build
