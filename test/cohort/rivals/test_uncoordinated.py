"""NeuOS's negative loop (section 3.2): two that adapt to one LAG drag each other down."""

import statistics

import pytest

from s3dnn_ros.cohort import (
    MODES,
    Coordinator,
    Member,
    SpeedupAccuracyTable,
    SpeedupPowerTable,
    lag_s,
    proportional_sub_deadlines,
)
from s3dnn_ros.cohort.rivals import Uncoordinated

LAYERS, DEADLINE_S, JOBS = 23, 0.020, 12
SPEEDUPS = [1.0 + 0.25 * step for step in range(13)]
POWER = SpeedupPowerTable(SPEEDUPS, [speedup**1.6 for speedup in SPEEDUPS])
ACCURACY = SpeedupAccuracyTable([1.0, 1.3, 1.7, 2.2, 2.8], [100.0, 99.0, 98.0, 97.0, 96.0])
MIDDLE = 6


def live(policy):
    """Run jobs that are 15 % too slow at first; return for each its LAG, power and score.

    The faster configurations could do it alone.
    """
    layer_s = 1.15 * DEADLINE_S / LAYERS * SPEEDUPS[MIDDLE]     # in the slowest configuration
    configuration, variant = MIDDLE, ACCURACY.exact
    jobs = []
    for _ in range(JOBS):
        sub_deadlines_s = proportional_sub_deadlines([1.0] * LAYERS, DEADLINE_S)
        took_s, powers, scores = [], [], []
        for layer in range(LAYERS):
            took_s.append(layer_s / SPEEDUPS[configuration] / ACCURACY.speedup[variant])
            powers.append(POWER.powerup[configuration])
            scores.append(ACCURACY.score[variant])
            ahead_s = lag_s(sub_deadlines_s, took_s)
            remaining_s = sum(sub_deadlines_s[layer + 1:]) or DEADLINE_S
            decision = policy.decide([Member('net', ahead_s, DEADLINE_S, POWER, ACCURACY,
                                             configuration, remaining_s, variant)])
            configuration, variant = decision.configuration, decision.variants['net']
        jobs.append((ahead_s, statistics.mean(powers), statistics.mean(scores)))
    return jobs


def test_without_coordination_energy_and_accuracy_fall_until_they_can_fall_no_further():
    jobs = live(Uncoordinated())
    powers, scores = [power for _, power, _ in jobs], [score for _, _, score in jobs]
    assert powers[-1] < 0.5 * powers[0] and powers[-1] < 1.5 * min(POWER.powerup)
    assert scores[-1] < scores[0] - 1.5 and scores[-1] < 97.0


@pytest.mark.parametrize('mode', MODES)
def test_coordinated_the_device_makes_up_for_it_and_the_network_stays_exact(mode):
    jobs = live(Coordinator(mode))
    assert all(score == 100.0 for _, _, score in jobs)
    enough = 1.15 * SPEEDUPS[MIDDLE]
    for ahead_s, power, _ in jobs[1:]:
        assert ahead_s > -0.01 * DEADLINE_S
        # not much more than the least that suffices
        assert enough**1.6 * 0.9 < power < enough**1.6 * 1.2
