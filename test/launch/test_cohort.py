"""cohort.launch.py: two executors with a model each share their cameras' frames, and their LAG."""

import os
import unittest
from pathlib import Path

import pytest

pytest.importorskip('launch_testing', reason='launch_testing is not here')
pytest.importorskip('launch_ros', reason='launch_ros is not here')

import launch_testing
import yaml
from launch import LaunchDescription
from launch.actions import SetEnvironmentVariable
from launch_testing.actions import ReadyToTest
from launch_testing.asserts import assertExitCodes

NAMESPACE = f'cohort_{os.getpid()}'
INSTANCES = [f'first_{os.getpid()}', f'second_{os.getpid()}']
MODELS = ['cells', 'mean']


@pytest.mark.launch_test
@pytest.mark.ros
def generate_test_description():
    from launched import include, make_parameters

    from s3dnn_ros.base.cache import sha256_of
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.engines import make_engine
    from s3dnn_ros.profiling.table import ProfileRow, ProfileTable

    path = make_parameters(INSTANCES[0], engine='onnxruntime', instance_names=INSTANCES,
                           instances={name: {'model': model}
                                      for name, model in zip(INSTANCES, MODELS)},
                           cameras={'front': {'transport': 'raw', 'depth_topic': 'front/depth'},
                                    'rear': {'transport': 'compressed'}})
    engine, _ = make_engine('onnxruntime', SystemClock(), 1)
    engine.close()
    cache = path.parent / 'cache' / 'profiles'
    cache.mkdir(parents=True)
    rows = (ProfileRow(0, 1, 1.0, 1.0, 1.0, 1.0),)
    for model in MODELS:
        ProfileTable(model, sha256_of(path.parent / f'{model}.onnx'), 'onnxruntime',
                     engine.device, 'default', {}, rows).save(
                         cache / f'{model}.onnxruntime.json')
    values = yaml.safe_load(path.read_text())
    for number, name in enumerate(INSTANCES, 1):
        values[f'/**/executor_{number}'] = {'ros__parameters': {'instance_names': [name]}}
    path.write_text(yaml.safe_dump(values))
    return LaunchDescription([
        SetEnvironmentVariable('S3DNN_CACHE', str(cache.parent)),
        include('cohort.launch.py', params_file=path, namespace=NAMESPACE, replay=True,
                mode='max_accuracy', locator=True),
        ReadyToTest(),
    ])


class Cohort(unittest.TestCase):

    def test_every_executor_answers_for_its_own_instance(self):
        from launched import CAMERAS, listener
        from s3dnn_ros.msg import Detections

        with listener(NAMESPACE) as hear:
            results = hear(Detections, [f'detections/{name}' for name in CAMERAS], 20)
        assert {msg.camera for msg in results} == set(CAMERAS)

    def test_the_locator_publishes_the_results_of_cameras_that_have_depths(self):
        from launched import listener
        from s3dnn_ros.msg import Detections

        with listener(NAMESPACE) as hear:
            # no depths come, so results are published without distances
            msg, = hear(Detections, ['located/front'], 20)
        assert msg.camera == 'front' and msg.instance in INSTANCES

    def test_both_instances_tell_their_lag_in_the_mode_that_was_wanted(self):
        from launched import listener
        from s3dnn_ros.msg import ExecutorStats, InstanceState

        with listener(NAMESPACE) as hear:
            hear(InstanceState, ['cohort/states'], 20)
            stats = hear(ExecutorStats, ['executor_1/stats', 'executor_2/stats'], 20)
        assert [list(msg.instances) for msg in stats] == [[name] for name in INSTANCES]
        assert {msg.cohort_mode for msg in stats} == {'max_accuracy'}

    def test_each_executor_soon_knows_the_others_model(self):
        from launched import listener
        from s3dnn_ros.msg import ExecutorStats

        ignored = []
        with listener(NAMESPACE) as hear:
            # of a state that comes while the model is looked up, nothing can be made
            for _ in range(6):
                stats = hear(ExecutorStats, ['executor_1/stats', 'executor_2/stats'], 20)
                ignored.append([msg.states_ignored for msg in stats])
        assert ignored[-1] == ignored[-3] and max(ignored[-1]) < 20


@launch_testing.post_shutdown_test()
class End(unittest.TestCase):

    def test_all_processes_end_well(self, proc_info):
        assertExitCodes(proc_info)

    def test_no_shared_memory_is_left(self):
        assert not [path for name in INSTANCES for path in Path('/dev/shm').glob(f'*{name}*')]
