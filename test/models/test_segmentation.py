"""Segments run one after the other are the network, and hold no more tensors than allowed."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.graph import load_graph, with_image_input
from s3dnn_ros.models.segmentation import CutPoint, cut_points, split
from s3dnn_ros.models.spec import load_spec

ort = pytest.importorskip('onnxruntime')
FETCHED_CACHE = os.environ.get('S3DNN_CACHE', '')
# ONNX Runtime fuses and lays out other nodes in a segment than in the whole.
ROUNDING = 1e-4
HEIGHT, WIDTH = 5, 4


def run(model, feeds):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=['CPUExecutionProvider'])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def run_chain(segments, feeds):
    """Give each segment nothing but what the one before left; return the network's outputs."""
    alive, results = dict(feeds), {}
    for segment in segments:
        onnx.checker.check_model(segment.model, full_check=True)
        assert [value.name for value in segment.model.graph.input] == list(segment.inputs)
        assert [value.name for value in segment.model.graph.output] == list(segment.outputs)
        outputs = run(segment.model, {name: alive[name] for name in segment.inputs})
        alive = {**{name: alive[name] for name in segment.carried}, **outputs}
        results.update(outputs)
    return results


def assert_same(model, segments, feeds):
    expected, found = run(model, feeds), run_chain(segments, feeds)
    for name, array in expected.items():
        tolerance = ROUNDING * max(1.0, np.abs(array).max())
        np.testing.assert_allclose(found[name], array, rtol=0, atol=tolerance)


def assert_each_node_once(model, segments, constants=()):
    of_network = [node.output[0] for node in model.graph.node]
    of_segments = [node.output[0] for segment in segments for node in segment.model.graph.node]
    assert sorted(name for name in of_segments if name not in constants) == \
        sorted(name for name in of_network if name not in constants)


def assert_alive(segments, cuts, limit):
    """Compare the cuts with what later segments read from before."""
    for index, cut in enumerate(cuts):
        made = {name for segment in segments[:index + 1]
                for node in segment.model.graph.node for name in node.output}
        read = {name for segment in segments[index + 1:] for name in segment.inputs}
        before = made | {name for segment in segments[:1] for name in segment.inputs}
        assert read & before == set(cut.tensors)
        assert 1 <= len(cut.tensors) <= limit


