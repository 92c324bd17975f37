"""Series: equal steps of work, shared layers by what they cost, as many as the limit holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Builder, arrays, plain, residual
from onnx import numpy_helper

from s3dnn_ros.errors import ModelError, ParameterError
from s3dnn_ros.models.macs import multiply_adds
from s3dnn_ros.scaling.depth import Depth
from s3dnn_ros.scaling.series import choose, in_equal_steps, spread
from s3dnn_ros.scaling.store import storage_of
from s3dnn_ros.scaling.width import Width

WIDTH = Width(plain((16, 40, 24, 24)))


def by_size(model):
    """Stand in for fidelity: what has more weights is nearer."""
    return sum(array.size for array in arrays(model).values()) / 1e6


def chosen(fidelity_of=by_size, scaler=WIDTH, count=3, **options):
    return choose(scaler, count, fidelity_of, name='net', **options)


@pytest.mark.parametrize('scaler', [WIDTH, Depth(residual(6))])
@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 5), smallest=st.floats(0.3, 0.9), shared=st.integers(0, 3))
def test_each_variant_takes_a_step_less(scaler, count, smallest, shared):
    models = in_equal_steps(scaler, count, smallest, shared)
    work = [multiply_adds(model) for model in models]
    assert work[0] == scaler.layers.macs
    assert len(models) <= count + 1
    step = (1 - smallest) * scaler.layers.macs / count
    assert all(before - after >= step - 1 for before, after in zip(work, work[1:]))


def test_variants_are_taken_in_equal_intervals():
    assert spread('012345678', 4) == tuple('02468')
    assert spread('0123', 3) == tuple('0123')
    assert spread('0123', 1) == tuple('03')


@settings(max_examples=10, deadline=None)
@given(st.floats(0.1, 3.0))
def test_as_many_variants_as_the_limit_holds(share):
    unlimited = chosen()
    limit = unlimited.storage.total * share
    try:
        found = chosen(most_bytes=limit)
    except ParameterError:
        assert storage_of(spread(in_equal_steps(WIDTH, 3), 1), frozenset(), 'net').total > limit
        return
    assert found.storage.total <= limit
    if len(found.models) < len(unlimited.models):
        more = spread(unlimited.models, len(found.models))
        assert storage_of(more, unlimited.shared, 'net').total > limit


def test_shared_layers_are_the_same_in_all_variants():
    unshared = storage_of(in_equal_steps(WIDTH, 3), frozenset(), 'net').total
    found = chosen(most_bytes=0.99 * unshared)
    assert found.shared_layers > 0
    exact, *others = map(arrays, found.models)
    assert found.shared
    for name in found.shared:
        for other in others:
            np.testing.assert_array_equal(other[name], exact[name])


def test_nothing_is_shared_where_that_costs_and_is_not_needed():
    def costly(model):
        # the second layer is as wide as it was only where it is shared
        return 0.0 if len(arrays(model)['w2']) == 40 else 1.0

    assert chosen(costly).shared_layers < 2


def test_all_is_shared_that_can_be_where_it_costs_nothing():
    assert chosen(lambda model: 0.5).shared_layers > 0


def test_the_layers_of_a_shallower_network_are_shared_for_nothing():
    found = chosen(lambda model: 0.5, Depth(residual(6)), count=2, smallest=0.6)
    assert found.shared_layers >= 4
    assert found.storage.total < storage_of(found.models, frozenset(), 'net').total


def test_a_limit_below_one_variant_says_what_one_takes():
    with pytest.raises(ParameterError, match=r'--storage-mb.*one variant take \d+\.\d\d MB'):
        chosen(most_bytes=1000)


def test_a_network_without_variants_is_refused():
    builder = Builder()
    builder.classify('x')
    for scaler in (Width(builder.model()), Depth(builder.model())):
        with pytest.raises(ModelError, match=r'net: has no variant of 75% of'):
            chosen(scaler=scaler)


def test_layers_without_which_the_smallest_variants_do_not_exist_are_not_shared():
    found = chosen(lambda model: 0.5, smallest=0.2)
    assert len(found.models) == len(in_equal_steps(WIDTH, 3, 0.2))
    assert len(in_equal_steps(WIDTH, 3, 0.2, len(WIDTH.layers) - 1)) < len(found.models)


def test_progress_is_told():
    steps = []
    chosen(told=lambda done, total: steps.append((done, total)))
    assert steps == [(index, len(steps)) for index in range(len(steps))]


class Broken:
    """Makes variants that are none."""

    def __init__(self, change):
        self.layers = WIDTH.layers
        self._change = change

    def at_most(self, macs, shared_layers=0):
        found = WIDTH.at_most(macs, shared_layers)
        if found is not None and macs < self.layers.macs:
            self._change(found)
        return found


def test_variants_whose_shapes_do_not_chain_are_refused():
    def cut(model):
        for tensor in model.graph.initializer:
            if tensor.name in model.graph.node[-1].input:
                array = numpy_helper.to_array(tensor)[:-1]
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    with pytest.raises(ModelError, match=r'net: has a variant whose shapes do not chain \('):
        chosen(scaler=Broken(cut))


def test_variants_with_other_outputs_are_refused():
    def rename(model):
        model.graph.node[-1].output[0] = model.graph.output[0].name = 'z'

    with pytest.raises(ModelError, match='net: has a variant with other outputs'):
        chosen(scaler=Broken(rename))
