"""A bench of a network that is done in a moment, on the CPU."""

import pytest
import yaml

from s3dnn_ros.engines import make_engine
from s3dnn_ros.lab import networks
from s3dnn_ros.runtime.clock import SystemClock


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
    monkeypatch.setattr('s3dnn_ros.lab.load.SETTLE_S', 0.05)
    return networks.prepare(engine, engine.clock, {tiny_model: 2}, max_batch=8, target_ms=1.0,
                            repeats=5, say=lambda sentence: None)


