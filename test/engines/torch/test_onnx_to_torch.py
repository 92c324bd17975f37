"""Translated networks compute what ONNX Runtime computes, without looking at the data."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')

from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.engines.torch.onnx_to_torch import OPERATORS, to_torch
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.graph import load_graph, with_image_input
from s3dnn_ros.models.spec import load_spec

TOLERANCE = dict(rtol=1e-4, atol=1e-5)
HALF_TOLERANCE = 2e-2       # of the largest number
CACHE = os.environ.get('S3DNN_CACHE', '')
FEW = settings(max_examples=40)


class Constant:
    """An input that the network carries."""

    def __init__(self, *values, dtype=np.int64):
        self.array = np.array(values[0] if len(values) == 1 else values, dtype)


def ints(*values):
    return Constant(list(values))


def floats(*shape, low=-2.0, high=2.0, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def weights(*shape, **options):
    return Constant(floats(*shape, **{'seed': 1, **options}), dtype=np.float32)


def number(value):
    return Constant(value, dtype=np.float32)


def network(nodes, inputs, outputs, constants=(), opset=13):
    """Return a model; `inputs` are arrays, or ready descriptions, by name."""
    described = [
        value if isinstance(value, onnx.ValueInfoProto) else helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in inputs.items()]
    graph = helper.make_graph(
        nodes, 'test', described, [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in dict(constants).items()])
    return helper.make_model(graph, ir_version=8,
                             opset_imports=[helper.make_opsetid('', opset)])


def expected(model, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=['CPUExecutionProvider'])
    return session.run(None, inputs)


def run(translated, inputs):
    with torch.inference_mode():
        outputs = translated(*(torch.from_numpy(inputs[name].copy())
                               for name in translated.input_names))
    assert len(outputs) == len(translated.output_names)
    return [output.numpy() for output in outputs]


def shapes_on_meta(model, inputs):
    """Return the shapes of the outputs, computed without any data."""
    translated = to_torch(model, device='meta')
    outputs = translated(*(torch.from_numpy(inputs[name]).to('meta')
                           for name in translated.input_names))
    return [tuple(output.shape) for output in outputs]


def check(model, inputs):
    """Compare with ONNX Runtime, twice, and run without data; return the translation."""
    translated, wanted = to_torch(model), expected(model, inputs)
    for _ in range(2):
        for found, want in zip(run(translated, inputs), wanted):
            assert found.dtype == want.dtype
            assert found.shape == want.shape
            np.testing.assert_allclose(found, want, **TOLERANCE)
    assert shapes_on_meta(model, inputs) == [want.shape for want in wanted]
    return translated


def single(kind, *arguments, opset=13, outputs=1, **attributes):
    """Return a network of one node and its inputs; None stands for an absent input."""
    inputs, constants, names = {}, {}, []
    for index, argument in enumerate(arguments):
        name = f'x{index}'
        if isinstance(argument, Constant):
            constants[name] = argument.array
        elif argument is not None:
            inputs[name] = argument
        names.append('' if argument is None else name)
    results = [f'y{index}' for index in range(outputs)]
    node = helper.make_node(kind, names, results, **attributes)
    return network([node], inputs, results, constants, opset), inputs


def case(kind, *arguments, **options):
    label = '-'.join(f'{key}_{value}' for key, value in options.items())
    return pytest.param(kind, arguments, options, id=f'{kind}-{label}'.replace(' ', ''))


IMAGE = floats(2, 4, 7, 6)
POSITIVE = floats(2, 3, 4, low=0.1)
LINE, ROW = floats(2, 3, 4), floats(3, 1, seed=2)
COUNTS, MORE = np.arange(-6, 6).reshape(3, 4), np.full((3, 4), 4)
TRUTH = LINE > 0

UNARY = [case(kind, LINE) for kind in (
    'Abs', 'Ceil', 'Cos', 'Elu', 'Erf', 'Exp', 'Floor', 'HardSigmoid', 'Identity', 'LeakyRelu',
    'LogSoftmax', 'Neg', 'Reciprocal', 'Relu', 'Round', 'Selu', 'Sigmoid', 'Sign', 'Sin',
    'Softmax', 'Softplus', 'Softsign', 'Tanh', 'Max', 'Min', 'Sum', 'Mean', 'Dropout')] + [
    case('Log', POSITIVE), case('Sqrt', POSITIVE), case('Not', TRUTH),
    case('HardSwish', 3 * LINE, opset=14), case('Mish', LINE, opset=18),
    case('Gelu', LINE, opset=20), case('Gelu', LINE, opset=20, approximate='tanh'),
    case('Round', np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)),
    case('Elu', LINE, alpha=0.3), case('Selu', LINE, alpha=1.2, gamma=0.7),
    case('LeakyRelu', LINE, alpha=0.3), case('HardSigmoid', 3 * LINE, alpha=0.3, beta=0.4),
    case('HardSigmoid', 3 * LINE, alpha=1 / 6, beta=0.5),
    case('Clip', LINE, opset=9, min=-0.5, max=0.5), case('Clip', LINE, opset=9, min=0.2),
    case('Clip', LINE, number(-0.5), number(1.0)), case('Clip', LINE, None, number(1.0)),
    case('Clip', LINE), case('Clip', COUNTS, Constant(0)),
    case('Dropout', LINE, number(0.5)),
    *(case(kind, LINE, opset=opset, axis=axis) for kind in ('Softmax', 'LogSoftmax')
      for opset in (11, 13) for axis in (0, 1, 2, -1)),
    case('Softmax', LINE, opset=9), case('LogSoftmax', LINE, opset=9),
    *(case('Cast', LINE, to=to) for to in (TensorProto.INT64, TensorProto.BOOL,
                                           TensorProto.DOUBLE, TensorProto.FLOAT16)),
    case('Cast', COUNTS, to=TensorProto.FLOAT), case('Cast', TRUTH, to=TensorProto.INT32)]

BINARY = [case(kind, LINE, second) for kind in (
    'Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Equal', 'Greater', 'GreaterOrEqual', 'Less',
    'LessOrEqual', 'PRelu') for second in (ROW, weights(4), number(0.5))] + [
    case(kind, COUNTS, MORE) for kind in ('Add', 'Sub', 'Mul', 'Div', 'Equal', 'Mod')] + [
    case(kind, TRUTH, LINE > 1) for kind in ('And', 'Or', 'Xor')] + [
    case('Mod', LINE, ROW, fmod=1), case('Pow', POSITIVE, ROW), case('Pow', LINE, number(2.0)),
    case('Pow', LINE, Constant(3)), case('Sum', LINE, ROW, weights(4)),
    case('Mean', LINE, ROW, weights(4)), case('Max', LINE, ROW, weights(4)),
    case('Where', TRUTH, LINE, ROW), case('Where', TRUTH, LINE, number(-1.0)),
    case('MatMul', floats(2, 3, 4), floats(4, 5)), case('MatMul', floats(2, 3, 4), weights(4)),
    case('MatMul', floats(2, 1, 3, 4), floats(5, 4, 2)),
    case('Gemm', floats(2, 3), floats(3, 4)),
    case('Gemm', floats(2, 3), weights(3, 4), weights(4)),
    case('Gemm', floats(3, 2), weights(4, 3), weights(2, 1), transA=1, transB=1, alpha=0.5,
         beta=2.0)]

CONVOLUTIONS = [
    case('Conv', IMAGE, weights(5, 4, 3, 3)),
    case('Conv', IMAGE, weights(5, 4, 3, 3), weights(5), pads=[1, 1, 1, 1], strides=[2, 2]),
    case('Conv', IMAGE, weights(5, 4, 3, 3), pads=[0, 1, 2, 0]),
    case('Conv', IMAGE, weights(4, 1, 3, 2), weights(4), group=4, pads=[1, 0, 1, 0]),
    case('Conv', IMAGE, weights(6, 2, 3, 2), group=2, dilations=[2, 3], strides=[1, 2]),
    case('Conv', IMAGE, floats(5, 4, 1, 1)),
    *(case('Conv', IMAGE, weights(5, 4, 3, 2), auto_pad=auto, strides=strides)
      for auto in ('SAME_UPPER', 'SAME_LOWER', 'VALID') for strides in ([1, 1], [2, 3])),
    case('Conv', IMAGE, weights(5, 4, 3, 2), auto_pad='VALID', dilations=[2, 2]),
    case('Conv', floats(2, 3, 9), weights(4, 3, 3), weights(4), pads=[2, 1], strides=[2]),
    case('Conv', floats(1, 2, 4, 4, 4), weights(3, 2, 2, 2, 2)),
    case('ConvTranspose', IMAGE, weights(4, 5, 3, 3)),
    case('ConvTranspose', IMAGE, weights(4, 5, 3, 3), weights(5), strides=[2, 2],
         pads=[1, 1, 1, 1], output_padding=[1, 1]),
    case('ConvTranspose', IMAGE, weights(4, 5, 3, 3), weights(5), strides=[2, 2],
         pads=[0, 1, 1, 0], output_padding=[1, 0]),
    case('ConvTranspose', IMAGE, weights(4, 2, 2, 3), group=2, dilations=[2, 1]),
    case('ConvTranspose', IMAGE, weights(4, 5, 3, 3), strides=[2, 2], output_shape=[14, 12]),
    case('ConvTranspose', IMAGE, weights(4, 5, 3, 3), strides=[2, 2], auto_pad='SAME_UPPER'),
    case('ConvTranspose', IMAGE, weights(4, 5, 3, 3), strides=[2, 2], auto_pad='SAME_LOWER'),
    case('ConvTranspose', floats(2, 3, 5), weights(3, 4, 3), strides=[2])]

POOLS = [case(kind, IMAGE, kernel_shape=[3, 2], **options)
         for kind in ('MaxPool', 'AveragePool') for options in (
             dict(), dict(strides=[2, 2]), dict(strides=[2, 2], ceil_mode=1),
             dict(strides=[2, 2], pads=[1, 1, 1, 1]),
             dict(strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1),
             dict(strides=[2, 3], pads=[0, 1, 1, 0]), dict(pads=[2, 1, 2, 1]),
             dict(strides=[2, 2], auto_pad='SAME_UPPER'),
             dict(strides=[2, 2], auto_pad='SAME_LOWER'))] + [
    case('MaxPool', IMAGE, kernel_shape=[2, 3], dilations=[2, 2], pads=[1, 1, 1, 1]),
    *(case('AveragePool', IMAGE, kernel_shape=[3, 2], count_include_pad=1, **options)
      for options in (dict(pads=[1, 1, 1, 1]), dict(pads=[1, 1, 0, 0]),
                      dict(pads=[1, 1, 1, 1], strides=[2, 2], ceil_mode=1, opset=19))),
    case('MaxPool', floats(2, 3, 9), kernel_shape=[3], strides=[2], pads=[0, 1]),
    case('AveragePool', floats(2, 3, 9), kernel_shape=[3], strides=[2], pads=[0, 1]),
    case('GlobalAveragePool', IMAGE), case('GlobalMaxPool', IMAGE),
    case('GlobalAveragePool', LINE)]

NORMALISATIONS = [
    case('BatchNormalization', IMAGE, weights(4), weights(4), weights(4),
         weights(4, low=0.5), epsilon=1e-3),
    case('BatchNormalization', floats(5, 4), weights(4), weights(4), weights(4),
         weights(4, low=0.5)),
    case('BatchNormalization', IMAGE, floats(4), floats(4), floats(4), floats(4, low=0.5)),
    case('InstanceNormalization', IMAGE, weights(4), weights(4)),
    case('LayerNormalization', IMAGE, weights(6), weights(6), opset=17),
    case('LayerNormalization', IMAGE, weights(7, 6), opset=17, axis=2, epsilon=1e-3),
    case('LRN', IMAGE, size=3, alpha=0.1, beta=0.6, bias=1.5),
    case('LRN', IMAGE, size=5, alpha=0.1)]

DEFAULT = dict(mode='nearest')
RESIZES = [
    case('Upsample', IMAGE, Constant([1, 1, 2, 3], dtype=np.float32), opset=9),
    case('Upsample', IMAGE, Constant([1, 1, 1.5, 2.3], dtype=np.float32), opset=9),
    case('Resize', IMAGE, Constant([1, 1, 1.7, 0.5], dtype=np.float32), opset=10),
    *(case('Resize', IMAGE, None, Constant([1, 1, *scales], dtype=np.float32), **options)
      for scales, options in (
          ((2, 3), DEFAULT), ((0.5, 1), DEFAULT),
          ((2, 2), dict(DEFAULT, coordinate_transformation_mode='asymmetric')),
          ((1.7, 2.6), dict(DEFAULT, coordinate_transformation_mode='asymmetric',
                            nearest_mode='floor')),
          ((1.9, 0.6), dict(DEFAULT, nearest_mode='round_prefer_ceil')),
          ((1.9, 2.6), dict(DEFAULT, coordinate_transformation_mode='tf_half_pixel_for_nn',
                            nearest_mode='floor')),
          *((scales, dict(mode='linear', opset=opset, coordinate_transformation_mode=where))
            for scales in ((2, 2), (1.7, 0.6)) for opset in (13, 19)
            for where in ('half_pixel', 'pytorch_half_pixel', 'align_corners')))),
    *(case('Resize', IMAGE, None, None, ints(2, 4, 10, 8), mode='linear',
           coordinate_transformation_mode=where)
      for where in ('half_pixel', 'pytorch_half_pixel', 'align_corners')),
    case('Resize', IMAGE, None, None, ints(2, 4, 14, 18)),
    case('Resize', IMAGE, None, None, ints(10, 8), mode='linear', opset=18, axes=[2, 3]),
    case('Resize', IMAGE, None, Constant([2, 3], dtype=np.float32), opset=18, axes=[3, 2]),
    case('Resize', LINE, None, Constant([1, 1, 2.5], dtype=np.float32), mode='linear')]

LAYOUTS = [
    case('Flatten', IMAGE), case('Flatten', IMAGE, axis=-1), case('Flatten', IMAGE, axis=0),
    case('Reshape', IMAGE, ints(0, -1)), case('Reshape', IMAGE, ints(2, 0, 42)),
    case('Reshape', floats(0, 3), ints(3, 0), opset=14, allowzero=1),
    case('Transpose', IMAGE), case('Transpose', IMAGE, perm=[0, 2, 3, 1]),
    case('Squeeze', floats(1, 3, 1, 2)), case('Squeeze', floats(1, 3, 1, 2), ints(-2, 0)),
    case('Squeeze', floats(1, 3, 1, 2), opset=11, axes=[2]),
    case('Unsqueeze', LINE, ints(0, -1)), case('Unsqueeze', LINE, opset=11, axes=[1, 3]),
    case('Concat', LINE, floats(2, 5, 4), weights(2, 1, 4), axis=-2),
    case('Split', IMAGE, outputs=2, axis=1), case('Split', IMAGE, outputs=2, opset=11, axis=2,
                                                  split=[3, 4]),
    case('Split', IMAGE, ints(1, 5), outputs=2, axis=-1),
    case('Split', IMAGE, outputs=3, opset=18, axis=2, num_outputs=3),
    case('Slice', IMAGE, opset=9, starts=[1, -3], ends=[9, -1], axes=[1, 2]),
    case('Slice', IMAGE, ints(0, 1), ints(2, 99)),
    case('Slice', IMAGE, ints(-1, 5), ints(-99, 0), ints(2, -1), ints(-2, -1)),
    case('Slice', IMAGE, ints(1, 0), ints(6, 99), ints(2, 3), ints(2, 4)),
    case('Slice', IMAGE, ints(5), ints(2), ints(2)),
    case('Gather', LINE, Constant(1)), case('Gather', LINE, Constant(-1), axis=-1),
    case('Gather', LINE, Constant([[0, -1], [2, 1]]), axis=1),
    case('Gather', LINE, np.array([0, -2, 1]), axis=2),
    case('GatherElements', LINE, np.array([[[0, -1, 1, 2]]] * 2), axis=1),
    case('GatherElements', LINE, Constant([[[0, -1, 1, 2]]] * 2), axis=-1),
    case('Pad', IMAGE, opset=9, pads=[0, 1, 2, 0, 0, 0, 1, 1], value=0.5),
    case('Pad', IMAGE, ints(0, 0, 1, 2, 0, 0, 0, 1), number(-1.0)),
    case('Pad', IMAGE, ints(1, 1, -1, 2, 0, 0, 0, -2)),
    case('Pad', IMAGE, ints(2, 1), None, ints(-1), opset=18),
    *(case('Pad', IMAGE, ints(0, 0, 1, 2, 0, 0, 0, 1), mode=mode) for mode in ('reflect', 'edge')),
    case('DepthToSpace', floats(2, 8, 3, 2), blocksize=2),
    case('DepthToSpace', floats(2, 8, 3, 2), blocksize=2, mode='CRD'),
    case('SpaceToDepth', floats(2, 3, 4, 6), blocksize=2),
    case('Expand', ROW, ints(2, 1, 4)), case('Expand', LINE, ints(1, 1)),
    case('Tile', LINE, ints(1, 2, 3)), case('Shape', IMAGE), case('Size', IMAGE),
    case('Shape', IMAGE, opset=15, start=1, end=-1)]

REDUCTIONS = [case(kind, IMAGE, **options)
              for kind in ('ReduceMean', 'ReduceSum', 'ReduceMax', 'ReduceMin', 'ReduceProd',
                           'ReduceL1', 'ReduceL2')
              for options in (dict(opset=11), dict(opset=11, axes=[1, -1], keepdims=0))] + [
    case('ReduceSum', IMAGE, ints(2, 3), keepdims=0), case('ReduceMax', IMAGE, ints(1), opset=18),
    case('ReduceL2', IMAGE, ints(1), opset=18), case('ReduceMean', IMAGE, opset=18,
                                                     noop_with_empty_axes=1),
    *(case(kind, IMAGE, **options) for kind in ('ArgMax', 'ArgMin')
      for options in (dict(), dict(axis=-2, keepdims=0))),
    case('TopK', IMAGE, ints(3), outputs=2), case('TopK', IMAGE, ints(2), outputs=2, axis=1,
                                                  largest=0)]

CASES = [*UNARY, *BINARY, *CONVOLUTIONS, *POOLS, *NORMALISATIONS, *RESIZES, *LAYOUTS, *REDUCTIONS]


@pytest.mark.parametrize(('kind', 'arguments', 'options'), CASES)
def test_an_operator_computes_what_onnxruntime_computes(kind, arguments, options):
    check(*single(kind, *arguments, **options))


def test_every_operator_has_a_case():
    made_of_others = {'Silu', 'ScaleShift'}
    of_constants = {'Constant', 'ConstantOfShape', 'Range'}
    assert {case.values[0] for case in CASES} == set(OPERATORS) - made_of_others - of_constants


@pytest.mark.parametrize(('options', 'scales'), [
    (dict(mode='cubic'), (2, 2)), (dict(mode='linear', antialias=1, opset=18), (0.5, 0.5)),
    (dict(mode='linear', coordinate_transformation_mode='asymmetric'), (2, 2)),
    (dict(mode='linear', coordinate_transformation_mode='tf_crop_and_resize'), (2, 2))])
def test_a_resize_that_torch_cannot_do_is_refused_at_translation(options, scales):
    model, _ = single('Resize', IMAGE, None, Constant([1, 1, *scales], dtype=np.float32),
                      **options)
    with pytest.raises(ModelError, match=rf'Resize with .*{options["mode"]}|antialias'):
        to_torch(model)


@pytest.mark.parametrize(('options', 'scales'), [
    (dict(), (1, 1, 1.75, 1)), (dict(nearest_mode='ceil'), (1, 1, 1.5, 1)),
    (dict(), (1, 2, 1, 1))])
def test_a_resize_that_needs_other_pixels_is_refused_at_the_first_run(options, scales):
    model, inputs = single('Resize', IMAGE, None, Constant(scales, dtype=np.float32), **options)
    with pytest.raises(ModelError, match=r'ONNX graph: Resize .*use the engine onnxruntime'):
        run(to_torch(model), inputs)


@FEW
@given(before=st.integers(1, 12), scale=st.floats(0.25, 4.0, width=32), rounding=st.sampled_from(
    ['floor', 'ceil', 'round_prefer_floor', 'round_prefer_ceil']), where=st.sampled_from(
    ['asymmetric', 'half_pixel', 'align_corners', 'pytorch_half_pixel']))
def test_a_nearest_resize_is_exact_or_refused(before, scale, rounding, where):
    if int(before * scale) in (0, before):
        # ONNX Runtime copies where the size stays, whatever the scale
        return
    model, inputs = single(
        'Resize', floats(1, 1, before, 3), None, Constant([1, 1, scale, 1], dtype=np.float32),
        mode='nearest', nearest_mode=rounding, coordinate_transformation_mode=where)
    try:
        found = run(to_torch(model), inputs)
    except ModelError:
        return
    np.testing.assert_array_equal(found[0], expected(model, inputs)[0])


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def constant(name, *values, dtype=np.int64):
    return helper.make_node('Constant', [], [name], value=numpy_helper.from_array(
        np.array(values if len(values) != 1 else values[0], dtype)))


def free(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def flattening():
    """Return what torch exports for x.view(x.size(0), -1)."""
    return network([
        node('Shape', 'x', 'shape'), constant('zero', 0),
        node('Gather', 'shape zero', 'images', axis=0), constant('axes', [0]),
        node('Unsqueeze', 'images axes', 'images_1'), constant('rest', [-1]),
        node('Concat', 'images_1 rest', 'sizes', axis=0), node('Reshape', 'x sizes', 'y'),
    ], {'x': free('x', 'N', 4, 'H', 'W')}, ['y'])


def grids():
    """Return a head that makes its grid from the size of the image, at one number per cell."""
    return network([
        node('Shape', 'x', 'shape'), constant('two', 2), constant('three', 3),
        node('Gather', 'shape two', 'height'), node('Gather', 'shape three', 'width'),
        constant('zero', 0), constant('one', 1),
        node('Range', 'zero height one', 'rows'), node('Range', 'zero width one', 'columns'),
        constant('last', [-1]), node('Unsqueeze', 'rows last', 'rows_1'),
        node('Add', 'rows_1 columns', 'cells'), node('Cast', 'cells', 'numbers', to=1),
        constant('half', 0.5, dtype=np.float32), node('Add', 'numbers half', 'grid'),
        node('ConstantOfShape', 'shape', 'ones', value=numpy_helper.from_array(
            np.ones(1, np.float32))),
        node('Mul', 'x grid', 'scaled'), node('Add', 'scaled ones', 'y'),
        node('Shape', 'y', 'y_shape')],
        {'x': free('x', 'N', 4, 'H', 'W')}, ['y', 'y_shape'])


@pytest.mark.parametrize('build', [flattening, grids])
def test_what_follows_from_shapes_is_known_without_data(build):
    model = build()
    translated = check(model, {'x': IMAGE})
    for images, height, width in ((1, 3, 5), (3, 3, 5), (1, 3, 5), (2, 7, 6)):
        inputs = {'x': floats(images, 4, height, width)}
        for found, want in zip(run(translated, inputs), expected(model, inputs)):
            np.testing.assert_allclose(found, want, **TOLERANCE)


def test_later_runs_copy_nothing_to_the_device(monkeypatch):
    translated = to_torch(grids())
    first = run(translated, {'x': IMAGE})
    monkeypatch.setattr(torch, 'tensor', None)
    monkeypatch.setattr(torch, 'arange', None)
    monkeypatch.setattr(translated, '_stored', None)
    for found, want in zip(run(translated, {'x': IMAGE}), first):
        np.testing.assert_array_equal(found, want)


def test_constants_are_shared_by_all_runs_and_kept_once():
    model = network([node('MatMul', 'x w', 'a'), node('MatMul', 'a w', 'y')],
                    {'x': floats(2, 3)}, ['y'], {'w': floats(3, 3)})
    translated = check(model, {'x': floats(2, 3)})
    assert [tuple(item.shape) for item in translated.buffers()] == [(3, 3)]


def test_names_of_inputs_and_outputs_keep_the_order_of_the_graph():
    model = network([node('Sub', 'b w', 'c'), node('Sub', 'c a', 'd')],
                    {'b': LINE, 'a': ROW}, ['d', 'c'], {'w': ROW})
    translated = check(model, {'b': LINE, 'a': ROW})
    assert (translated.input_names, translated.output_names) == (('b', 'a'), ('d', 'c'))


def test_a_constant_output_and_an_input_as_output():
    model = network([node('Add', 'w w', 'sum'), node('Identity', 'x', 'y')], {'x': LINE},
                    ['sum', 'y'], {'w': ROW})
    check(model, {'x': LINE})


def test_results_that_nobody_uses_do_no_harm():
    model = network([node('Split', 'x', 'a b', axis=1), node('NonZero', 'a', 'c'),
                     node('Shape', 'x', 'shape'), node('Split', 'shape', 'd rest'),
                     node('Clip', 'b', 'e'), node('Reshape', 'e rest', 'y')],
                    {'x': floats(1, 2, 2, 1)}, ['y'])
    check(model, {'x': floats(1, 2, 2, 1)})


# What stands in the way is named, all of it.

def test_all_unsupported_operators_are_named():
    model = network([node('NonZero', 'x', 'a'), node('Einsum', 'x', 'b', equation='abc->abc'),
                     helper.make_node('Fused', ['b'], ['c'], domain='com.maker'),
                     node('Relu', 'c', 'd')], {'x': LINE}, ['a', 'd'])
    with pytest.raises(ModelError) as caught:
        to_torch(model, source='net.onnx')
    for part in ('net.onnx: ', 'Einsum, NonZero, com.maker.Fused', 'onnxruntime or tensorrt'):
        assert part in str(caught.value)


@pytest.mark.parametrize(('nodes', 'told'), [
    ([node('Shape', 'x', 's'), node('Mul', 's s', 't'), node('Cast', 'x', 'n', to=7),
      node('Reshape', 'x n', 'y')], 'Reshape with sizes that depend on the data'),
    ([node('MaxPool', 'x', 'p y', kernel_shape=[2])], 'MaxPool with indices'),
    ([node('Cast', 'x', 'y', to=8)], 'Cast to STRING'),
    ([node('ArgMax', 'x', 'y', select_last_index=1)], 'ArgMax with select_last_index'),
    ([node('Pad', 'x s', 'y', mode='wrap'), node('Shape', 'x', 's')], 'Pad with mode wrap')])
def test_uses_of_operators_that_torch_cannot_do_are_named(nodes, told):
    with pytest.raises(ModelError, match=told):
        to_torch(network(nodes[::-1] if told.startswith('Pad') else nodes, {'x': LINE}, ['y']))


def test_an_old_opset_is_refused():
    with pytest.raises(ModelError, match='opset 8; export it again with opset 9'):
        to_torch(single('Relu', LINE, opset=8)[0])


# Fusions.

def block(*tail, outputs=('y',)):
    """Return a convolution 'c' with a normalisation 'n' after it, and what follows."""
    constants = dict(zip('wghmv', (floats(4, 4, 3, 3), floats(4), floats(4), floats(4),
                                   floats(4, low=0.5))), b=floats(4, seed=3))
    return network([node('Conv', 'x w b', 'c', pads=[1] * 4),
                    node('BatchNormalization', 'c g h m v', 'n'), *tail], {'x': IMAGE}, outputs,
                   constants)


def kinds(translated):
    return [(step.kind, step.arguments[0]) for step in translated._steps]


def test_a_normalisation_is_folded_into_its_convolution():
    translated = check(block(node('Relu', 'n', 'y')), {'x': IMAGE})
    assert kinds(translated) == [('Conv', 'x'), ('Relu', 'n')]


def test_what_is_not_fused_has_the_networks_own_weights_and_they_can_learn():
    model = block(node('Relu', 'n', 'y'))
    translated = to_torch(model, fused=False)
    found = translated.weights()
    assert set(found) == set('wbghmv')
    learning = [found[name].requires_grad_(True) for name in 'wbgh']
    output, = translated(torch.from_numpy(IMAGE))
    np.testing.assert_allclose(output.detach(), expected(model, {'x': IMAGE})[0], **TOLERANCE)
    output.square().sum().backward()
    assert all(tensor.grad.abs().sum() > 0 for tensor in learning)


@pytest.mark.parametrize(('tail', 'outputs'), [
    ((), ('n', 'c')), ((node('Add', 'c n', 'y'),), ('y',)),
    ((node('Relu', 'c', 'p'), node('Relu', 'n', 'q'), node('Concat', 'p q', 'y', axis=1)), ('y',)),
    ((node('Relu', 'n', 'a'),), ('a', 'n'))])
def test_a_result_with_another_user_stays_as_it_is(tail, outputs):
    check(block(*tail, outputs=outputs), {'x': IMAGE})


@pytest.mark.parametrize(('gate', 'options', 'fused'), [
    ('Sigmoid', {}, 'Silu'), ('HardSigmoid', dict(alpha=1 / 6), 'HardSwish'),
    ('HardSigmoid', dict(alpha=0.2), 'Mul')])
@pytest.mark.parametrize('order', ['n s', 's n'])
def test_a_gate_on_its_own_input_becomes_one_function(gate, options, fused, order):
    model = block(node(gate, 'n', 's', **options), node('Mul', order, 'y'))
    assert kinds(check(model, {'x': IMAGE}))[-1][0] == fused


def test_weights_and_images_have_their_channels_last():
    translated = to_torch(block(node('Relu', 'n', 'y')))
    seen = IMAGE.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    output, = translated(torch.from_numpy(seen))
    assert output.is_contiguous(memory_format=torch.channels_last)
    weight = next(item for item in translated.buffers() if item.dim() == 4)
    assert weight.is_contiguous(memory_format=torch.channels_last)


# Whole networks.

ACTIVATIONS = ['Relu', 'LeakyRelu', 'Sigmoid', 'Tanh', 'Elu', 'HardSigmoid', 'Softplus']


KINDS = ['Conv', 'BatchNormalization', 'Activation', 'Pool', 'Add', 'Concat', 'Mul']


@st.composite
def small_networks(draw, kinds=KINDS):
    """Return a random network on [N, 3, 8, 8], whose nodes may use any earlier result."""
    nodes, constants, shapes = [], {}, {'x': (3, 8)}

    def carry(*shape, low=-0.6):
        name = f'w{len(constants)}'
        constants[name] = floats(*shape, low=low, high=low + 1.2, seed=len(constants))
        return name

    for index in range(draw(st.integers(1, 8))):
        name, source = f't{index}', draw(st.sampled_from(sorted(shapes)))
        channels, size = shapes[source]
        kind = draw(st.sampled_from(kinds))
        others = [key for key, shape in sorted(shapes.items()) if shape[1] == size]
        if kind == 'Conv':
            made = draw(st.integers(1, 4))
            step = draw(st.sampled_from([1, 2]))
            nodes.append(node('Conv', f'{source} {carry(made, channels, 3, 3)}', name,
                              pads=[1] * 4, strides=[step, step]))
            shapes[name] = (made, -(-size // step))
        elif kind == 'BatchNormalization':
            names = [carry(channels), carry(channels), carry(channels), carry(channels, low=0.5)]
            nodes.append(node(kind, ' '.join([source, *names]), name))
            shapes[name] = shapes[source]
        elif kind == 'Pool' and size > 1:
            pool = draw(st.sampled_from(['MaxPool', 'AveragePool']))
            nodes.append(node(pool, source, name, kernel_shape=[2, 2], strides=[2, 2]))
            shapes[name] = (channels, size // 2)
        elif kind == 'Concat':
            other = draw(st.sampled_from(others))
            nodes.append(node(kind, f'{source} {other}', name, axis=1))
            shapes[name] = (channels + shapes[other][0], size)
        elif kind in ('Add', 'Mul'):
            same = [key for key in others if shapes[key][0] == channels]
            nodes.append(node(kind, f'{source} {draw(st.sampled_from(same))}', name))
            shapes[name] = shapes[source]
        else:
            nodes.append(node(draw(st.sampled_from(ACTIVATIONS)), source, name))
            shapes[name] = shapes[source]
    made = [item.output[0] for item in nodes]
    outputs = draw(st.lists(st.sampled_from(made), min_size=1, unique=True))
    return network(nodes, {'x': free('x', 'N', 3, 8, 8)}, [*outputs], constants)


@FEW
@given(model=small_networks(), images=st.integers(1, 3))
def test_a_random_network_computes_what_onnxruntime_computes(model, images):
    check(model, {'x': floats(images, 3, 8, 8)})


@FEW
@given(model=small_networks(KINDS[:-1]))     # squares of squares leave the range of float16
def test_half_precision_is_close(model):
    image = floats(2, 3, 8, 8)
    outputs = run(to_torch(model, half=True), {'x': image})
    for found, want in zip(outputs, run(to_torch(model), {'x': image})):
        assert found.dtype == np.float32
        close_to(found, want)


def close_to(found, want):
    np.testing.assert_allclose(found, want, atol=HALF_TOLERANCE * max(1, np.abs(want).max()))


def test_half_leaves_integers_and_values_beyond_its_range_usable():
    model = network([constant('low', -1e9, dtype=np.float32), node('Greater', 'x zero', 'mask'),
                     node('Where', 'mask x low', 'a'), node('Softmax', 'a', 'y'),
                     node('ArgMax', 'a', 'place'), node('Cast', 'place', 'number', to=1)],
                    {'x': LINE}, ['y', 'place', 'number'], {'zero': np.zeros(1, np.float32)})
    found = run(to_torch(model, half=True), {'x': LINE})
    assert [item.dtype for item in found] == [np.float32, np.int64, np.float32]
    for item, want in zip(found, expected(model, {'x': LINE})):
        close_to(item, want)


def test_outputs_for_another_segment_stay_half():
    translated = to_torch(block(node('Relu', 'n', 'y'), outputs=('n', 'y')), half=True,
                          keep_half={'n'})
    assert [item.dtype for item in run(translated, {'x': IMAGE})] == [np.float16, np.float32]


@pytest.fixture(params=['squeezenet_1_1', 'nanodet_g'])
def exported(request):
    path = Path(CACHE) / 'models' / f'{request.param}.onnx'
    if not CACHE or not path.is_file():
        pytest.skip(f'{path.name} is not under $S3DNN_CACHE; run `s3dnn models export '
                    f'{request.param}`')
    spec = load_spec(request.param)
    return with_image_input(load_graph(spec), spec), spec


def pixels(spec, images):
    return np.random.default_rng(0).integers(0, 256, (images, spec.height, spec.width, 3),
                                             np.uint8)


def test_a_network_of_the_zoo_computes_what_onnxruntime_computes(exported):
    model, spec = exported
    translated = to_torch(model)
    for images in (1, 3):
        inputs = {'image': pixels(spec, images)}
        for found, want in zip(run(translated, inputs), expected(model, inputs)):
            np.testing.assert_allclose(found, want, **TOLERANCE)
    assert shapes_on_meta(model, inputs) == [want.shape for want in expected(model, inputs)]


def test_a_network_of_the_zoo_is_close_in_half_precision(exported):
    model, spec = exported
    inputs = {'image': pixels(spec, 1)}
    for found, want in zip(run(to_torch(model, half=True), inputs), expected(model, inputs)):
        close_to(found, want)


def test_an_image_needs_no_copy_to_become_planes(exported):
    model, _ = exported
    moved = next(step for step in to_torch(model)._steps if step.kind == 'Transpose')
    image = torch.zeros(1, 4, 5, 3)
    planes, = moved.run([image]).values()
    assert planes.data_ptr() == image.data_ptr()
    assert planes.is_contiguous(memory_format=torch.channels_last)
