"""Models that are loaded again, or others, while everything runs."""

import dataclasses
import gc
import queue
import threading
import weakref

import numpy as np
import onnx
import pytest
from executor_bench import WAIT_S
from onnx import TensorProto, helper

from s3dnn_ros.errors import EngineError, ModelError


class Reload:
    """A change of the model of `net`, on a bench whose loads wait."""

    def __init__(self, run, settings, spec, names=('net',)):
        self.run, self.ended = run, queue.Queue()
        run.engine.may_load.clear()
        run.executor.reload(dict.fromkeys(names, spec), settings, self.ended.put)

    def finish(self):
        """Let the load end; return its error, or None."""
        self.run.engine.may_load.set()
        return self.ended.get(timeout=WAIT_S)


@pytest.fixture
def larger(make_spec, tiny_onnx_of):
    """Return the description of another model, with images of another size."""
    return make_spec(name='large', onnx=tiny_onnx_of(8), width=8, height=8,
                     labels=('x', 'y', 'z'), decoder_options={'top_k': 3})


@pytest.fixture
def tiny_onnx_of(tmp_path):
    """Return a builder of files of networks for images of so many pixels a side."""
    def build(side):
        graph = helper.make_graph(
            [helper.make_node('GlobalAveragePool', ['x'], ['y'])], 'mean',
            [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, side, side])],
            [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['N', 3, 1, 1])])
        path = tmp_path / f'mean_{side}.onnx'
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)],
                                    ir_version=8), str(path))
        return path
    return build


def test_the_old_model_serves_until_the_new_one_is_warm_and_ends_what_it_has(
        make_executor, make_batch, make_frame, make_spec, tiny_onnx, executor_settings):
    run = make_executor()
    old = run.engine.networks['net']
    spec = make_spec(onnx=tiny_onnx, labels=('x', 'y', 'z'), decoder_options={'top_k': 3})
    reload = Reload(run, executor_settings(warmup_runs=0), spec)
    for camera in ('runs', 'waits'):
        run.executor.accept(make_batch(make_frame(camera)))
    assert run.engine.running()[0].network is old
    assert reload.finish() is None
    new = run.engine.networks['net']
    run.executor.accept(make_batch(make_frame('new')))
    assert [run.engine.finish().network for _ in range(3)].count(old) == 2
    assert len(new.batches) == 1
    labels = {result.frame.camera: result.labels for result in run.published()}
    assert labels == {'runs': ('blue', 'green', 'red'), 'waits': ('blue', 'green', 'red'),
                      'new': ('x', 'y', 'z')}
    assert run.settled()
    assert all(count.published == 1 for count in run.counts().values())


def test_batches_for_the_former_model_still_run_and_later_ones_are_counted(
        make_executor, make_batch, make_frame, larger, executor_settings, monkeypatch):
    run = make_executor()
    old = run.engine.networks['net']
    former_s = threading.Event()
    monkeypatch.setattr(run.executor._reloader._closing, 'wait', lambda _: former_s.wait(WAIT_S))
    settings = executor_settings(instances__net__model='large')
    assert Reload(run, settings, larger).finish() is None
    run.executor.accept(make_batch(make_frame('old'), model='tiny'))
    assert run.engine.finish().network is old
    run.executor.accept(make_batch(make_frame('new'), model='large',
                                   pixels=np.zeros((1, 8, 8, 3), np.uint8)))
    assert run.engine.finish().network is run.engine.networks['net'] is not old
    assert [run.results.get(timeout=WAIT_S).model for _ in range(2)] == ['tiny', 'large']
    former_s.set()
    run.executor._reloader.close()
    run.executor.accept(make_batch(make_frame('late'), model='tiny'))
    assert run.dropped('late') == {'request': 1}
    assert "model 'tiny', which runs 'large' here" in run.counts()['late'].last_error
    assert run.settled()


def test_a_model_that_cannot_be_loaded_leaves_the_old_one(
        make_executor, make_batch, make_spec, tmp_path, executor_settings):
    run = make_executor()
    old = run.engine.networks['net']
    missing = make_spec(onnx=tmp_path / 'missing.onnx')
    assert isinstance(Reload(run, executor_settings(), missing).finish(), ModelError)
    run.engine.broken_loads = [EngineError('net', 'out of memory')]
    spec = dataclasses.replace(missing, onnx=run.executor._instances['net'].spec.onnx)
    assert isinstance(Reload(run, executor_settings(), spec).finish(), EngineError)
    run.executor.accept(make_batch())
    assert run.engine.finish().network is old
    assert run.settled() and len(run.published()) == 1


def test_instances_of_one_model_are_loaded_once(
        make_executor, make_batch, make_frame, make_spec, tiny_onnx, executor_settings):
    names = ('net', 'second')
    run = make_executor(names)
    spec = run.executor._instances['net'].spec
    assert Reload(run, executor_settings(names), spec, names).finish() is None
    assert len(run.engine.loads) == 2
    assert run.engine.loads[1][3] == 2      # lanes
    assert len({id(instance.queue) for instance in run.executor._instances.values()}) == 1


def test_a_network_that_failed_is_mended_by_a_reload(
        make_executor, make_batch, make_frame, executor_settings):
    run = make_executor()
    spec = run.executor._instances['net'].spec
    run.engine.broken_loads = [RuntimeError('broken file')]
    run.executor.accept(make_batch(make_frame('bad')))
    run.engine.finish(error='no such kernel')
    run.complained('broken file')
    assert run.executor.troubles()['net']
    assert Reload(run, executor_settings(), spec).finish() is None
    assert run.executor.troubles() == {'net': ''}
    run.executor.accept(make_batch(make_frame('good')))
    run.engine.finish()
    assert run.settled() and run.counts()['good'].published == 1


def test_the_memory_of_the_former_is_free_without_a_collection(
        make_executor, make_batch, make_frame, executor_settings):
    """The node freezes what was loaded, so that no collection would find it."""
    run = make_executor()
    spec = run.executor._instances['net'].spec
    former = weakref.ref(run.executor._instances['net'].queue)
    run.executor.accept(make_batch(make_frame('a')))
    run.engine.finish()
    gc.disable()
    try:
        assert Reload(run, executor_settings(), spec).finish() is None
        run.executor.accept(make_batch(make_frame('b')))
        run.engine.finish()
        run.close()
        assert former() is None
    finally:
        gc.enable()
