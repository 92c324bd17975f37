"""Builders for model descriptions and small networks, and the assets where they are fetched."""

import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.models.assets import ASSETS
from s3dnn_ros.models.spec import ModelSpec

# importlib mode leaves the tests' directories off sys.path
sys.path.insert(0, str(Path(__file__).parent))
FETCHED_CACHE = os.environ.get('S3DNN_CACHE', '')


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep the user's cache, model path and ROS installation out of the tests."""
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    monkeypatch.delenv('S3DNN_MODEL_PATH', raising=False)
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
    return tmp_path / 'cache'


@pytest.fixture
def fetched():
    """Return a function that gives the path of a fetched asset, or skips the test."""
    def path_of(name):
        path = Path(FETCHED_CACHE) / 'assets' / name
        if not FETCHED_CACHE or not path.is_file():
            pytest.skip(f'{name} is not under $S3DNN_CACHE; run `s3dnn models fetch --all`')
        return path

    return path_of


@pytest.fixture
def fetched_cache(monkeypatch, fetched):
    """Work in the user's cache, which holds every asset; skip where it does not."""
    for name in ASSETS:
        fetched(name)
    monkeypatch.setenv('S3DNN_CACHE', FETCHED_CACHE)


@pytest.fixture
def make_spec(tmp_path):
    """Return a builder of model descriptions of an 8 × 6 network."""
    def build(**changes):
        values = {
            'name': 'tiny', 'onnx': tmp_path / 'tiny.onnx', 'width': 8, 'height': 6,
            'colour': 'bgr', 'mean': (10.0, 20.0, 30.0), 'std': (2.0, 4.0, 5.0),
            'resize': 'stretch', 'decoder': 'classification',
        }
        values.update(changes)
        return ModelSpec(**values)

    return build


@pytest.fixture
def make_network():
    """Return a builder of networks: a 3 × 3 convolution, then the given nodes."""
    def build(tail, shape=('N', 3, 6, 8), output=('N', 4, 6, 8), constants=None,
              name='x', element_type=TensorProto.FLOAT):
        rng = np.random.default_rng(0)
        numpy_type = np.float16 if element_type == TensorProto.FLOAT16 else np.float32
        weights = {'w': rng.normal(size=(4, 3, 3, 3)).astype(numpy_type)}
        weights.update(constants or {})
        nodes = [helper.make_node('Conv', [name, 'w'], ['features'], 'conv', pads=[1] * 4)]
        graph = helper.make_graph(
            [*nodes, *(tail or [helper.make_node('Relu', ['features'], ['y'])])], 'tiny',
            [helper.make_tensor_value_info(name, element_type, shape)],
            [helper.make_tensor_value_info('y', element_type, output)],
            [numpy_helper.from_array(array, key) for key, array in weights.items()],
        )
        return helper.make_model(
            graph, ir_version=7, opset_imports=[helper.make_opsetid('', 13)])

    return build


@pytest.fixture
def run_onnx():
    """Return a function that runs a model on ONNX Runtime."""
    onnxruntime = pytest.importorskip('onnxruntime')

    def run(model, **inputs):
        onnx.checker.check_model(model)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=['CPUExecutionProvider'])
        return session.run(None, inputs)

    return run
