"""Gates on a fake device: jobs wait for words, write them, and move what they are pointed at."""

import functools

import numpy as np
import pytest
from fake_gates import FakeGatedDevice

from s3dnn_ros.engines.cuda import Cuda
from s3dnn_ros.engines.gates.gates import Gates, find_gates
from s3dnn_ros.errors import EngineError


@pytest.fixture
def device():
    return FakeGatedDevice()


@pytest.fixture
def cuda(device):
    return Cuda(libraries=(device.driver, device.runtime))


@pytest.fixture(params=['graphs', 'windows'])
def gates(request, device, cuda):
    if request.param == 'windows':
        device.lacks.add('cuGraphAddBatchMemOpNode')
    gates = Gates(cuda)
    assert bool(gates.note) == (request.param == 'windows')
    return gates


@pytest.fixture
def stream(cuda):
    return cuda.stream(0)


def test_a_job_stops_at_every_gate_and_writes_how_far_it_is(device, gates, stream):
    words, seen = gates.words(2), []
    job = gates.job()
    for segment in range(3):
        job.wait(words.address(0), segment + 1)
        job.run(device.captured(lambda segment=segment: seen.append(segment)))
        job.write(words.address(1), segment + 1)
    graph = job.ready()
    for _ in range(2):
        words.array[:] = 0
        seen.clear()
        graph.launch(stream.number)
        for opened in (0, 1, 3):
            words.array[0] = opened
            device.run()
            assert words.array[1] == opened and seen == list(range(opened))


def test_a_job_runs_the_graph_that_a_word_says_when_it_comes_to_it(device, cuda):
    gates, seen = Gates(cuda), []
    assert gates.chooses
    words = gates.words(3)
    graph = gates.job().wait(words.address(0), 1).choose(words.address(1), [
        device.captured(functools.partial(seen.append, place)) for place in range(3)]).ready()
    for chosen in (2, 0, 1):
        words.array[:] = 0
        graph.launch(cuda.stream(0).number)
        words.array[:2] = 1, chosen
        device.run()
    assert seen == [2, 0, 1]


@pytest.mark.parametrize('missing', ['cuGraphConditionalHandleCreate', 'cuGraphAddNode'])
def test_graphs_that_cannot_choose_still_have_gates_and_that_is_told(device, cuda, missing):
    device.lacks.add(missing)
    gates = Gates(cuda)
    assert not gates.chooses
    assert gates.note == ('networks in variants have no gates, as graphs cannot choose between '
                          'others: NOT_SUPPORTED (801)')


def test_older_bindings_call_what_chooses_by_another_name(device, cuda):
    device.driver.cuGraphAddNode_v2 = device.driver.cuGraphAddNode
    del device.driver.cuGraphAddNode
    assert Gates(cuda).chooses
    del device.driver.cuGraphAddNode_v2
    assert 'cuGraphAddNode' in Gates(cuda).note


def test_a_device_that_does_not_choose_as_told_is_not_trusted_with_it(device, cuda):
    device.chooses = False
    assert 'the device does not choose' in Gates(cuda).note


@pytest.mark.parametrize('size', [4, 64, 5, 3])
def test_what_is_moved_lies_where_the_addresses_say_when_it_runs(cuda, gates, stream, size):
    targets, sources = gates.addresses(3), gates.addresses(3)
    with cuda.captured(stream, lambda: gates.move(
            targets.address(1), sources.address(1), 2, size, stream)) as captured:
        graph = gates.job().run(captured).ready()
    for seed in range(2):
        given = np.random.default_rng(seed).integers(0, 256, (2, size), np.uint8)
        found = np.zeros((2, size), np.uint8)
        sources.array[1:] = [row.ctypes.data for row in given]
        targets.array[1:] = [row.ctypes.data for row in found]
        graph.launch(stream.number)
        assert (found == given).all()


@pytest.mark.parametrize('missing', [
    ('cuModuleLoadData',), ('cuGraphAddBatchMemOpNode', 'cuStreamWaitValue32'),
    ('cuCtxGetCurrent', 'cuStreamWriteValue32')])
def test_a_device_that_cannot_have_gates_says_so(device, cuda, missing):
    device.lacks.update(missing)
    with pytest.raises(EngineError, match=r'no gates: NOT_SUPPORTED.*stream memory operations'):
        Gates(cuda)


@pytest.mark.parametrize('missing', [
    'cuGraphAddBatchMemOpNode', 'cuCtxGetCurrent', 'cuGraphCreate'])
def test_where_graphs_cannot_wait_segments_wait_in_their_streams_and_that_is_told(
        device, cuda, missing):
    device.lacks.add(missing)
    gates, note = find_gates(cuda)
    assert not gates.chooses
    assert note == ('segments wait in their streams, and networks in variants have no gates, as '
                    'graphs cannot wait: NOT_SUPPORTED (801)')


def test_bindings_that_do_not_know_them_are_no_error_of_ours(device, cuda):
    del device.driver.cuGraphAddBatchMemOpNode
    assert 'cuGraphAddBatchMemOpNode' in Gates(cuda).note
    del device.driver.cuStreamWaitValue32
    with pytest.raises(EngineError, match=r'no gates: .*cuStreamWaitValue32'):
        Gates(cuda)


def test_a_device_that_writes_nothing_has_no_gates(device, cuda):
    device.broken = True
    with pytest.raises(EngineError, match='the device does not write'):
        Gates(cuda)
