"""A network of two segments, each in variants that give different results."""

import sys
import types
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

# importlib mode leaves the tests' directories off sys.path
sys.path.insert(0, str(Path(__file__).resolve().parent / 'fakes'))

SIDE = 4


def _segment(nodes, source, kind, target, shape, **constants):
    return helper.make_model(helper.make_graph(
        nodes, 'segment', [helper.make_tensor_value_info(source, kind, ['N', *shape])],
        [helper.make_tensor_value_info(target, TensorProto.FLOAT, ['N', *(
            shape if target == 'scaled' else ())])],
        [onnx.numpy_helper.from_array(np.array(value, np.float32), name)
         for name, value in constants.items()]),
        opset_imports=[helper.make_opsetid('', 13)], ir_version=8)


def _scale(factor):
    return _segment([helper.make_node('Cast', ['image'], ['float'], to=TensorProto.FLOAT),
                     helper.make_node('Mul', ['float', 'factor'], ['scaled'])],
                    'image', TensorProto.UINT8, 'scaled', (SIDE, SIDE, 3), factor=factor)


def _sum(addend):
    return _segment([helper.make_node('ReduceMean', ['scaled'], ['mean'], axes=[1, 2, 3],
                                      keepdims=0),
                     helper.make_node('Add', ['mean', 'addend'], ['score'])],
                    'scaled', TensorProto.FLOAT, 'score', (SIDE, SIDE, 3), addend=addend)


@pytest.fixture
def in_variants(make_spec):
    """Return what to load: three variants of a factor, two of what is added to the mean."""
    factors, addends = (1.0, 2.0, 4.0), (0.0, 8.0)

    def load(engine, **options):
        models = [[_scale(factor) for factor in factors], [_sum(addend) for addend in addends]]
        return engine.load('net', [exact for exact, *_ in models], ['score'],
                           make_spec(width=SIDE, height=SIDE),
                           coarser=[others for _, *others in models], **options)

    return types.SimpleNamespace(
        factors=factors, addends=addends, load=load,
        images=lambda *values: np.stack(
            [np.full((SIDE, SIDE, 3), value, np.uint8) for value in values]))


@pytest.fixture
def fake_tensorrt(monkeypatch):
    """Return a function that gives the face of a fake version of TensorRT."""
    import fake_tensorrt

    from s3dnn_ros.engines.tensorrt.api import TensorRt

    def install(version):
        monkeypatch.setitem(sys.modules, 'tensorrt', fake_tensorrt.fake_tensorrt(version))
        return TensorRt()
    return install
