"""Networks load with errors a user can act on, and take images like they took tensors."""

import hashlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.graph import (
    as_far_as_read,
    batch_of,
    image_network,
    load_graph,
    with_image_input,
)

# The network sees (x - mean) / std; the graph multiplies by the inverse instead.
ROUNDING = 1e-6


@pytest.fixture
def save(make_spec):
    def save(model, **changes):
        spec = make_spec(**changes)
        spec.onnx.write_bytes(model.SerializeToString())
        return spec

    return save


def normalised(pixels, spec):
    floats = (pixels.astype(np.float32) - np.float32(spec.mean)) / np.float32(spec.std)
    return np.ascontiguousarray(floats.transpose(0, 3, 1, 2))


def random_pixels(images):
    return np.random.default_rng(1).integers(0, 256, (images, 6, 8, 3), np.uint8)


def test_a_good_file_loads(save, make_network):
    spec = save(make_network(None))
    digest = hashlib.sha256(spec.onnx.read_bytes()).hexdigest()
    assert load_graph(save(make_network(None), sha256=digest)).graph.node[0].op_type == 'Conv'


def test_a_missing_file_says_what_to_do(make_spec):
    with pytest.raises(ModelError, match=r'tiny\.onnx.*put the file there'):
        load_graph(make_spec())
    with pytest.raises(ModelError, match='s3dnn models export nanodet_g'):
        load_graph(make_spec(zoo='nanodet_g'))


def test_another_file_than_the_stated_one_is_refused(save, make_network):
    with pytest.raises(ModelError, match=f'not {"0" * 64}'):
        load_graph(save(make_network(None), sha256='0' * 64))


@pytest.mark.parametrize('kept', [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(save, make_network, kept):
    spec = save(make_network(None))
    content = spec.onnx.read_bytes()
    spec.onnx.write_bytes(content[:int(len(content) * kept)])
    with pytest.raises(ModelError, match=r'tiny\.onnx'):
        load_graph(spec)


def test_text_in_place_of_a_network_is_refused(make_spec):
    spec = make_spec()
    spec.onnx.write_text('oid sha256:4d7a\nsize 7574558\n', encoding='utf-8')
    with pytest.raises(ModelError, match=r'tiny\.onnx'):
        load_graph(spec)


def test_a_graph_that_uses_an_undefined_tensor_is_refused(save, make_network):
    broken = make_network([helper.make_node('Relu', ['nothing'], ['y'])])
    with pytest.raises(ModelError, match='not valid ONNX'):
        load_graph(save(broken))


@pytest.mark.parametrize(('shape', 'told'), [
    (('N', 3, 6, 9), r'says 8 × 6'),
    (('N', 3, 8, 6), r'says 8 × 6'),
    (('N', 1, 6, 8), r'\[N, 3, H, W\]'),
    ((3, 6, 8), r'\[N, 3, H, W\]'),
    ((2**62, 3, 6, 8), 'export it for one image'),
])
def test_an_input_of_another_shape_is_refused(save, make_network, shape, told):
    with pytest.raises(ModelError, match=told):
        load_graph(save(make_network(None, shape=shape)))


def test_inputs_besides_the_image_are_refused(save, make_network):
    model = make_network(None)
    model.graph.input.append(helper.make_tensor_value_info('scale', TensorProto.FLOAT, [1]))
    with pytest.raises(ModelError, match=r'tiny\.onnx.*x, scale'):
        load_graph(save(model))


@pytest.mark.parametrize('kind, told', [(TensorProto.UINT8, 'UINT8'), (99, 'unknown type 99')])
def test_an_integer_input_is_refused(make_spec, kind, told):
    cast = helper.make_node('Cast', ['x'], ['y'], to=TensorProto.FLOAT)
    graph = helper.make_graph(
        [cast], 'g', [helper.make_tensor_value_info('x', kind, ['N', 3, 6, 8])],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['N', 3, 6, 8])])
    with pytest.raises(ModelError, match=told):
        with_image_input(helper.make_model(graph), make_spec())


def test_the_graph_preprocesses_as_one_would_by_hand(make_network, make_spec, run_onnx):
    model, spec, pixels = make_network(None), make_spec(), random_pixels(3)
    fed = with_image_input(model, spec)
    expected, = run_onnx(model, x=normalised(pixels, spec))
    np.testing.assert_allclose(run_onnx(fed, image=pixels)[0], expected, ROUNDING, 1e-4)
    assert batch_of(fed) == 0
    assert [value.name for value in fed.graph.input] == ['image']


