"""A governor fuses by the profile it finds or is told, and refuses one of something else."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.lifecycle import TransitionCallbackReturn

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable, profile_path

pytestmark = pytest.mark.ros


@pytest.fixture(name='table')
def _table(world, monkeypatch, tmp_path):
    """Return a builder of profiles of `cells` in which every batch takes `run_ms`."""
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))

    engine, _ = make_engine('onnxruntime', SystemClock(), 1)
    engine.close()

    def build(run_ms, **changes):
        values = {'model': 'cells', 'model_sha256': sha256_of(world.models / 'cells.onnx'),
                  'engine': 'onnxruntime', 'device': engine.device, 'configuration': 'default',
                  'versions': {}, 'rows': tuple(
                      ProfileRow(0, batch, run_ms, run_ms, run_ms, 1.0) for batch in (1, 2))}
        values.update(changes)
        return ProfileTable(**values)
    return build


def instance(world, **values):
    return {'instances': {world.instance: dict({'max_batch': 2}, **values)}}


def test_without_a_profile_the_log_says_how_to_get_one(world, table):
    world.governor(**instance(world))
    world.wait_for(lambda: world.said(world.instance, 'no profile fits', 's3dnn profile cells'))


def test_a_profile_in_the_cache_is_found(world, table):
    table(1.0).save(profile_path('cells', 'onnxruntime'))
    world.governor(engine='onnxruntime', **instance(world))
    world.wait_for(lambda: world.said(world.instance, 'onnxruntime on CPU'))


def test_frames_wait_only_as_long_as_the_profile_allows(world, table):
    """The rear camera is silent; without a profile the front one would wait ten seconds."""
    path = world.tmp_path / 'cells.json'
    table(1.0).save(path)
    world.system(**instance(world, profile=str(path), max_fusion_delay_ms=10000.0,
                            deadline_ms=30000.0))
    msg = world.round_trip('front')
    assert msg.governor_ms < 9000.0
    assert msg.batch == 1


@pytest.mark.parametrize('changes, words', [
    ({'model_sha256': 'ab12'}, 'was measured on a model with the SHA-256 ab12; this is '),
    ({'engine': 'torch'}, 'was measured on torch; this is onnxruntime'),
])
def test_a_profile_that_does_not_fit_is_refused_and_another_one_taken(
        world, table, changes, words):
    path = world.tmp_path / 'cells.json'
    table(1.0, **changes).save(path)
    node = world.governor(start=False, engine='onnxruntime',
                          **instance(world, profile=str(path)))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said(words, 'run `s3dnn profile cells`'))
    table(1.0).save(path)
    assert node.autostart()


def test_a_profile_that_is_not_there_is_refused(world, table, tmp_path):
    node = world.governor(start=False, **instance(world, profile=str(tmp_path / 'none.json')))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said(str(tmp_path / 'none.json'), 'cannot be read'))


def test_a_deadline_that_the_profile_rules_out_is_refused_at_configure(world, table):
    table(20.0).save(profile_path('cells', 'onnxruntime'))
    node = world.governor(start=False, **instance(world, deadline_ms=5.0))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    name = f'instances.{world.instance}'
    world.wait_for(lambda: world.said(f"parameter '{name}.deadline_ms' is 5.0",
                                      '5 ms is shorter than the 20 ms',
                                      f'{name}.allow_infeasible: true'))
    world.accept('governor', f'{name}.allow_infeasible', True)
    assert node.autostart()
    world.wait_for(lambda: world.said(world.instance, 'runs although', '5 ms', '20 ms'))


def test_a_deadline_that_the_profile_rules_out_is_refused_while_running(world, table):
    table(20.0).save(profile_path('cells', 'onnxruntime'))
    governor, _ = world.system(**instance(world, deadline_ms=200.0))
    name = f'instances.{world.instance}'
    result = world.set('governor', f'{name}.deadline_ms', 5.0)
    assert not result.successful
    for part in (f"'{name}.deadline_ms' is 5.0", '5 ms', '20 ms', 'allow_infeasible'):
        assert part in result.reason
    assert governor.get_parameter(f'{name}.deadline_ms').value == 200.0
    world.round_trip('front')
    world.accept('governor', f'{name}.allow_infeasible', True)
    world.accept('governor', f'{name}.deadline_ms', 5.0)
    assert not world.set('governor', f'{name}.allow_infeasible', False).successful
    world.round_trip('front')
