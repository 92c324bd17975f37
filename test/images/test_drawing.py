"""Boxes drawn into images."""

import subprocess
import sys

import numpy as np
import pytest

from s3dnn_ros.images.drawing import Drawn, colour_of, draw


@pytest.fixture
def image():
    return np.zeros((120, 160, 3), np.uint8)


def test_the_box_has_the_labels_colour_and_an_open_middle(image):
    draw(image, [Drawn('cat', 0.9, (20.0, 40.0, 140.0, 110.0))])
    colour = colour_of('cat')
    for x, y in ((20, 80), (140, 80), (80, 110), (120, 40)):
        assert tuple(image[y, x]) == colour
    assert not image[90, 80].any()
    assert not image[:20].any()


def test_the_text_stands_inside_above_the_boxs_upper_edge(image):
    draw(image, [Drawn('cat', 0.9, (20.0, 40.0, 140.0, 110.0))])
    label = image[28:41, 20:60]
    colours = {tuple(pixel) for pixel in label.reshape(-1, 3)}
    assert colour_of('cat') in colours and len(colours) > 2


def test_at_the_upper_edge_the_text_stays_inside_the_image(image):
    draw(image, [Drawn('cat', 0.9, (0.0, 0.0, 100.0, 100.0))])
    text = image[3:12, 3:30]
    assert (text != colour_of('cat')).any()


def test_a_mask_colours_the_object_inside_its_box(image):
    draw(image, [Drawn('cat', 0.9, (20.0, 40.0, 60.0, 80.0),
                       np.array([[255, 0], [255, 0]], np.uint8))])
    assert image[60, 25].any() and not image[60, 55].any() and not image[60, 10].any()


def test_a_mask_over_the_edge_of_the_image(image):
    for box in ((-20.0, -20.0, 20.0, 20.0), (150.0, 110.0, 190.0, 130.0), (-9.0, 5.0, -3.0, 9.0)):
        draw(image, [Drawn('cat', 0.9, box, np.full((3, 3), 255, np.uint8))])
    assert image[15, 15].any() and image[118, 158].any() and not image[60, 60].any()


def test_keypoints_that_are_there_are_drawn(image):
    draw(image, [Drawn('cat', 0.9, (20.0, 40.0, 140.0, 110.0), keypoints=[
        (80.0, 80.0, 0.9), (100.0, 80.0, 0.1), (1e30, np.inf, 0.9), (500.0, -3.0, 0.9)])])
    assert tuple(image[80, 80]) == colour_of('cat') and not image[80, 100].any()


def test_an_oriented_box_is_drawn_as_it_lies(image):
    draw(image, [Drawn('cat', 0.9, (46.0, 26.0, 114.0, 94.0), oriented=(
        80.0, 60.0, 68.0, 20.0, np.pi / 4))])
    colour = colour_of('cat')
    # half its width away from its centre, to the lower right; beside it is nothing
    x, y = (round(80 + 34 * np.sqrt(0.5)), round(60 + 34 * np.sqrt(0.5)))
    assert any(tuple(image[y + dy, x + dx]) == colour for dy in (-1, 0, 1) for dx in (-1, 0, 1))
    assert not image[85, 60:80].any() and not image[60, 80].any()


def test_nothing_to_draw(image):
    draw(image, [])
    assert not image.any()


def test_the_best_score_is_on_top(image):
    box = (20.0, 40.0, 140.0, 110.0)
    draw(image, [Drawn('cat', 0.9, box), Drawn('dog', 0.5, box)])
    assert tuple(image[80, 20]) == colour_of('cat')
    again = np.zeros_like(image)
    draw(again, [Drawn('dog', 0.5, box), Drawn('cat', 0.9, box)])
    assert np.array_equal(image, again)


@pytest.mark.parametrize('box', [
    (-50.0, -50.0, 300.0, 300.0), (10.0, 10.0, 10.0, 10.0), (150.0, 110.0, 400.0, 130.0),
    (159.0, 119.0, 160.0, 120.0),
])
def test_boxes_over_the_edge_and_without_size(image, box):
    draw(image, [Drawn('cat', 1.0, box)])
    assert image.shape == (120, 160, 3)


def test_equal_scores_with_boxes_of_any_type(image):
    """Sorting must not go on to compare boxes."""
    draw(image, [Drawn('cat', 0.5, np.array([1.0, 2.0, 30.0, 40.0])),
                 Drawn('cat', 0.5, np.array([5.0, 6.0, 50.0, 60.0]))])
    assert image.any()


def test_a_caption_is_readable_on_black_and_on_white(image):
    white = np.full_like(image, 255)
    for picture in (image, white):
        draw(picture, [], caption='front')
        lower = picture[95:115, :80]
        assert (lower > 200).all(axis=2).any() and (lower < 60).all(axis=2).any()


def test_lines_grow_with_the_image():
    large = np.zeros((1200, 1600, 3), np.uint8)
    draw(large, [Drawn('cat', 0.9, (200.0, 400.0, 1400.0, 1100.0))])
    assert tuple(large[800, 200]) == tuple(large[800, 201]) == colour_of('cat')


def test_colours_are_bright_and_tell_labels_apart():
    colours = {label: colour_of(label) for label in ('person', 'bicycle', 'car', 'cup', '17')}
    assert len(set(colours.values())) == len(colours)
    assert all(max(colour) == 255 for colour in colours.values())


def test_colours_are_the_same_in_every_process():
    """Python's own hash of strings is not."""
    said = subprocess.run(
        [sys.executable, '-c', 'from s3dnn_ros.images.drawing import colour_of; '
                               'print(colour_of("cat"))'],
        stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
    assert said.strip() == str(colour_of('cat'))