def test_the_model_that_is_given_stays_as_it_was(make_network, make_spec):
    model = make_network(None, shape=(1, 3, 6, 8), output=(1, 4, 6, 8))
    before = model.SerializeToString()
    with_image_input(model, make_spec())
    assert model.SerializeToString() == before


def test_a_half_precision_network_gets_half_precision(make_network, make_spec, run_onnx):
    model = make_network(None, element_type=TensorProto.FLOAT16)
    fed = with_image_input(model, make_spec())
    pixels = random_pixels(1)
    expected, = run_onnx(model, x=normalised(pixels, make_spec()).astype(np.float16))
    got, = run_onnx(fed, image=pixels)
    assert got.dtype == np.float16
    np.testing.assert_allclose(got, expected, 2e-2, 0.2)


def test_a_network_that_takes_pixels_last_is_not_transposed(make_spec, run_onnx):
    graph = helper.make_graph(
        [helper.make_node('Relu', ['x'], ['y'])], 'g',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, [None, 6, 8, 3])],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, [None, 6, 8, 3])])
    model = helper.make_model(
        graph, ir_version=7, opset_imports=[helper.make_opsetid('', 13)])
    spec, pixels = make_spec(), random_pixels(2)
    got, = run_onnx(with_image_input(model, spec), image=pixels)
    expected = np.maximum(normalised(pixels, spec), 0).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(got, expected, ROUNDING, 1e-5)


def test_an_input_already_called_image_is_renamed(make_network, make_spec, run_onnx):
    model = make_network(None, name='image')
    spec, pixels = make_spec(), random_pixels(1)
    got, = run_onnx(with_image_input(model, spec), image=pixels)
    expected, = run_onnx(model, image=normalised(pixels, spec))
    np.testing.assert_allclose(got, expected, ROUNDING, 1e-4)


def test_an_output_called_image_is_refused(make_network, make_spec):
    model = make_network([helper.make_node('Relu', ['features'], ['image'])])
    model.graph.output[0].name = 'image'
    with pytest.raises(ModelError, match='rename the output'):
        with_image_input(model, make_spec())


def reshape(shape):
    return [helper.make_node('Reshape', ['features', 'shape'], ['y'])], {
        'shape': np.array(shape, np.int64)}


def resize_then_add():
    # The constant size carries the batch of one, and the addition would broadcast it away.
    nodes = [
        helper.make_node('Resize', ['features', '', '', 'sizes'], ['small'], mode='nearest'),
        helper.make_node('Add', ['features', 'small'], ['y']),
    ]
    return nodes, {'sizes': np.array([1, 4, 6, 8], np.int64)}


@pytest.mark.parametrize(('tail', 'output', 'free'), [
    ((None, None), (1, 4, 6, 8), True),
    (reshape([-1, 192]), (1, 192), True),
    (reshape([0, 192]), (1, 192), True),
    (reshape([1, -1]), (1, 192), False),
    (reshape([1, 192]), (1, 192), False),
    (reshape([-1, 4]), (48, 4), False),
    (resize_then_add(), (1, 4, 6, 8), False),
])
def test_a_fixed_batch_is_freed_only_where_the_network_allows(
        make_network, make_spec, run_onnx, tail, output, free):
    nodes, constants = tail
    model = make_network(nodes, (1, 3, 6, 8), output, constants)
    onnx.checker.check_model(model, full_check=True)
    spec, pixels = make_spec(), random_pixels(3)
    fed = with_image_input(model, spec)
    assert batch_of(fed) == (0 if free else 1)
    images = pixels if free else pixels[:1]
    one_by_one = [run_onnx(model, x=normalised(image[None], spec))[0] for image in images]
    np.testing.assert_allclose(
        run_onnx(fed, image=images)[0], np.concatenate(one_by_one), ROUNDING, 1e-4)


@pytest.mark.parametrize('batch', [-1, 0, None, 'batch'])
def test_every_way_to_say_any_batch_is_understood(make_network, make_spec, batch):
    fed = with_image_input(make_network(None, (batch, 3, 6, 8), (batch, 4, 6, 8)), make_spec())
    assert batch_of(fed) == 0


def test_a_fixed_batch_of_two_stays_two(make_network, make_spec):
    nodes, constants = reshape([2, 192])
    model = make_network(nodes, (2, 3, 6, 8), (2, 192), constants)
    assert batch_of(with_image_input(model, make_spec())) == 2