class Builder:
    """Builds a network of 3 × 3 and 1 × 1 convolutions on [N, 3, 5, 4], tensor by tensor."""

    def __init__(self):
        self.nodes, self.weights, self.constants = [], {}, set()
        self.channels = {'x': 3}
        self._rng = np.random.default_rng(3)

    def add(self, kind, sources, channels, **attributes):
        name = f't{len(self.nodes)}'
        self.nodes.append(helper.make_node(kind, sources, [name], f'n_{name}', **attributes))
        self.channels[name] = channels
        return name

    def conv(self, source, kernel=3, channels=4):
        # Layers of one shape share their weights.
        weight = f'w{channels}_{self.channels[source]}_{kernel}'
        shape = (channels, self.channels[source], kernel, kernel)
        self.weights.setdefault(weight, self._rng.normal(0, 0.2, shape).astype(np.float32))
        return self.add('Conv', [source, weight], channels, pads=[kernel // 2] * 4)

    def relu(self, source):
        return self.add('Relu', [source], self.channels[source])

    def join(self, left, right):
        if self.channels[left] == self.channels[right]:
            return self.add('Add', [left, right], self.channels[left])
        total = self.channels[left] + self.channels[right]
        return self.add('Concat', [left, right], total, axis=1)

    def shift(self, source):
        """Add a constant that a node computes from another constant."""
        for name, kind, inputs, attributes in (
            ('c0', 'Constant', [], {'value': numpy_helper.from_array(np.float32([0.5]))}),
            ('c1', 'Neg', ['c0'], {}),
        ):
            if name not in self.constants:
                self.constants.add(name)
                self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return self.add('Add', [source, 'c1'], self.channels[source])

    def model(self, outputs, ir_version=7):
        read = {name for node in self.nodes for name in node.input}
        ends = [name for name in self.channels if name not in read]
        shape = {name: ['N', count, HEIGHT, WIDTH] for name, count in self.channels.items()}

        def value(name):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape[name])

        graph = helper.make_graph(
            self.nodes, 'random', [value('x')],
            [value(name) for name in dict.fromkeys([*outputs, *ends]) if name != 'x'],
            [numpy_helper.from_array(array, name) for name, array in self.weights.items()])
        model = helper.make_model(
            graph, ir_version=ir_version, opset_imports=[helper.make_opsetid('', 13)])
        onnx.checker.check_model(model)
        return model


@st.composite
def networks(draw):
    """Draw a network with branches, shared weights, constants and several outputs."""
    build = Builder()
    for _ in range(draw(st.integers(1, 12))):
        # The last tensors are drawn more often, so that long chains occur too.
        source = draw(st.sampled_from([*build.channels, *list(build.channels)[-2:] * 3]))
        step = draw(st.sampled_from(['conv', 'relu', 'join', 'shift']))
        if step == 'conv':
            build.conv(source, draw(st.sampled_from([1, 3])), draw(st.sampled_from([2, 4])))
        elif step == 'join':
            build.join(source, draw(st.sampled_from(list(build.channels))))
        else:
            getattr(build, step)(source)
    outputs = draw(st.lists(st.sampled_from(list(build.channels)), max_size=2))
    return build.model(outputs), build.constants


def pixels(batch=2):
    return np.random.default_rng(0).normal(size=(batch, 3, HEIGHT, WIDTH)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(networks(), st.integers(1, 4), st.data())
def test_the_segments_of_any_network_are_the_network(drawn, limit, data):
    model, constants = drawn
    cuts = cut_points(model, limit)
    if cuts:
        cuts = [cut for cut in cuts if data.draw(st.booleans())]
    before = model.SerializeToString()
    segments = split(model, cuts)
    assert model.SerializeToString() == before
    assert_same(model, segments, {'x': pixels()})
    assert_each_node_once(model, segments, constants)
    assert_alive(segments, cuts, limit)
    for earlier, later in zip(segments, segments[1:]):
        assert {*later.inputs, *later.carried} <= {*earlier.outputs, *earlier.carried}


@settings(max_examples=15, deadline=None)
@given(networks(), st.randoms(use_true_random=False))
def test_a_file_in_any_order_is_sorted_first(drawn, random):
    model, _ = drawn
    shuffled = onnx.ModelProto()
    shuffled.CopyFrom(model)
    nodes = list(model.graph.node)
    random.shuffle(nodes)
    del shuffled.graph.node[:]
    shuffled.graph.node.extend(nodes)
    segments = split(shuffled, cut_points(shuffled, 2))
    expected, found = run(model, {'x': pixels()}), run_chain(segments, {'x': pixels()})
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(networks())
def test_more_alive_tensors_allow_no_fewer_cuts(drawn):
    found = [cut_points(drawn[0], limit) for limit in (1, 2, 3)]
    assert set(found[0]) <= set(found[1]) <= set(found[2])
    for cuts in found:
        assert len({cut.tensors for cut in cuts}) == len(cuts)
        assert sorted(cuts, key=lambda cut: cut.position) == list(cuts)


@pytest.mark.parametrize('limit', [1, 3])
@pytest.mark.parametrize('name', ['squeezenet_1_1', 'nanodet_g'])
def test_zoo_networks_survive_being_cut_everywhere(name, limit, monkeypatch):
    path = Path(FETCHED_CACHE) / 'models' / f'{name}.onnx'
    if not FETCHED_CACHE or not path.is_file():
        pytest.skip(f'{name} is not exported; run `s3dnn models export {name}`')
    monkeypatch.setenv('S3DNN_CACHE', FETCHED_CACHE)
    spec = load_spec(name)
    model = with_image_input(load_graph(spec), spec)
    cuts = cut_points(model, limit)
    segments = split(model, cuts)
    assert len(segments) > 15
    image = np.random.default_rng(0).integers(
        0, 256, (2, spec.height, spec.width, 3), np.uint8)
    assert_same(model, segments, {'image': image})
    assert_each_node_once(model, segments)
    assert_alive(segments, cuts, limit)
    sizes = [value.ByteSize() for segment in segments for value in segment.model.graph.initializer]
    assert sum(sizes) < 1.01 * sum(value.ByteSize() for value in model.graph.initializer)


def test_an_output_that_is_made_early_is_not_carried():
    build = Builder()
    first = build.conv('x')
    early = build.relu(first)
    late = build.relu(build.conv(first))
    model = build.model([late, early])
    segments = split(model, cut_points(model))
    assert [segment.outputs for segment in segments] == [('t0',), ('t2', early), (late,)]
    assert all(segment.carried == () for segment in segments)


def test_a_tensor_that_is_read_later_passes_by():
    build = Builder()
    first = build.conv('x')
    end = build.join(first, build.conv(build.conv(first)))
    model = build.model([end])
    segments = split(model, cut_points(model, 2))
    assert [segment.carried for segment in segments] == [(), (first,), (first,), ()]
    assert segments[2].inputs == ('t1',) and segments[3].inputs == (first, 't2')


def test_whole_layers_keep_their_activation():
    build = Builder()
    end = build.relu(build.conv(build.relu(build.conv('x'))))
    kinds = [segment.model.graph.node[-1].op_type for segment in split(
        build.model([end]), cut_points(build.model([end]), whole_layers=True))]
    assert kinds == ['Relu', 'Relu']


def branching(then):
    """Return a network whose If reads a tensor from before it without listing it."""
    build = Builder()
    first = build.conv('x')
    second = build.conv(first)
    build.nodes.append(helper.make_node('ReduceMax', [second], ['most'], keepdims=0))
    build.nodes.append(helper.make_node('Greater', ['most', 'zero'], ['large']))
    build.weights['zero'] = np.float32(0)
    branches = [
        helper.make_graph([helper.make_node(kind, [first], ['inner'])], kind, [], [
            helper.make_tensor_value_info('inner', TensorProto.FLOAT, ['N', 4, HEIGHT, WIDTH])])
        for kind in (then, 'Neg')]
    build.nodes.append(helper.make_node(
        'If', ['large'], ['chosen'], then_branch=branches[0], else_branch=branches[1]))
    build.channels['chosen'] = 4
    return build.model(['chosen']), first


def test_what_a_subgraph_captures_is_alive():
    model, first = branching('Relu')
    cuts = cut_points(model, 3)
    assert all(first in cut.tensors for cut in cuts) and len(cuts) == 4
    assert len(cut_points(model, 1)) == 1
    assert_same(model, split(model, cuts), {'x': pixels()})


def test_constants_that_are_outputs_come_from_the_last_segment():
    build = Builder()
    build.relu(build.shift(build.relu('x')))
    build.channels['c1'] = 1
    model = build.model(['c1'])
    model.graph.output[0].type.CopyFrom(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    segments = split(model, cut_points(model))
    assert [segment.outputs for segment in segments][-1][0] == 'c1'
    assert_same(model, segments, {'x': pixels()})


def test_old_files_that_list_weights_as_inputs_can_be_cut():
    build = Builder()
    model = build.model([build.conv(build.conv('x'))])
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    segments = split(model, cut_points(model))
    assert [segment.inputs for segment in segments] == [('x',), ('t0',)]
    assert_same(model, segments, {'x': pixels()})


def test_random_numbers_are_drawn_once():
    build = Builder()
    build.nodes.append(helper.make_node('RandomNormal', [], ['noise'], shape=[1]))
    first = build.add('Add', ['x', 'noise'], 3)
    last = build.add('Mul', [build.relu(first), 'noise'], 3)
    model = build.model([last])
    assert_each_node_once(model, split(model, cut_points(model, 2)))


def test_a_tensor_of_unknown_rank_is_no_cut(make_network):
    model = make_network([
        helper.make_node('Foreign', ['features'], ['middle'], domain='some.company'),
        helper.make_node('Relu', ['middle'], ['y'])])
    model.opset_import.append(helper.make_opsetid('some.company', 1))
    assert [cut.tensors for cut in cut_points(model)] == [('features',)]


def chain():
    build = Builder()
    return build.model([build.relu(build.conv(build.conv('x')))])


@pytest.mark.parametrize('cuts', [
    [CutPoint(1, ('t1',))], [CutPoint(2, ('t0',))], [CutPoint(0, ('x',))],
    [CutPoint(9, ('t2',))], [CutPoint(2, ('t1',)), CutPoint(1, ('t0',))],
    [CutPoint(1, ('t0',)), CutPoint(1, ('t0',))],
])
def test_cuts_of_another_network_or_order_are_refused(cuts):
    with pytest.raises(ModelError, match='cut_points of this network'):
        split(chain(), cuts)


@pytest.mark.parametrize(('source', 'told'), [('t2', 'in a circle'), ('other', "reads 'other'")])
def test_a_graph_that_cannot_run_is_refused(source, told):
    model = chain()
    model.graph.node[0].input[0] = source
    with pytest.raises(ModelError, match=told):
        cut_points(model)
