"""A bench of a network that is done in a moment, on the CPU."""

import sys
from pathlib import Path

import pytest
import yaml

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.bench import networks
from s3dnn_ros.bench.s3dnn_results import FORMAT
from s3dnn_ros.engines import make_engine

# importlib mode leaves the tests' directories off sys.path; overloads is here
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def tiny_model(tmp_path, monkeypatch, tiny_onnx):
    """Let the name `tiny` stand for a network that is done in a moment."""
    description = {'onnx': str(tiny_onnx), 'width': 4, 'height': 4, 'colour': 'rgb',
                   'mean': [0, 0, 0], 'std': [255, 255, 255], 'resize': 'stretch',
                   'decoder': 'classification', 'labels': ['r', 'g', 'b'], 'licence': 'MIT'}
    (tmp_path / 'tiny.yaml').write_text(yaml.safe_dump(description), encoding='utf-8')
    monkeypatch.setenv('S3DNN_MODEL_PATH', str(tmp_path))
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    return 'tiny'


@pytest.fixture
def engine():
    pytest.importorskip('onnxruntime')
    engine, _ = make_engine('onnxruntime', SystemClock(), threads=1)
    yield engine
    engine.close()


@pytest.fixture
def prepared(engine, tiny_model, monkeypatch):
    """Return the tiny network, loaded and profiled; settling takes no time."""
    monkeypatch.setattr('s3dnn_ros.bench.load.SETTLE_S', 0.05)
    return networks.prepare(engine, engine.clock, {tiny_model: 2}, max_batch=8, target_ms=1.0,
                            repeats=5)


@pytest.fixture
def synthetic_results():
    """Return results as the bench writes them, with figures that nothing measured."""
    def runs(work_share, missed_share):
        return [{'work_share': work_share + 0.01 * index, 'finished_hz': 100.0 * work_share,
                 'missed_share': missed_share + 0.01 * index} for index in range(3)]

    def row(count, **changes):
        return {'instances': count, 'left_out': {'process per instance': 'it died'},
                'policies': {'streams': runs(1.0, 0.5), 'supervised, fused': runs(1.25, 0.25),
                             'new one': runs(0.5, 0.75)}, **changes}

    span = {'client': 'net_0', 'segment': 0, 'submitted_ms': 1.5, 'completed_ms': 6.0}
    return {
        'format': FORMAT, 'environment': {'commit': 'abc', 'date': 'today'}, 'device': 'none',
        'throughput': [row(count, limits=[
            {'batch': batch, 'work_share': 2.0, 'finished_hz': 200.0} for batch in (1, count)])
            for count in (2, 4)],
        'deadlines': [row(count, load=load, capacity_hz=100.0, capacity_work_share=1.0,
                          ideal_missed_share=0.02, overload_share=max(0.0, 1.0 - 1.0 / load))
                      for count in (2, 4, 8) for load in (0.5, 0.9, 1.3)],
        'timeline': [{
            'policy': 'streams', 'instances': 2, 'load': 0.9, 'clients': ['net_0', 'net_1'],
            'window_ms': 20.0,
            'images': [{'client': 'net_0', 'stamp_ms': 1.0, 'deadline_ms': 5.0, 'ended_ms': 6.0,
                        'missed': True},
                       {'client': 'net_1', 'stamp_ms': 2.0, 'deadline_ms': 8.0, 'ended_ms': None,
                        'missed': True}],
            'spans': [{**span, 'batch': 2, 'missed': True},
                      {**span, 'submitted_ms': 3.0, 'batch': None, 'missed': False}]}]}