def several_outputs():
    """Return a network with scores, a loss for the whole batch, and masks with a weight."""
    scores = helper.make_graph([helper.make_node('Identity', ['pooled'], ['inner'])], 'then', [], [
        helper.make_tensor_value_info('inner', TensorProto.FLOAT, None)])
    nodes = [
        helper.make_node('ReduceMean', ['x'], ['loss'], keepdims=0),
        helper.make_node('Conv', ['x', 'weight'], ['masks']),
        helper.make_node('GlobalAveragePool', ['x'], ['average']),
        helper.make_node('Flatten', ['average'], ['pooled']),
        # reads 'pooled' in its branches alone
        helper.make_node('If', ['always'], ['scores'], then_branch=scores, else_branch=scores),
    ]
    stored = {'weight': np.ones((5, 3, 1, 1), np.float32), 'always': np.array(True)}
    shapes = {'scores': ['N', 3], 'loss': [], 'masks': ['N', 5, 6, 8]}
    return helper.make_model(helper.make_graph(
        nodes, 'several', [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, 6, 8])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
         for name, shape in shapes.items()],
        [onnx.numpy_helper.from_array(array, name) for name, array in stored.items()],
    ), ir_version=8, opset_imports=[helper.make_opsetid('', 13)])


def test_what_nobody_reads_is_left_out_with_all_it_needs(save, run_onnx):
    spec = save(several_outputs(), decoder='classification', decoder_options={'output': 'scores'})
    network = image_network(spec)
    assert [value.name for value in network.graph.output] == ['scores']
    assert 'weight' not in {tensor.name for tensor in network.graph.initializer}
    pixels = random_pixels(2)
    expected = normalised(pixels, spec).mean(axis=(2, 3))
    np.testing.assert_allclose(run_onnx(network, image=pixels)[0], expected, atol=1e-5)


def test_outputs_that_are_refused_all_stay(save):
    """So that the sentence names them."""
    model = several_outputs()
    for options in ({}, {'output': 'absent'}):
        spec = save(model, decoder='classification', decoder_options=options)
        assert as_far_as_read(load_graph(spec), spec) == load_graph(spec)


@pytest.mark.parametrize('stated, opset, wanted', [
    (4, 13, 4), (7, 13, 7), (13, 13, 7), (99, 17, 8), (13, 21, 10)])
def test_a_newer_format_is_lowered_to_what_its_operators_need(
        save, make_network, stated, opset, wanted):
    model = make_network(None)
    model.ir_version = stated
    model.opset_import[0].version = opset
    assert load_graph(save(model)).ir_version == wanted


def test_a_format_for_operators_of_the_future_stays_as_it_is(save, make_network):
    model = make_network(None)
    model.opset_import[0].version = 9999
    assert load_graph(save(model)).ir_version == model.ir_version


@pytest.fixture
def with_sizes(save, make_network):
    """Return what saves a network with a second input, and gives its description."""
    def build(shape=('N', 2), kind=TensorProto.INT64, **changes):
        model = make_network([
            helper.make_node('Cast', ['sizes'], ['floats'], to=TensorProto.FLOAT),
            helper.make_node('ReduceSum', ['floats', 'axis'], ['sum'], keepdims=1),
            helper.make_node('Unsqueeze', ['sum', 'last'], ['scale']),
            helper.make_node('Mul', ['features', 'scale'], ['y'])],
            constants={'axis': np.array([1]), 'last': np.array([2, 3])})
        model.graph.input.append(helper.make_tensor_value_info('sizes', kind, shape))
        return save(model, **changes)
    return build


@pytest.mark.parametrize('kind', [TensorProto.INT64, TensorProto.FLOAT, TensorProto.INT32])
def test_an_input_beside_the_image_is_what_the_description_gives(with_sizes, make_network, save,
                                                                 kind):
    runtime = pytest.importorskip('onnxruntime')
    network = image_network(with_sizes(kind=kind, inputs={'sizes': (3, 4)}))
    assert [value.name for value in network.graph.input] == ['image']
    pixels = random_pixels(2)
    found, = runtime.InferenceSession(network.SerializeToString()).run(None, {'image': pixels})
    plain = image_network(save(make_network([helper.make_node('Identity', ['features'], ['y'])])))
    expected, = runtime.InferenceSession(plain.SerializeToString()).run(None, {'image': pixels})
    np.testing.assert_allclose(found, 7.0 * expected, 1e-4)


@pytest.mark.parametrize('inputs, told', [
    ({}, r'2 inputs \(x, sizes\).*give the values of the others as `inputs: \{NAME'),
    ({'size': (3, 4)}, r"input 'size': is not there.*there are x, sizes"),
    ({'sizes': (3, 4, 5)}, r'shape \[1, 2\].*gives 3 numbers')])
def test_inputs_that_are_not_as_the_description_says(with_sizes, inputs, told):
    with pytest.raises(ModelError, match=told):
        image_network(with_sizes(inputs=inputs))
