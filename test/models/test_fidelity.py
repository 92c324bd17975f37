"""Fidelity is 1 for the same outputs, falls with the change, and knows every shape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.models.fidelity import fidelity, points, random_images, same_answers


def outputs(seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return {'a': scale * rng.normal(size=(2, 3, 4)), 'b': rng.normal(size=(2, 5))}


@given(st.floats(0, 1))
def test_it_is_one_less_the_relative_change(change):
    exact = [outputs(0), outputs(1)]
    variant = [{name: (1 - change) * array for name, array in each.items()} for each in exact]
    assert fidelity(exact, variant) == pytest.approx(1 - change)


@given(st.integers(0, 99), st.integers(0, 99), st.floats(0.01, 100))
def test_it_stays_between_0_and_1_and_the_same_outputs_have_1(seed, other, scale):
    assert fidelity([outputs(seed)], [outputs(seed)]) == 1.0
    assert 0.0 <= fidelity([outputs(seed)], [outputs(other, scale)]) <= 1.0


@pytest.mark.parametrize('exact, variant, wanted', [
    ([0, 0], [0, 0], 1.0), ([0, 0], [0, 1], 0.0), ([1, 1], [1, np.nan], 0.0),
    ([1, 1], [1, np.inf], 0.0), ([1, 1], [1, 1, 1], 0.0), ([1, 1], [-5, 9], 0.0)])
def test_what_cannot_be_compared_is_not_kept(exact, variant, wanted):
    assert fidelity([{'a': np.array([exact], float)}],
                    [{'a': np.array([variant], float)}]) == wanted


def test_points_are_the_papers_as_a_share():
    assert [points(count) for count in (0, 1, 5, 100, 200)] == pytest.approx(
        [1.0, 0.99, 0.95, 0.0, 0.0])


def test_a_classifiers_answer_is_its_best_class(make_spec):
    exact = [{'scores': np.array([[0.1, 0.2, 0.05], [0.3, 0.0, 0.0]], np.float32)}]
    other = [{'scores': np.array([[0.4, 0.9, 0.05], [0.1, 0.2, 0.0]], np.float32)}]
    assert same_answers(make_spec(), exact, exact) == 1.0
    assert same_answers(make_spec(), exact, other) == 0.5


def boxes(*rows):
    """Return YOLOv8's output: centre, size and the scores of two classes."""
    rows = [*rows, *[(0, 0, 8, 8, 0.0, 0.0)] * 8]     # it has more boxes than classes
    return [{'y': np.array([rows], np.float32).transpose(0, 2, 1)}]


def test_a_detectors_answers_are_its_boxes(make_spec):
    spec = make_spec(decoder='yolov8', width=64, height=64)
    cat, dog = (16, 16, 8, 8, 0.9, 0.0), (40, 40, 8, 8, 0.0, 0.9)
    gone = (0, 0, 8, 8, 0.0, 0.0)
    assert same_answers(spec, boxes(cat, dog), boxes(cat, dog)) == 1.0
    assert same_answers(spec, boxes(cat, dog), boxes((17, 16, 8, 8, 0.6, 0.0), dog)) == 1.0
    assert same_answers(spec, boxes(cat, dog), boxes(cat, gone)) == pytest.approx(2 / 3)
    assert same_answers(spec, boxes(cat, gone), boxes((16, 16, 8, 8, 0.0, 0.9), gone)) == 0.0
    assert same_answers(spec, boxes(cat, gone), boxes((30, 16, 8, 8, 0.9, 0.0), gone)) == 0.0
    assert same_answers(spec, boxes(gone, gone), boxes(gone, gone)) == 1.0


def test_noise_is_the_same_each_time(make_spec):
    images = random_images(make_spec(), 3)
    assert images.shape == (3, 6, 8, 3) and images.dtype == np.uint8
    assert np.array_equal(images, random_images(make_spec(), 3))
    assert not np.array_equal(images, random_images(make_spec(), 3, seed=1))
