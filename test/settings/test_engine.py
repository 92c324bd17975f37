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


def test_a_dla_that_is_to_compute_in_fp32_is_refused(executor_settings):
    with pytest.raises(ParameterError, match='a DLA computes in fp16 or int8'):
        executor_settings(engine_precision='fp32', engine_dla=0)
