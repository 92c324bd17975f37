"""Networks in which a library would not end are refused before it begins."""

import onnx
import pytest
from onnx import TensorProto, helper

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.batch import free_batch
from s3dnn_ros.models.flow import tensor_types
from s3dnn_ros.models.soundness import expect_sound

FLOATS = TensorProto.FLOAT
OWN = [helper.make_opsetid('', 13), helper.make_opsetid('own', 1)]


def network(node, functions=()):
    graph = helper.make_graph(
        [node], 'tiny', [helper.make_tensor_value_info('x', FLOATS, [1, 3]),
                         helper.make_tensor_value_info('yes', TensorProto.BOOL, [])],
        [helper.make_tensor_value_info('y', FLOATS, [1, 3])])
    return helper.make_model(graph, ir_version=8, opset_imports=OWN, functions=functions)


def nested(levels):
    """Return a network of Ifs within each other, in one branch each."""
    node = helper.make_node('Relu', ['x'], ['y'])
    for _ in range(levels):
        branches = [helper.make_graph([inner], 'g', [], [
            helper.make_tensor_value_info('y', FLOATS, [1, 3])])
            for inner in (node, helper.make_node('Neg', ['x'], ['y']))]
        node = helper.make_node('If', ['yes'], ['y'], then_branch=branches[0],
                                else_branch=branches[1])
    return network(node)


def function(name, *called):
    nodes = [helper.make_node(other, ['a'], [f'b{index}'], domain='own')
             for index, other in enumerate(called)]
    return helper.make_function('own', name, ['a'], ['b'],
                                [*nodes, helper.make_node('Relu', ['a'], ['b'])], OWN)


def calls(*functions):
    return network(helper.make_node('f0', ['x'], ['y'], domain='own'), functions)


@pytest.mark.parametrize('model', [
    nested(0), nested(3), calls(function('f0')), calls(function('f0', 'f1'), function('f1'))])
def test_what_exporters_write_is_sound(model):
    expect_sound(model, 'net.onnx', 'export it')


@pytest.mark.parametrize('model', [
    nested(25), calls(function('f0', 'f0')), calls(function('f0', 'f1'), function('f1', 'f0')),
    calls(*(function(f'f{n}', f'f{n + 1}', f'f{n + 1}') for n in range(40)))],
    ids=['subgraphs', 'itself', 'circle', 'twice each'])
def test_what_onnx_would_not_end_with_is_refused(model):
    with pytest.raises(ModelError, match=r'net\.onnx: has more than 200000 nodes'):
        expect_sound(model, 'net.onnx', 'export it')


def test_what_is_not_valid_is_refused_with_the_advice():
    broken = network(helper.make_node('NoSuch', ['x'], ['y']))
    with pytest.raises(ModelError, match=r'net\.onnx: is not valid ONNX \(.*\); export it$'):
        expect_sound(broken, 'net.onnx', 'export it')


def test_two_functions_of_one_name_are_refused():
    with pytest.raises(ModelError, match=r'is not valid ONNX \(.*functions'):
        expect_sound(calls(function('f0'), function('f0')), 'net.onnx', 'export it')


def test_what_only_shape_inference_finds_is_told():
    model = nested(1)
    model.graph.node[0].attribute[0].g.output[0].type.tensor_type.elem_type = 65
    expect_sound(model, 'net.onnx', 'export it')
    with pytest.raises(ModelError, match=r"graph 'tiny': .* shapes onnx cannot tell \(.*65"):
        tensor_types(model)
    assert not free_batch(model, 'x')


def test_a_name_that_is_no_text_is_refused():
    content = network(helper.make_node('NoSuch', ['x'], ['y'])).SerializeToString()
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content.replace(b'NoSuch', b'No\xffuch'))
    except Exception:
        pytest.skip('this protobuf does not take it')
    with pytest.raises(ModelError, match='is not valid ONNX'):
        expect_sound(model, 'net.onnx', 'export it')
