"""Builders that several test modules share; factories, so that properties can use them too."""

import logging

import hypothesis
import numpy as np
import pytest

from s3dnn_ros.models.spec import ModelSpec
from s3dnn_ros.settings import ExecutorSettings, GovernorSettings
from s3dnn_ros.settings.parameters import read
from s3dnn_ros.strategy.workload import ScaledModel, Task, Variant, Workload
from s3dnn_ros.transport.frames import FrameBatch, FrameInfo, Transform

# Reproducible, and nothing written into the checkout.
hypothesis.settings.register_profile('s3dnn', deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile('s3dnn')


class Sentences(logging.Handler):
    """What the package logs, as sentences; `callbacks` are called with each."""

    def __init__(self):
        super().__init__()
        self.said = []
        self.callbacks = []

    def emit(self, record):
        self.said.append(record.getMessage())
        for callback in self.callbacks:
            callback(record.getMessage())


@pytest.fixture
def sentences():
    """Return the handler that keeps what the package logs while the test runs."""
    logger, handler = logging.getLogger('s3dnn_ros'), Sentences()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def said(sentences):
    """Return the list of what the package has logged."""
    return sentences.said


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


@pytest.fixture(scope='session')
def write_bag():
    """Return a function that writes a bag of images, `topics` in it by name.

    Each topic has (seconds, encoding, array) of its messages; `jpeg` and `png` are compressed,
    with bytes instead of an array, and None instead of both is a message of another kind.
    """
    pytest.importorskip('rosbags', reason='rosbags is not here')
    from rosbags import rosbag2
    from rosbags.typesys import Stores, get_typestore

    types = get_typestore(Stores.ROS2_HUMBLE)
    stamp = types.types['builtin_interfaces/msg/Time'](1, 2)
    header = types.types['std_msgs/msg/Header'](stamp, 'camera')

    def message(encoding, content):
        if encoding is None:
            return stamp
        if encoding in ('jpeg', 'png'):
            return types.types['sensor_msgs/msg/CompressedImage'](
                header, encoding, np.frombuffer(content, np.uint8))
        height, width = content.shape[:2]
        return types.types['sensor_msgs/msg/Image'](
            header, height, width, encoding, int(content.dtype.byteorder == '>'),
            content.strides[0], np.frombuffer(content.tobytes(), np.uint8))

    def writer(path, storage):
        if hasattr(rosbag2, 'StoragePlugin'):
            return rosbag2.Writer(path, version=9,
                                  storage_plugin=rosbag2.StoragePlugin[storage.upper()])
        if storage == 'mcap':
            pytest.skip('this version of rosbags writes no mcap')
        return rosbag2.Writer(path)

    def write(path, topics, storage='sqlite3'):
        with writer(path, storage) as bag:
            for topic, entries in topics.items():
                kind = message(*(entries[0][1:] if entries else (None, None))).__msgtype__
                connection = bag.add_connection(topic, kind, typestore=types)
                for seconds, encoding, content in entries:
                    bag.write(connection, int(seconds * 1e9),
                              types.serialize_cdr(message(encoding, content), kind))
        return path
    return write


@pytest.fixture(scope='session')
def make_workload():
    """Return a builder of Workload: tasks that ask for `load` of the device with exact models.

    Every further variant takes `step` of the time of the one before it, and loses 1 of 100.
    """
    def build(tasks=3, variants=3, *, load=0.5, step=0.7, storage_limit_mb=1e6, tolerated=0.05,
              before_s=0.001, behind_s=0.001, utilization=1.0):
        made = []
        for index in range(tasks):
            period_s = 0.05 * (index + 1)
            model = ScaledModel(f'net_{index}', 100.0, tuple(
                Variant(before_s, load / tasks * period_s * step ** variant, behind_s,
                        utilization, float(variant), 100.0 * step ** variant)
                for variant in range(variants)))
            made.append(Task(f'task_{index}', model, period_s, period_s, tolerated))
        return Workload('made', 'simulated', storage_limit_mb, tuple(made))
    return build
