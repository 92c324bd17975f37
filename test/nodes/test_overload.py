"""More frames than the network can take, through real nodes: in time, and fair."""

import time

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

pytestmark = pytest.mark.ros

CAMERAS = ('front', 'left', 'rear', 'right')
RUN_S = 0.025
PERIOD_S = 0.05         # four frames in a period, of which two can run
DEADLINE_MS = 250.0


@pytest.fixture
def slow(monkeypatch):
    """Let every run of a network take its time."""
    from s3dnn_ros.engines.onnxruntime_engine import OnnxRuntimeNetwork

    step = OnnxRuntimeNetwork.step

    def slowly(self, segment, tensors, variant):
        time.sleep(RUN_S)
        step(self, segment, tensors, variant)

    monkeypatch.setattr(OnnxRuntimeNetwork, 'step', slowly)


def shoot(world, cameras, seconds):
    """Have cameras send at the same instants."""
    due_s = time.monotonic()
    end_s = due_s + seconds
    while due_s < end_s:
        for camera in cameras:
            world.send(camera)
        due_s += PERIOD_S
        world.wait_for(lambda until_s=due_s: time.monotonic() >= until_s)


def results(world):
    return {camera: list(world.results[camera]) for camera in CAMERAS}


@pytest.mark.parametrize('composed', [False, True])
def test_cameras_that_are_triggered_together_share_the_network_and_are_in_time(
        world, slow, composed):
    world.system(composed=composed, names=CAMERAS,
                 instances={world.instance: {'deadline_ms': DEADLINE_MS}})
    for camera in CAMERAS:
        world.publisher(camera)
    shoot(world, CAMERAS, 0.5)      # it learns what a run takes
    for camera in CAMERAS:
        world.results[camera].clear()
    shoot(world, CAMERAS, 4.0)
    got = results(world)
    counts = [len(items) for items in got.values()]
    assert max(counts) <= 1.1 * min(counts) + 1
    every = [msg for items in got.values() for msg in items]
    assert len(every) >= 60
    assert sum(msg.missed for msg in every) <= 0.05 * len(every)


def test_a_camera_with_twice_the_weight_has_twice_the_share(world, slow):
    world.system(names=CAMERAS, cameras={'front': {'weight': 2.0}},
                 instances={world.instance: {'deadline_ms': DEADLINE_MS}})
    for camera in CAMERAS:
        world.publisher(camera)
    shoot(world, CAMERAS, 3.0)
    got = {camera: len(items) for camera, items in results(world).items()}
    others = [got[camera] for camera in CAMERAS[1:]]
    assert max(others) <= 1.15 * min(others) + 1
    assert 1.6 * min(others) <= got['front'] <= 2.4 * max(others)
    world.accept('governor', 'cameras.front.weight', 0.0)
    shoot(world, CAMERAS, 0.3)      # what is under way comes to its end
    for camera in CAMERAS:
        world.results[camera].clear()
    shoot(world, CAMERAS, 1.0)
    got = {camera: len(items) for camera, items in results(world).items()}
    assert got['front'] <= 2 and min(got[camera] for camera in CAMERAS[1:]) >= 5
