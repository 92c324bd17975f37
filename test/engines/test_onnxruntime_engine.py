"""ONNX Runtime: results, errors and threads."""

import queue
import threading

import numpy as np
import pytest

from s3dnn_ros.engines import ENGINES, make_engine
from s3dnn_ros.errors import EngineError, ParameterError
from s3dnn_ros.runtime.clock import SystemClock

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

WAIT_S = 30.0       # for what comes at once; a test that waits so long has failed
TOLERANCE = 1e-5


@pytest.fixture
def engine():
    engine, _ = make_engine('onnxruntime', SystemClock(), threads=1)
    yield engine
    engine.close()


@pytest.fixture
def network(engine, tiny_onnx, make_spec):
    return engine.load('net', onnx.load(str(tiny_onnx)), make_spec(onnx=tiny_onnx))


def submitted(engine, network, *inputs):
    done = queue.Queue()
    for pixels in inputs:
        engine.submit(network, pixels, done.put)
    return [done.get(timeout=WAIT_S) for _ in inputs]


@pytest.mark.parametrize('frames', [1, 3])
def test_outputs_come_by_name_with_the_batch_first(network, frames):
    pixels = np.zeros((frames, 4, 4, 3), np.uint8)
    pixels[..., 2] = 255
    outputs = network.run(pixels)
    assert set(outputs) == set(network.output_shapes) == {'scores'}
    assert outputs['scores'].reshape(frames, 3) == pytest.approx(
        np.tile([0.0, 0.0, 1.0], (frames, 1)), abs=TOLERANCE)


def test_mean_and_deviation_are_applied(engine, tiny_onnx, make_spec):
    spec = make_spec(onnx=tiny_onnx, mean=(10.0, 20.0, 30.0), std=(2.0, 4.0, 5.0))
    network = engine.load('net', onnx.load(str(tiny_onnx)), spec)
    scores = network.run(np.full((1, 4, 4, 3), 50, np.uint8))['scores'].ravel()
    assert scores == pytest.approx([20.0, 7.5, 4.0], abs=TOLERANCE)


def fixed_to(batch):
    """Return the tiny network with a constant that fixes its batch."""
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('GlobalAveragePool', ['x'], ['means']),
         onnx.helper.make_node('Reshape', ['means', 'shape'], ['scores'])], 'tiny',
        [onnx.helper.make_tensor_value_info('x', floats, [batch, 3, 4, 4])],
        [onnx.helper.make_tensor_value_info('scores', floats, [batch, 3])],
        [onnx.numpy_helper.from_array(np.array([batch, 3], np.int64), 'shape')])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)],
                                  ir_version=8)


@pytest.mark.parametrize('frames', [1, 2, 3])
def test_a_network_of_fixed_batch_takes_fewer_frames_too(engine, make_spec, frames):
    network = engine.load('net', fixed_to(3), make_spec())
    assert network.batch == 3
    pixels = np.full((frames, 4, 4, 3), 51, np.uint8)
    assert network.run(pixels)['scores'] == pytest.approx(
        np.full((frames, 3), 0.2), abs=TOLERANCE)


def test_a_network_of_free_batch_says_so(network):
    assert network.batch == 0


def test_runs_end_in_the_order_they_were_submitted(engine, network):
    values = (10, 20, 30)
    runs = submitted(engine, network, *(np.full((1, 4, 4, 3), value, np.uint8)
                                        for value in values))
    assert [run.error for run in runs] == ['', '', '']
    assert [round(float(run.outputs['scores'].max()) * 255) for run in runs] == list(values)
    times = [time_s for run in runs for time_s in (run.started_s, run.ended_s)]
    assert times == sorted(times)


def test_done_is_called_in_the_engines_own_thread(engine, network):
    threads = queue.Queue()
    engine.submit(network, np.zeros((1, 4, 4, 3), np.uint8),
                  lambda run: threads.put(threading.current_thread()))
    assert threads.get(timeout=WAIT_S) is not threading.current_thread()


def test_a_run_that_fails_is_reported_and_the_next_one_works(engine, network):
    failed, good = submitted(engine, network, np.zeros((1, 9, 9, 3), np.uint8),
                             np.zeros((1, 4, 4, 3), np.uint8))
    assert failed.error
    assert failed.outputs is None
    assert good.outputs is not None
    assert not good.error


def test_a_model_that_onnxruntime_refuses_is_named_with_its_instance(
        engine, tiny_onnx, make_spec):
    model = onnx.load(str(tiny_onnx))
    model.graph.node[0].op_type = 'NoSuchOperator'
    with pytest.raises(EngineError) as caught:
        engine.load('net', model, make_spec(onnx=tiny_onnx))
    for part in ("instance 'net'", str(tiny_onnx), 'NoSuchOperator', 's3dnn models check'):
        assert part in str(caught.value)


def test_loading_leaves_the_model_as_it_was(engine, tiny_onnx, make_spec):
    model = onnx.load(str(tiny_onnx))
    before = model.SerializeToString(deterministic=True)
    engine.load('net', model, make_spec(onnx=tiny_onnx))
    assert model.SerializeToString(deterministic=True) == before


def test_closing_finishes_what_was_submitted(network, engine):
    runs = []
    for _ in range(5):
        engine.submit(network, np.zeros((1, 4, 4, 3), np.uint8), runs.append)
    engine.close()
    engine.close()
    assert len(runs) == 5


def test_the_device_says_what_runs_where(engine):
    assert 'CPU, 1 threads, onnxruntime' in engine.device


def test_without_a_number_of_threads_there_is_at_least_one():
    engine, _ = make_engine('onnxruntime', SystemClock())
    engine.close()
    assert int(engine.device.split()[1]) >= 1


def test_auto_takes_the_first_that_works_and_says_so():
    engine, reason = make_engine('auto', SystemClock(), 1)
    engine.close()
    assert engine.name in ENGINES
    assert f'{engine.name} works' in reason


def test_an_unknown_engine_is_answered_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"'engine' is 'warp'.*onnxruntime"):
        make_engine('warp', SystemClock())


@pytest.mark.parametrize('name', ['auto', 'onnxruntime'])
def test_an_engine_that_is_not_installed_is_answered_with_what_to_do(name, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'onnxruntime', None)
    with pytest.raises(ParameterError, match='pip install onnxruntime'):
        make_engine(name, SystemClock())
