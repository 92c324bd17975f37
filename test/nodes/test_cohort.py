"""Executors of one board share their LAG, and one of them sets the board."""

import math
import types

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.lifecycle import TransitionCallbackReturn
from s3dnn_ros.msg import CohortDecision, InstanceState

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.cohort.membership import MOST_MEMBERS
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.nodes import executor_node
from s3dnn_ros.nodes.qos import qos
from s3dnn_ros.platforms import board_here
from s3dnn_ros.profiling.table import ConfigurationRow, ProfileRow, ProfileTable

pytestmark = pytest.mark.ros

UINT32 = 2 ** 32 - 1

CONFIGURATIONS = (ConfigurationRow('slow', 1000.0, (2.0,)),
                  ConfigurationRow('fast', 4000.0, (1.0,)))


class FakePlatform:
    """A board with two configurations."""

    name = 'fake'
    immediate = False
    transitions, transition_s = 3, 0.5

    def __init__(self):
        self.configurations = [types.SimpleNamespace(index=index, name=row.name)
                               for index, row in enumerate(CONFIGURATIONS)]
        self.set = []
        self.closed = False

    def apply(self, index):
        self.set.append(index)

    def close(self):
        self.closed = True


@pytest.fixture(name='cohort')
def _cohort(world, monkeypatch, tmp_path):
    """Return the parameters of an executor in a cohort, and what the cohort says."""
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.engines import make_engine

    engine, _ = make_engine('onnxruntime', SystemClock(), 1)
    engine.close()
    path = tmp_path / 'cells.json'
    ProfileTable('cells', sha256_of(world.models / 'cells.onnx'), 'onnxruntime', engine.device,
                 'default', {}, tuple(ProfileRow(0, batch, 1.0, 1.0, 1.0, 1.0)
                                      for batch in (1, 2)), (), CONFIGURATIONS).save(path)
    heard = types.SimpleNamespace(states=[], decisions=[], values={
        'engine': 'onnxruntime', 'cohort': True,
        'instances': {world.instance: {'profile': str(path)}}})
    world.listen(InstanceState, 'cohort/states', heard.states.append, qos('reliable', 100))
    world.listen(CohortDecision, 'cohort/decision', heard.decisions.append, qos('latched', 1))
    return heard


def counted(world, name):
    """Wait for the executor's counters; return one of them."""
    world.wait_for(lambda: 'executor' in world.stats)
    return getattr(world.stats['executor'], name)


def test_an_instance_tells_its_lag_and_that_it_leaves(world, cohort):
    world.system(**cohort.values)
    msg = world.round_trip('front')
    assert list(msg.variants) == [0] and msg.configuration == ''
    world.wait_for(lambda: len(cohort.states) >= 2)
    joined, left = cohort.states[:2]
    assert joined.instance == left.instance == world.instance and joined.model == 'cells'
    assert joined.board == board_here() and joined.segment == 0
    assert 0.0 < joined.deadline_s <= 1.0 and -joined.deadline_s < joined.lag_s <= 0.0
    assert left.leaves and left.sequence > joined.sequence
    assert counted(world, 'cohort_mode') == 'balanced'


def test_others_are_members_as_long_as_they_speak(world, cohort):
    executor = world.executor(cohort_lease_ms=300.0, **cohort.values)
    membership = executor._runtime.cohort_client.cohort.membership
    publisher = world.observer.create_publisher(InstanceState, 'cohort/states',
                                                qos('reliable', 100))
    state = InstanceState(board=board_here(), process='another', instance='far', model='cells',
                          lag_s=0.01, deadline_s=0.1, horizon_s=0.1)
    forged = InstanceState(board='another', process='another', instance='forged', model='cells',
                           lag_s=0.01, deadline_s=0.1, horizon_s=0.1)

    def known():
        state.sequence += 1
        publisher.publish(forged)
        publisher.publish(state)
        return [one.instance for one in membership.members(executor.clock_s.now_s())]

    world.wait_for(lambda: known() == ['far'])
    world.wait_for(lambda: counted(world, 'states_ignored') > 0)
    world.wait_for(lambda: not membership.members(executor.clock_s.now_s()))


def test_the_owner_sets_the_board_tells_it_and_restores_it(world, cohort, monkeypatch):
    platform = FakePlatform()
    monkeypatch.setattr(executor_node, 'make_platform', lambda name, **options: platform)
    _, executor = world.system(platform='jetson', **cohort.values)
    assert world.round_trip('front').configuration in ('slow', 'fast')
    world.wait_for(lambda: cohort.decisions and platform.set)
    assert cohort.decisions[0].name == 'fast' and cohort.decisions[0].board == board_here()
    assert counted(world, 'transitions') == 3
    assert counted(world, 'configuration') in ('slow', 'fast')
    world.remove(executor)
    assert platform.closed
    world.wait_for(lambda: cohort.decisions[-1].name == '')


