"""What layers read from images, as an engine gives it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.models.graph import with_image_input
from s3dnn_ros.profiling.calibrator import calibrate

pytest.importorskip('onnxruntime')


@pytest.fixture(name='engine', scope='module')
def _engine():
    engine, _ = make_engine('onnxruntime', SystemClock(), 1)
    yield engine
    engine.close()


@pytest.fixture
def build(make_spec, tmp_path):
    """Return a builder of description and network: two convolutions, pooled, and a product."""
    def made(batch='N', seed=0):
        rng = np.random.default_rng(seed)
        graph = helper.make_graph(
            [helper.make_node('Conv', ['x', 'v'], ['a'], 'one', pads=[1] * 4),
             helper.make_node('Conv', ['a', 'w'], ['b'], 'two', pads=[1] * 4),
             helper.make_node('GlobalAveragePool', ['b'], ['c']),
             helper.make_node('Flatten', ['c'], ['features']),
             helper.make_node('Gemm', ['features', 'm'], ['scores'], 'head')], 'net',
            [helper.make_tensor_value_info('x', TensorProto.FLOAT, [batch, 3, 4, 4])],
            [helper.make_tensor_value_info('features', TensorProto.FLOAT, [batch, 6]),
             helper.make_tensor_value_info('scores', TensorProto.FLOAT, [batch, 9])],
            [numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
             for name, shape in (('v', (8, 3, 3, 3)), ('w', (6, 8, 3, 3)), ('m', (6, 9)))])
        path = tmp_path / 'net.onnx'
        onnx.save(helper.make_model(graph, ir_version=8,
                                    opset_imports=[helper.make_opsetid('', 13)]), str(path))
        spec = make_spec(name='net', onnx=path, labels=())
        return spec, with_image_input(onnx.load(str(path)), spec)

    return made


def photos(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)


@pytest.mark.parametrize('batch', ['N', 2])
def test_moments_are_those_of_all_images_and_colours_are_left_out(engine, build, batch):
    spec, model = build(batch)
    found = calibrate(engine, spec, model, photos(3), '3 photos')
    assert found.source == '3 photos' and len(found.sha256) == 64
    assert {key: (read.sums.shape, read.samples) for key, read in found.moments.items()} == {
        ('a', 1): ((8,), 3 * 16), ('features', -1): ((6,), 3)}
    network = engine.load('net', [model], ['features'], spec)
    rows = np.concatenate([network.run(image[np.newaxis])['features'] for image in photos(3)])
    np.testing.assert_allclose(found.moments['features', -1].products, rows.T @ rows, rtol=1e-5)


def test_the_network_stays_as_it_is(engine, build):
    spec, model = build()
    before = model.SerializeToString(deterministic=True)
    calibrate(engine, spec, model, photos(1), '')
    assert model.SerializeToString(deterministic=True) == before


def test_a_calibration_is_known_by_network_and_images(engine, build):
    spec, model = build()
    first, again, others = (calibrate(engine, spec, model, images, '').sha256
                            for images in (photos(2), photos(2), photos(2, seed=1)))
    assert first == again != others
    assert calibrate(engine, *build(seed=1), photos(2), '').sha256 != first


def test_a_network_without_such_layers_reads_nothing(engine, make_spec, tmp_path):
    graph = helper.make_graph(
        [helper.make_node('GlobalAveragePool', ['x'], ['scores'])], 'net',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, 4, 4])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', 3, 1, 1])])
    spec = make_spec(name='net', onnx=tmp_path / 'net.onnx')
    model = with_image_input(helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid('', 13)]), spec)
    assert calibrate(engine, spec, model, photos(1), '').moments == {}
