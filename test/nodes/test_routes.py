"""How pixels get to an executor in the same process: in the memory that its engine reads."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeEngine, OnnxRuntimeNetwork

pytestmark = pytest.mark.ros


def test_a_composed_governor_writes_pixels_where_the_engine_reads_them(world, monkeypatch):
    given, staged = [], []
    stage = OnnxRuntimeNetwork.stage

    def frame_memory(engine, size):
        given.append(np.zeros(size, np.uint8))
        return given[-1]

    def stage_here(network, pixels):
        staged.append(pixels)
        return stage(network, pixels)

    monkeypatch.setattr(OnnxRuntimeEngine, 'frame_memory', frame_memory)
    monkeypatch.setattr(OnnxRuntimeNetwork, 'stage', stage_here)
    world.system(composed=True)
    staged.clear()      # what warmed it up
    world.round_trip('front')
    assert staged and any(staged[0].base is memory for memory in given)


def test_a_governor_that_is_there_before_the_engine_has_memory_of_its_own(world):
    values = world.parameters()
    executor = world.executor(values, start=False)
    world.governor(values, executor)
    assert executor.autostart()
    world.round_trip('front')
