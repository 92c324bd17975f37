"""A GPU whose memory ends: the largest batches are left out, and fusion keeps to the others."""

import types

import numpy as np
import pytest

pytest.importorskip('torch', reason='PyTorch is not here')

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.engines.torch.engine import TorchNetwork
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable
from s3dnn_ros.runtime.executor import Executor
from s3dnn_ros.runtime.expectation import Expectation
from s3dnn_ros.runtime.model_queue import ModelQueue

BATCHES = (1, 2, 4, 8)


class FakeOutOfMemory(RuntimeError):
    """Stands for torch.cuda.OutOfMemoryError."""


class FakeMemory:
    """A device that holds so many images, in the buffers of all lanes together."""

    name = 'torch'
    device = 'a fake GPU'
    parallel = True
    levels = 1
    poll_s = None
    lead_s = 0.0
    loads_bytes = False
    gated = gates_variants = False
    torch = types.SimpleNamespace(cuda=types.SimpleNamespace(OutOfMemoryError=FakeOutOfMemory))

    def __init__(self, images):
        self.free = images

    def lane(self, outputs, gated=False):
        return FakeLane(self)

    def load(self, instance, segments, outputs, spec, *, coarser=(), lanes=1, max_batch=1):
        return TorchNetwork(self, [[None]] * len(segments), outputs, spec, lanes, BATCHES, False)

    def close(self):
        pass


class FakeLane:
    """Captures nothing, but takes the memory."""

    def __init__(self, memory):
        self._memory = memory

    def capture(self, batch, modules, shape):
        if batch > self._memory.free:
            raise FakeOutOfMemory(f'tried to allocate {batch} images')
        self._memory.free -= batch

    def outputs_of(self, batch):
        return {'scores': np.zeros((batch, 3), np.float32)}


def load(make_spec, images, lanes=1):
    return FakeMemory(images).load('net', [None], ['scores'], make_spec(), lanes=lanes)


@pytest.mark.parametrize('images, lanes, batches', [
    (15, 1, (1, 2, 4, 8)), (14, 1, (1, 2, 4)), (3, 1, (1, 2)), (1, 1, (1,)),
    (30, 2, (1, 2, 4, 8)), (29, 2, (1, 2, 4)), (14, 2, (1, 2, 4)), (13, 2, (1, 2)),
])
def test_what_does_not_fit_for_every_lane_is_left_out(make_spec, images, lanes, batches):
    network = load(make_spec, images, lanes)
    assert network.batches == batches
    assert network.largest == batches[-1]
    assert [network.padded(frames) for frames in batches] == list(batches)
    if batches == BATCHES:
        assert network.note == ''
        return
    for part in ('tiny', 'out of memory on a fake GPU', f'batches of {2 * batches[-1]}',
                 f'runs {batches[-1]} at most'):
        assert part in network.note


def test_a_network_that_does_not_even_fit_for_one_image_is_refused(make_spec):
    with pytest.raises(FakeOutOfMemory):
        load(make_spec, 0)


@pytest.mark.parametrize('images, largest', [(15, 8), (14, 4), (3, 2), (1, 1)])
def test_fusion_makes_no_batch_that_was_left_out(make_spec, make_batch, images, largest):
    rows = tuple(ProfileRow(0, batch, 1.0, 1.0, 1.0, 1.0) for batch in BATCHES)
    queue = ModelQueue(load(make_spec, images), Expectation(1, ProfileTable(
        'tiny', '', 'torch', 'a fake GPU', 'default', {}, rows)))
    for _ in range(20):
        queue.put(types.SimpleNamespace(deadline_s=1e9, priority=0, frames=1, max_batch=0))
    assert len(queue.take(0.0, True, 64)) == largest


def test_what_was_left_out_is_told_once_for_all_instances_of_a_model(
        make_spec, executor_settings, tiny_onnx, monkeypatch, tmp_path):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))
    executor = Executor(
        executor_settings(('net', 'second'), warmup_runs=0),
        dict.fromkeys(('net', 'second'), make_spec(onnx=tiny_onnx)), FakeMemory(14),
        VirtualClock(), None)
    executor.close()
    (note,) = [note for note in executor.notes if 'out of memory' in note]
    assert 'runs 4 at most' in note
