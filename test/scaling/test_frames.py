"""Images to learn from and others to measure on: of a video, of photos, of classes."""

import numpy as np
import pytest

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.models.spec import ModelSpec
from s3dnn_ros.scaling import frames
from s3dnn_ros.scaling.frames import frames_for

cv2 = pytest.importorskip('cv2')


@pytest.fixture
def spec(tmp_path):
    return ModelSpec(
        name='net', onnx=tmp_path / 'net.onnx', width=8, height=6, colour='bgr', mean=(0, 0, 0),
        std=(255, 255, 255), resize='stretch', decoder='classification', labels=('cat', 'dog'))


def photos(folder, count, first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        cv2.imwrite(str(folder / f'{index:03d}.png'),
                    np.full((6, 8, 3), first + index, np.uint8))
    return folder


def shades(images):
    return [int(image.mean()) for image in images]


@pytest.mark.parametrize('count', [2, 3, 8])
def test_the_last_quarter_of_the_photos_is_held_out(spec, tmp_path, count):
    found = frames_for(spec, photos(tmp_path / 'photos', count))
    end = int(count * 0.75)
    assert shades(found.training) == list(range(end))
    assert shades(found.held_out) == list(range(end, count))
    assert found.training.shape[1:] == (6, 8, 3)
    assert found.training_labels is found.held_out_labels is None


def test_folders_are_classes_by_label_or_number(spec, tmp_path):
    photos(tmp_path / 'dog', 4)
    photos(tmp_path / '0', 8, first=100)
    found = frames_for(spec, tmp_path)
    assert sorted(zip(found.training_labels, shades(found.training))) == [
        *((0, 100 + index) for index in range(6)), *((1, index) for index in range(3))]
    assert sorted(found.held_out_labels) == [0, 0, 1]


def test_a_folder_of_no_class_is_told(spec, tmp_path):
    photos(tmp_path / 'bird', 4)
    with pytest.raises(ParameterError, match=r'bird.*name of no class.*label of net'):
        frames_for(spec, tmp_path)


@pytest.mark.parametrize('count', [0, 1])
def test_less_than_two_images_are_told(spec, tmp_path, count):
    with pytest.raises(ParameterError, match=r'--data.*there are not two images'):
        frames_for(spec, photos(tmp_path / 'photos', count))


def test_without_fetched_images_a_source_is_asked_for(spec, tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))
    with pytest.raises(ParameterError, match=r'the demo.*name a video'):
        frames_for(spec, None)


def test_of_more_images_than_fit_some_are_taken_evenly(spec, tmp_path, monkeypatch):
    monkeypatch.setattr(frames, 'MOST_BYTES', 9 * 6 * 8 * 3)
    found = frames_for(spec, photos(tmp_path / 'photos', 16))
    assert shades(found.training) + shades(found.held_out) == list(range(0, 16, 2))


def test_the_frames_of_a_video_are_all_there_in_order(spec, tmp_path):
    path = tmp_path / 'video.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (32, 24))
    for index in range(8):
        writer.write(np.full((24, 32, 3), 20 * index, np.uint8))
    writer.release()
    found = frames_for(spec, path)
    np.testing.assert_allclose(shades(found.training) + shades(found.held_out),
                               range(0, 160, 20), atol=3)
    assert len(found.held_out) == 2
