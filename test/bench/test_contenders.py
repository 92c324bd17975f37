"""What each contender is told of the instances that it decides for."""

import types

import pytest

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.bench.contenders import CONTENDERS, OTHERS, ContenderChooser, contenders
from s3dnn_ros.cohort import ModelTables, SpeedupAccuracyTable, SpeedupPowerTable
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.platforms import NullPlatform

DEADLINE_S = 0.1
TIMES_S = (0.01, 0.03)
TABLES = ModelTables(TIMES_S, (SpeedupPowerTable([1.0], [1.0]),) * 2,
                     (SpeedupAccuracyTable([1.0], [1.0]),) * 2, (sum(TIMES_S),))
HORIZONS_S = {'next': DEADLINE_S * TIMES_S[1] / sum(TIMES_S), 'slack': TIMES_S[1],
              'deadline': DEADLINE_S}
EXPECTED = {contender.name: 'deadline' for contender in (*CONTENDERS, *OTHERS)}
# PredJoule makes up for slack in the next layer alone
EXPECTED['PredJoule'] = 'next'
EXPECTED.update({name: 'slack' for name in EXPECTED if name.endswith(', slack')})


class Listener:
    """A policy that keeps what it is told, and decides as the contender does."""

    def __init__(self, policy):
        self.policy = policy
        self.members = []

    def decide(self, members):
        self.members.append(members[-1])
        return self.policy.decide(members)


def job(segment):
    """Return a job that is about to run a segment; it arrived at 0."""
    instance = types.SimpleNamespace(name='net_0', spec=types.SimpleNamespace(name='net'))
    request = types.SimpleNamespace(number=1, instance=instance, arrived_s=0.0,
                                    deadline_s=DEADLINE_S)
    expect = types.SimpleNamespace(overhead_s=lambda segment: 0.0)
    return types.SimpleNamespace(urgent=request, variant=lambda segment: 0,
                                 queue=types.SimpleNamespace(expect=expect))


@pytest.mark.parametrize('name', EXPECTED)
def test_slack_is_to_be_made_up_for_within_the_contenders_own_horizon(name):
    (contender,) = contenders([name])
    listeners = []

    def make(known):
        listeners.append(Listener(contender.make(known)))
        return listeners[0]
    # without the margin, which asks for more speed where a job would be late
    chooser = ContenderChooser(NullPlatform(), {'net': TABLES},
                               contender._replace(make=make, margin=None), VirtualClock())
    try:
        for segment in range(2):
            chooser.choose(job(segment), segment, 0.02 * segment)
    finally:
        chooser.close()
    assert listeners[0].members[1].horizon_s == pytest.approx(HORIZONS_S[EXPECTED[name]])


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ParameterError, match="'PredJoule'"):
        contenders(['PredictJoule'])
