"""Narrower networks: as small as asked, valid, the least filters first, layers kept."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Builder, arrays, image, plain, residual, run
from onnx import numpy_helper

from s3dnn_ros.models.macs import multiply_adds
from s3dnn_ros.scaling.width import MULTIPLE, Width

MODELS = {'plain': plain((16, 40, 24)), 'residual': residual()}


def widths(model):
    return [array.shape[0] for array in arrays(model).values() if array.ndim == 4]


@pytest.mark.parametrize('name', MODELS)
@settings(max_examples=15, deadline=None)
@given(share=st.floats(0.35, 1.0))
def test_a_network_takes_no_more_than_wanted_and_keeps_inputs_and_outputs(name, share):
    width = Width(MODELS[name])
    found = width.at_most(int(width.layers.macs * share))
    assert multiply_adds(found) <= width.layers.macs * share
    assert list(found.graph.input) == list(MODELS[name].graph.input)
    assert list(found.graph.output) == list(MODELS[name].graph.output)
    assert run(found, image())[0].shape == (1, 5)
    assert all(size % MULTIPLE == 0 for size in widths(found))


@pytest.mark.parametrize('name', MODELS)
def test_the_exact_network_takes_what_macs_counts_and_stays_as_it_is(name):
    width = Width(MODELS[name])
    assert width.layers.macs == multiply_adds(MODELS[name])
    np.testing.assert_array_equal(run(width.at_most(width.layers.macs), image())[0],
                                  run(MODELS[name], image())[0])


def test_nothing_is_smaller_than_the_narrowest_network():
    assert Width(MODELS['plain']).at_most(10) is None


@settings(max_examples=15, deadline=None)
@given(st.floats(0.3, 1.0), st.floats(0.3, 1.0))
def test_a_smaller_network_is_a_part_of_a_larger_one(one, other):
    width = Width(MODELS['plain'])
    larger, smaller = (arrays(width.at_most(int(width.layers.macs * share)))
                       for share in sorted((one, other), reverse=True))
    first, second = larger['w0'].reshape(-1, 27), smaller['w0'].reshape(-1, 27)
    assert all((first == row).all(1).any() for row in second)


def test_filters_of_the_least_norm_go_first():
    model = plain((16,))
    tensor = model.graph.initializer[0]
    array = np.array(numpy_helper.to_array(tensor))
    array[3:11] *= 0.01
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    width = Width(model)
    kept = arrays(width.at_most(width.layers.macs // 2))['w0']
    np.testing.assert_array_equal(kept, array[[0, 1, 2, 11, 12, 13, 14, 15]])


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(MODELS)), st.integers(0, 5), st.floats(0.3, 1.0))
def test_the_first_layers_are_exact(name, shared, share):
    width = Width(MODELS[name])
    found = width.at_most(int(width.layers.macs * share), shared)
    if found is None:
        return
    before, after = arrays(MODELS[name]), arrays(found)
    layers = [node for node in MODELS[name].graph.node if node.op_type in ('Conv', 'Gemm')]
    for node in layers[:shared]:
        for weight in node.input[1:]:
            np.testing.assert_array_equal(after[weight], before[weight])


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(MODELS)), st.integers(0, 3), st.floats(0.4, 1.0))
def test_the_filters_that_are_said_to_be_kept_are_kept(name, shared, share):
    width = Width(MODELS[name])
    found = width.at_most(int(width.layers.macs * share), shared)
    if found is None:
        return
    kept = width.kept_filters(multiply_adds(found), shared)
    before, after = arrays(MODELS[name]), arrays(found)
    for node in found.graph.node:
        if node.op_type in ('Conv', 'Gemm'):
            weight, bias = node.input[1:]
            np.testing.assert_array_equal(after[bias], before[bias][kept[weight]])


def test_channels_go_as_they_are_worth():
    model = plain((16,))
    order = np.random.default_rng(0).permutation(16)

    def worth(channels, groups):
        (labels,) = groups
        return dict(zip(labels, order.tolist()))

    width = Width(model, worth)
    macs = width.layers.macs // 2
    kept = width.kept_filters(macs)['w0']
    assert set(kept) == set(np.argsort(order)[8:])


@pytest.mark.parametrize('times, kept', [(1.0, (8, 16)), (3.0, (16, 8))])
def test_what_loses_least_for_what_it_saves_goes_first(times, kept):
    # a channel of the first group saves some 1.2 times as much as one of the second
    def worth(channels, groups):
        first, second = ({label: place + 1.0 for place, label in enumerate(labels)}
                         for labels in groups)
        return {**{label: times * lost for label, lost in first.items()}, **second}

    width = Width(plain((16, 16)), worth)
    assert tuple(widths(width.at_most(width.layers.macs - 1))) == kept


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1), st.floats(0.1, 1.0))
def test_groups_of_unknown_worth_go_in_proportion(known, share):
    def worth(channels, groups):
        return {label: place + 1.0 for place, label in enumerate(groups[known])}

    width = Width(plain((40, 40)), worth)
    found = width.at_most(int(width.layers.macs * share))
    one, other = widths(found)
    assert abs(one - other) <= MULTIPLE


def test_small_groups_go_one_by_one():
    width = Width(plain((6, 6)))
    found = {tuple(widths(width.at_most(int(width.layers.macs * share))))
             for share in np.linspace(0.5, 1.0, 40)}
    assert (5, 5) in found and {(5, 6), (6, 5)} & found


def test_a_network_without_anything_to_prune_has_itself_alone():
    builder = Builder()
    builder.classify('x')
    width = Width(builder.model())
    assert width.at_most(width.layers.macs - 1) is None


def test_old_files_list_weights_as_inputs():
    model = plain((16, 16))
    for tensor in model.graph.initializer:
        model.graph.input.append(onnx.helper.make_tensor_value_info(
            tensor.name, tensor.data_type, tensor.dims))
    width = Width(model)
    found = width.at_most(width.layers.macs // 2)
    assert [value.name for value in found.graph.input] == ['x']
    run(found, image())
