"""Images to calibrate and to measure on: two halves that share none."""

import numpy as np
import pytest

from s3dnn_ros.commands.pictures import MOST, pictures_for
from s3dnn_ros.errors import ParameterError

cv2 = pytest.importorskip('cv2')


@pytest.fixture
def folder(tmp_path):
    """Return a builder of a folder of grey images, each a little lighter than the one before."""
    def build(count):
        for index in range(count):
            cv2.imwrite(str(tmp_path / f'{index:02d}.png'), np.full((4, 4, 3), index, np.uint8))
        return tmp_path
    return build


def shades(images):
    return [int(image.mean()) for image in images]


@pytest.mark.parametrize('count', [1, 2, 5, MOST])
def test_the_first_half_calibrates_and_the_rest_is_held_out(folder, make_spec, count):
    pictures = pictures_for(make_spec(), folder(count))
    assert shades(pictures.calibrating) == list(range(count // 2))
    assert shades(pictures.held_out) == list(range(count // 2, count))
    assert pictures.calibrating.shape[1:] == pictures.held_out.shape[1:] == (4, 4, 3)
    assert pictures.source.startswith(f'{count - count // 2} image')


def test_of_many_some_are_taken(folder, make_spec):
    pictures = pictures_for(make_spec(), folder(2 * MOST + 1))
    found = shades(pictures.calibrating) + shades(pictures.held_out)
    assert len(found) <= MOST and found == sorted(set(found))


def test_the_demos_photos_and_its_video_are_halved_each(make_spec, tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))
    folder = tmp_path / 'assets'
    folder.mkdir()
    for index, name in enumerate(('astronaut', 'coffee', 'chelsea')):
        cv2.imwrite(str(folder / f'{name}.png'), np.full((4, 4, 3), 50 * index, np.uint8))
    pictures = pictures_for(make_spec(), None)
    assert shades(pictures.calibrating) == [0]
    assert shades(pictures.held_out) == [50, 100]
    assert pictures.calibration == '1 other image of the demo'


def test_noise_calibrates_nothing(make_spec, tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))
    pictures = pictures_for(make_spec(), None)
    assert len(pictures.calibrating) == 0 < len(pictures.held_out)
    assert pictures.source == '8 images of noise'


def test_a_folder_without_images_is_refused(make_spec, tmp_path):
    with pytest.raises(ParameterError, match='there is no image in it'):
        pictures_for(make_spec(), tmp_path)


def test_the_first_half_of_a_bag_calibrates(write_bag, make_spec, tmp_path):
    path = write_bag(tmp_path / 'bag', {
        '/front': [(index, 'bgr8', np.full((8, 8, 3), index, np.uint8)) for index in range(6)],
        '/rear': [(1.0, 'bgr8', np.full((8, 8, 3), 99, np.uint8))]})
    pictures = pictures_for(make_spec(), path, '/front')
    assert (shades(pictures.calibrating), shades(pictures.held_out)) == ([0, 1, 2], [3, 4, 5])
    assert pictures.calibration == f'3 other images of {path}'
    with pytest.raises(ParameterError, match='/front, /rear'):
        pictures_for(make_spec(), path)


def test_only_a_bag_has_topics(folder, make_spec):
    for source in (None, folder(2)):
        with pytest.raises(ParameterError, match='only a bag has topics'):
            pictures_for(make_spec(), source, '/front')