def test_a_follower_hears_what_the_owner_set(world, cohort):
    publisher = world.observer.create_publisher(CohortDecision, 'cohort/decision',
                                                qos('latched', 1))
    publisher.publish(CohortDecision(board=board_here(), process='owner', configuration=0,
                                     name='slow'))
    executor = world.executor(platform='follow', **cohort.values)
    world.wait_for(lambda: executor._runtime.cohort_client.configuration == 'slow')


def test_the_mode_changes_while_it_runs(world, cohort):
    executor = world.executor(**cohort.values)
    assert world.set('executor', 'cohort_mode', 'max_accuracy').successful
    assert executor._runtime.cohort_client.cohort.coordinator.mode == 'max_accuracy'


@pytest.mark.parametrize('changes, said', [
    ({'scheduler': 'fifo'}, 'scheduler.*between segments.*edf'),
    ({'cohort': False, 'platform': 'follow'}, 'platform.*cohort'),
    ({'platform': 'sm_partition'}, 'platform_partitions.*name some'),
    ({'platform': 'follow', 'cohort_horizon': 'slack'}, 'cohort_horizon.*take deadline'),
    ({'platform_knobs': ['gpu', 'wheels']}, 'platform_knobs.*gpu, emc, cpu, cores'),
    ({'platform_partitions': ['8', 'all']}, 'platform_partitions.*whole numbers')])
def test_settings_that_contradict_each_other_are_refused(world, cohort, changes, said):
    with pytest.raises(ParameterError, match=said):
        world.executor(start=False, **{**cohort.values, **changes})


def test_an_engine_without_partitions_is_refused(world, cohort):
    executor = world.executor(start=False, platform='sm_partition', platform_partitions=['8'],
                              **cohort.values)
    assert executor.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said('no partitions', 'torch'))


def test_a_board_that_is_refused_later_is_given_back(world, cohort, monkeypatch):
    platform = FakePlatform()
    platform.configurations.pop()
    monkeypatch.setattr(executor_node, 'make_platform', lambda name, **options: platform)
    executor = world.executor(start=False, platform='jetson', **cohort.values)
    assert executor.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said('cells', 'platform_knobs'))
    assert platform.closed and not platform.set


HOSTILE_STATES = [
    dict(lag_s=math.nan), dict(deadline_s=math.inf), dict(deadline_s=0.0), dict(deadline_s=5e-324),
    dict(deadline_s=1e308, lag_s=-1e308), dict(horizon_s=math.nan), dict(horizon_s=0.0),
    dict(segment=UINT32), dict(variant=UINT32), dict(configuration=UINT32),
    dict(model='../../etc/passwd'), dict(model=''), dict(model='x' * 5000), dict(model='a{b}%s'),
    dict(instance=''), dict(process=''), dict(sequence=2 ** 64 - 1), dict(board=''),
    dict(leaves=True)]


def test_hostile_states_and_decisions_end_nothing(world, cohort):
    """With a board that is followed, so that both are heard."""
    _, executor = world.system(platform='follow', **cohort.values)
    board = board_here()
    states = world.observer.create_publisher(InstanceState, 'cohort/states', qos('reliable', 100))
    decisions = world.observer.create_publisher(CohortDecision, 'cohort/decision',
                                                qos('latched', 100))
    world.wait_for(lambda: decisions.get_subscription_count() == 2)
    for number, changes in enumerate(HOSTILE_STATES):
        state = InstanceState(board=board, process=f'p{number}', instance=f'i{number}',
                              model='cells', sequence=1, lag_s=0.01, deadline_s=0.1,
                              horizon_s=0.1)
        for name, value in changes.items():
            setattr(state, name, value)
        states.publish(state)
        world.round_trip('front')
    for configuration, name in ((UINT32, 'slow'), (0, 'x' * 5000), (1, 'slow'), (0, ''),
                                (0, 'slow')):
        decisions.publish(CohortDecision(board=board, process='owner',
                                         configuration=configuration, name=name))
    world.wait_for(lambda: executor._runtime.cohort_client.configuration == 'slow')
    world.round_trip('front')
    assert not world.said('is dropped')


def test_a_flood_of_members(world, cohort):
    """Each decision looks at all members: some are heard, the others counted; said once."""
    _, executor = world.system(**cohort.values)
    world.round_trip('front')
    states = world.observer.create_publisher(InstanceState, 'cohort/states', qos('reliable', 1000))
    world.wait_for(states.get_subscription_count)
    membership = executor._runtime.cohort_client.cohort.membership
    for number in range(10 * MOST_MEMBERS):
        states.publish(InstanceState(
            board=board_here(), process=f'p{number}', instance=f'i{number}', model='cells',
            sequence=1, lag_s=0.01, deadline_s=0.1, horizon_s=0.1))
        world.spinner.spin_once(timeout_sec=0.0)
    world.wait_for(lambda: membership.ignored['crowd'] >= MOST_MEMBERS)
    world.round_trip('front')
    assert len(membership.members(executor.clock_s.now_s())) <= MOST_MEMBERS + 1
    world.wait_for(lambda: world.said('members', 'left out of decisions'))
    assert len([text for text in world.logs if 'another one: those' in text]) == 1
