"""Builders of tables and members."""

import random

import pytest

from s3dnn_ros.cohort import Member, SpeedupAccuracyTable, SpeedupPowerTable

DEADLINE_S = 0.04


def make_power_table(chance, configurations):
    """Return a table in no order, in which more speed mostly draws more power."""
    speedups = [chance.uniform(1.0, 10.0) for _ in range(configurations)]
    # of few values each, so that there are ties
    speedups = [round(speedup, 1) for speedup in speedups]
    return SpeedupPowerTable(
        speedups, [round(speedup * chance.uniform(0.5, 2.0), 1) + 0.1 for speedup in speedups])


def make_accuracy_table(chance, variants):
    speedups = [1.0] + [round(chance.uniform(1.0, 4.0), 1) for _ in range(variants - 1)]
    return SpeedupAccuracyTable(
        speedups, [100.0] + [round(100.0 - 10.0 * chance.random(), 1) for _ in speedups[1:]])


def make_members(chance, count, configurations=12, variants=5):
    """Return members that are ahead or behind, some hopelessly, on one device."""
    configuration = chance.randrange(configurations)
    members = []
    for index in range(count):
        deadline_s = chance.uniform(0.5, 2.0) * DEADLINE_S
        members.append(Member(
            f'net_{index}', chance.uniform(-1.2, 0.6) * deadline_s * chance.random(), deadline_s,
            make_power_table(chance, configurations), make_accuracy_table(chance, variants),
            configuration, chance.choice([None, 0.3 * deadline_s])))
    return members


@pytest.fixture
def chance():
    return random.Random(0)


@pytest.fixture(scope='session')
def build():
    """Return the builder of members."""
    return make_members
