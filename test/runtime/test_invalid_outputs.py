"""Numbers that are none are found, in whichever frame and output they are, and only there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from s3dnn_ros.runtime.invalid_outputs import not_finite

NONE = (np.nan, np.inf, -np.inf)


@given(outputs=st.integers(1, 4).flatmap(lambda frames: st.dictionaries(
    st.text('abc', max_size=2), npst.arrays(
        st.sampled_from([np.float16, np.float32]),
        npst.array_shapes(min_dims=0, max_dims=2).map(lambda shape: (frames, *shape)),
        elements=st.one_of(st.integers(-9, 9), st.sampled_from(NONE))), min_size=1, max_size=3)))
def test_each_frame_is_told_with_the_first_output_that_is_wrong_in_it(outputs):
    frames = len(next(iter(outputs.values())))
    wrong = {frame: [name for name, array in outputs.items()
                     if any(value != value or abs(value) == np.inf
                            for value in array[frame].ravel().tolist())]
             for frame in range(frames)}
    assert not_finite(outputs) == {frame: names[0] for frame, names in wrong.items() if names}


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_the_largest_numbers_are_numbers(dtype):
    assert not_finite({'y': np.full((2, 100), np.finfo(dtype).max)}) == {}


def test_whole_numbers_are_numbers():
    assert not_finite({'count': np.array([1, 2]), 'any': np.array([True, False])}) == {}


def test_infinities_that_would_cancel_out_are_found():
    assert not_finite({'y': np.array([[1.0, 2.0], [np.inf, -np.inf]])}) == {1: 'y'}
