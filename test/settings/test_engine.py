"""What the parameters of the engine make of it."""

import pytest

from s3dnn_ros.engines.base import BuildOptions
from s3dnn_ros.errors import ParameterError


def test_settings_say_how_networks_are_built(executor_settings):
    assert executor_settings().engine.build_options() == BuildOptions()
    settings = executor_settings(engine_precision='int8', engine_dla=1, engine_workspace_mb=64,
                                 engine_optimum=4, engine_graphs=False,
                                 engine_build_limit_s=60.0, engine_optimization_level=5)
    assert settings.engine.build_options() == BuildOptions(
        'int8', 1, 64, 4, graphs=False, limit_s=60.0, optimization_level=5)


def test_units_are_named_in_full_and_pinned_by_name(executor_settings):
    engine = executor_settings(engine='units', engine_units=['torch', 'onnxruntime:cpu,threads=2'],
                               engine_pinned_units=['torch:cuda:0']).engine
    assert engine.pinned_names == ('torch:cuda:0',)
    assert executor_settings().engine.pinned_names == ()


@pytest.mark.parametrize('values, sentence', [
    ({'engine': 'units'}, 'name at least one unit'),
    ({'engine': 'torch', 'engine_units': ['torch']}, 'say engine: units'),
    ({'engine': 'units', 'engine_units': ['gpu']}, 'expected ENGINE:DEVICE'),
    ({'engine': 'units', 'engine_units': ['torch'], 'engine_pinned_units': ['onnxruntime']},
     'expected units that engine_units has'),
    ({'engine': 'units', 'engine_units': ['torch'], 'cohort': True},
     'a cohort decides between segments'),
])
def test_units_that_cannot_be_are_refused(executor_settings, values, sentence):
    with pytest.raises(ParameterError, match=sentence):
        executor_settings(**values)


def test_a_dla_that_is_to_compute_in_fp32_is_refused(executor_settings):
    with pytest.raises(ParameterError, match='a DLA computes in fp16 or int8'):
        executor_settings(engine_precision='fp32', engine_dla=0)
