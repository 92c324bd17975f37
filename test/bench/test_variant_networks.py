"""Fidelity of the variants that ran, measured on the network itself."""

import numpy as np
import pytest

from s3dnn_ros.bench.variant_networks import Judge


class FakeNetwork:
    """Answers with ones, less a quarter for each coarser segment; counts how often."""

    segments = 2

    def __init__(self):
        self.asked = 0

    def run(self, pixels, variants):
        self.asked += 1
        return {'out': np.full((1, 4), 1.0 - 0.25 * sum(variants))}


def test_fidelity_is_measured_once_for_each_choice_of_variants():
    network = FakeNetwork()
    judge = Judge(network, np.zeros((3, 2, 2, 3), np.uint8))
    assert judge.fidelity(()) == judge.fidelity((0, 0)) == 1.0
    for _ in range(2):
        assert judge.fidelity((0, 1)) == pytest.approx(0.75)
        assert judge.fidelity((1, 1)) == pytest.approx(0.5)
    assert network.asked == 3 * 3
