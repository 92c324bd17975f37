"""Builders that several test modules share; factories, so that properties can use them too."""

import hypothesis
import numpy as np
import pytest

from s3dnn_ros.frames import FrameBatch, FrameInfo, Transform
from s3dnn_ros.models.spec import ModelSpec
from s3dnn_ros.parameters import read
from s3dnn_ros.settings import ExecutorSettings, GovernorSettings

# Reproducible, and nothing written into the checkout.
hypothesis.settings.register_profile('s3dnn', deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile('s3dnn')


@pytest.fixture(scope='session')
def make_frame():
    """Return a builder of FrameInfo."""
    def build(camera='front', *, deadline_s=1.0, stamp_ns=1, sequence=1, width=4, height=4):
        return FrameInfo(camera, f'{camera}_optical', stamp_ns, sequence, width, height,
                         Transform(1.0, 1.0), 0.0, deadline_s)
    return build


@pytest.fixture(scope='session')
def make_spec(tmp_path_factory):
    """Return a builder of ModelSpec: a tiny classifier, unless told otherwise."""
    nowhere = tmp_path_factory.getbasetemp() / 'nowhere.onnx'

    def build(**changes):
        values = {
            'name': 'tiny', 'onnx': nowhere, 'width': 4, 'height': 4, 'colour': 'bgr',
            'mean': (0.0, 0.0, 0.0), 'std': (255.0, 255.0, 255.0), 'resize': 'stretch',
            'decoder': 'classification', 'labels': ('blue', 'green', 'red'),
        }
        values.update(changes)
        return ModelSpec(**values)
    return build


@pytest.fixture(scope='session')
def make_batch(make_frame):
    """Return a builder of FrameBatch; each release() is counted in `releases`."""
    def build(*frames, instance='net', model='tiny', pixels=None, intact=True, releases=None):
        def release():
            if releases is not None:
                releases.append(instance)
            return intact

        frames = frames or (make_frame(),)
        if pixels is None:
            pixels = np.zeros((len(frames), 4, 4, 3), np.uint8)
        return FrameBatch('governor', 1, instance, model, frames, 0.0, pixels, release)
    return build


@pytest.fixture(scope='session')
def tiny_onnx(tmp_path_factory):
    """Return the path of a network whose class scores are the mean of each colour plane."""
    onnx = pytest.importorskip('onnx')
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('GlobalAveragePool', ['x'], ['scores'])], 'tiny',
        [onnx.helper.make_tensor_value_info('x', floats, ['N', 3, 4, 4])],
        [onnx.helper.make_tensor_value_info('scores', floats, ['N', 3, 1, 1])])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)],
                                   ir_version=8)
    path = tmp_path_factory.mktemp('models') / 'tiny.onnx'
    onnx.save(model, str(path))
    return path


@pytest.fixture(scope='session')
def governor_settings():
    """Return a builder of GovernorSettings from flat values."""
    def build(cameras=('front',), instances=('net',), **values):
        flat = {'camera_names': list(cameras), 'instance_names': list(instances)}
        flat.update({f'instances.{name}.model': 'tiny' for name in instances})
        flat.update({name.replace('__', '.'): value for name, value in values.items()})
        return read(GovernorSettings, flat)
    return build


@pytest.fixture(scope='session')
def executor_settings():
    """Return a builder of ExecutorSettings from flat values."""
    def build(instances=('net',), **values):
        flat = {'instance_names': list(instances), 'warmup_runs': 1}
        flat.update({f'instances.{name}.model': 'tiny' for name in instances})
        flat.update({name.replace('__', '.'): value for name, value in values.items()})
        return read(ExecutorSettings, flat)
    return build
