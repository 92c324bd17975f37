"""Shallower networks: what repeats is found, the last goes first, and no shape breaks."""

import numpy as np
import pytest
from networks import Builder, image, kinds, plain, residual, run
from onnx import numpy_helper

from s3dnn_ros.models.macs import multiply_adds
from s3dnn_ros.scaling.depth import Depth


def lengths(model):
    return [len(run_) for run_ in Depth(model).runs]


@pytest.mark.parametrize('blocks', [1, 2, 5])
def test_residual_blocks_are_units(blocks):
    depth = Depth(residual(blocks))
    assert lengths(residual(blocks)) == ([blocks] if blocks > 1 else [])
    assert all(len(unit.nodes) == 5 for run_ in depth.runs for unit in run_)


def test_layers_of_one_width_are_units():
    assert lengths(plain((16, 16, 16, 16, 32, 32, 32))) == [3, 2]


def test_layers_of_other_widths_are_none():
    assert lengths(plain((16, 24, 32))) == []


def test_layers_that_are_read_from_outside_are_no_units():
    builder = Builder()
    one = builder.conv('x', 8)
    two = builder.conv(builder.same('Relu', one), 8)
    three = builder.conv(builder.same('Relu', two), 8)
    inner = [name for name in builder.sizes if name not in ('x', one, two, three)]
    builder.classify(builder.join('Add', builder.join('Add', *inner), three))
    assert lengths(builder.model()) == []


@pytest.mark.parametrize('share', [1.0, 0.8, 0.6, 0.45])
def test_a_network_takes_no_more_than_wanted(share):
    model = residual(4)
    depth = Depth(model)
    found = depth.at_most(int(depth.layers.macs * share))
    assert multiply_adds(found) <= depth.layers.macs * share
    assert run(found, image())[0].shape == (1, 5)


def test_one_unit_of_a_run_stays():
    depth = Depth(residual(3))
    left = [share for share in np.linspace(0.0, 1.0, 30)
            if depth.at_most(int(depth.layers.macs * share)) is not None]
    assert kinds(depth.at_most(int(depth.layers.macs * left[0]))).count('Add') == 1


def test_units_that_add_nothing_change_no_output_when_they_go():
    model = residual(3)
    depth = Depth(model)
    for unit in depth.runs[0][1:]:
        last = max(index for index in unit.nodes
                   if model.graph.node[index].op_type == 'Conv')
        for tensor in model.graph.initializer:
            if tensor.name in model.graph.node[last].input[1:]:
                tensor.CopyFrom(numpy_helper.from_array(
                    np.zeros(list(tensor.dims), np.float32), tensor.name))
    depth = Depth(model)
    smallest = depth.at_most(int(depth.layers.macs * 0.45))
    assert kinds(smallest).count('Add') == 1
    np.testing.assert_allclose(run(smallest, image())[0], run(model, image())[0], rtol=1e-5)


def test_units_among_the_first_layers_stay():
    depth = Depth(residual(4))
    wanted = depth.layers.macs // 2
    assert depth.at_most(wanted) is not None
    assert depth.at_most(wanted, shared_layers=len(depth.layers)) is None
