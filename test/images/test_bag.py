"""Images out of bags: which topic, which of its messages, and what cannot be read."""

import sys

import numpy as np
import pytest

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.images.bag import bag_images, is_bag

cv2 = pytest.importorskip('cv2')
STORAGES = ('sqlite3', 'mcap')
MOST = 8


def grey(value, dtype=np.uint8, colours=3):
    return np.full((4, 6, colours), value, dtype)


def film(count, period_s=0.1, begin_s=100.0, encoding='bgr8'):
    """Return messages, each a little lighter than the one before."""
    return [(begin_s + index * period_s, encoding, grey(index)) for index in range(count)]


def shades(path, topic='', most=MOST):
    return [int(pixels.array.mean()) for pixels in bag_images(path, topic, most)]


@pytest.mark.parametrize('storage', STORAGES)
@pytest.mark.parametrize('count', [1, 2, MOST])
def test_of_few_images_all_are_given(write_bag, tmp_path, storage, count):
    path = write_bag(tmp_path / 'bag', {'/front': film(count), '/clock': [(99.0, None, None)]},
                     storage)
    assert is_bag(path)
    assert shades(path) == list(range(count))


@pytest.mark.parametrize('storage', STORAGES)
def test_of_many_images_some_are_given_evenly_spread_over_time(write_bag, tmp_path, storage):
    path = write_bag(tmp_path / 'bag', {'/front': film(10 * MOST), '/rear': film(1)}, storage)
    assert shades(path, '/front') == list(range(0, 10 * MOST, 10))


def test_a_burst_is_not_all_that_is_given(write_bag, tmp_path):
    burst = film(50, period_s=0.001)
    path = write_bag(tmp_path / 'bag', {'/front': burst + [
        (101.0 + index, 'bgr8', grey(100 + index)) for index in range(MOST)]})
    found = shades(path)
    assert len(found) == MOST and sum(shade < 100 for shade in found) <= 2


@pytest.mark.parametrize('encoding, content, shade', [
    ('rgb8', grey(7), 7), ('mono8', grey(7, colours=1), 7), ('rgba8', grey(7, colours=4), 7),
    ('mono16', grey(700, '>u2', 1), 700), ('png', cv2.imencode('.png', grey(7))[1], 7),
    ('jpeg', cv2.imencode('.jpg', grey(7))[1], 7)])
def test_raw_and_compressed_images_are_decoded_as_a_cameras_are(
        write_bag, tmp_path, encoding, content, shade):
    path = write_bag(tmp_path / 'bag', {'/front': [(1.0, encoding, content)]})
    assert shades(path) == [shade]


def test_where_several_topics_have_images_one_is_to_be_named(write_bag, tmp_path):
    path = write_bag(tmp_path / 'bag', {'/front': film(2), '/rear': film(3),
                                        '/clock': [(99.0, None, None)]})
    for topic in ('', '/clock', '/left'):
        with pytest.raises(ParameterError, match=r'images of /front, /rear; name one of these'):
            shades(path, topic)
    assert shades(path, '/rear') == [0, 1, 2]


def test_a_bag_without_images_is_told(write_bag, tmp_path):
    path = write_bag(tmp_path / 'bag', {'/clock': [(99.0, None, None)]})
    with pytest.raises(ParameterError, match='no topic at all'):
        shades(path)


def test_what_cannot_be_decoded_is_passed_over_unless_nothing_can(write_bag, tmp_path):
    broken = [(1.0, '32FC1', grey(0, np.float32, 1))]
    assert shades(write_bag(tmp_path / 'some', {'/front': [*broken, *film(2)]})) == [0, 1]
    with pytest.raises(ParameterError, match=r'none of its images .*32FC1'):
        shades(write_bag(tmp_path / 'none', {'/front': broken}))


@pytest.mark.parametrize('storage', STORAGES)
def test_a_file_of_a_bag_is_read_where_the_library_can(write_bag, tmp_path, storage):
    folder = write_bag(tmp_path / 'bag', {'/front': film(3)}, storage)
    path, = (path for path in folder.iterdir() if path.suffix in ('.db3', '.mcap'))
    assert is_bag(path)
    from rosbags import rosbag2
    if hasattr(rosbag2, 'StoragePlugin'):
        assert shades(path) == [0, 1, 2]
    else:
        with pytest.raises(ParameterError, match=r'name the folder that has its metadata\.yaml'):
            shades(path)


def without_description(path):
    """Return a bag's folder without its metadata.yaml."""
    (path / 'metadata.yaml').unlink()
    return path


def expect_shades_or_advice(path, expected, most=MOST):
    """Read a bag without metadata.yaml where the library can; else it is told what to do."""
    from rosbags import rosbag2
    assert is_bag(path)
    if hasattr(rosbag2, 'StoragePlugin'):
        assert shades(path, most=most) == expected
    else:
        with pytest.raises(ParameterError, match=f'run `ros2 bag reindex {path}`'):
            shades(path)


@pytest.mark.parametrize('storage', STORAGES)
@pytest.mark.parametrize('count, expected', [(3, [0, 1, 2]), (80, list(range(0, 80, 10)))])
def test_a_folder_without_a_description_is_read(write_bag, tmp_path, storage, count, expected):
    path = write_bag(tmp_path / 'bag', {'/front': film(count)}, storage)
    expect_shades_or_advice(without_description(path), expected)


def test_all_files_of_a_folder_without_a_description_are_read(write_bag, tmp_path):
    path = without_description(write_bag(tmp_path / 'bag', {'/front': film(40)}, 'mcap'))
    more = write_bag(tmp_path / 'more', {'/front': film(40, begin_s=104.0)}, 'mcap')
    other = write_bag(tmp_path / 'other', {'/clock': [(99.0, None, None)]}, 'mcap')
    for number, bag in enumerate((more, other)):
        file, = bag.glob('*.mcap')
        file.rename(path / f'next_{number}.mcap')
    expect_shades_or_advice(path, [0, 10, 20, 30] * 2)
    expect_shades_or_advice(path, [*range(40), *range(40)], most=80)


@pytest.mark.parametrize('storage', STORAGES)
def test_a_recording_that_was_cut_short_is_told(write_bag, tmp_path, storage):
    path = without_description(write_bag(tmp_path / 'bag', {'/front': film(80)}, storage))
    file, = path.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ParameterError, match=f'cannot be .*run `ros2 bag reindex {path}`'):
        shades(path)


def test_a_bag_that_is_damaged_is_told(write_bag, tmp_path):
    path = write_bag(tmp_path / 'bag', {'/front': film(3)})
    data, = path.glob('*.db3')
    data.write_bytes(b'no database, but as long as one has to be' * 100)
    with pytest.raises(ParameterError, match='cannot be read as a bag'):
        shades(path)
    (path / 'metadata.yaml').write_text('{')
    with pytest.raises(ParameterError, match='cannot be read as a bag'):
        shades(path)


@pytest.mark.parametrize('text, words', [
    ('a0: &a0 {x: x}\n' + '\n'.join(f'a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}'
                                    for n in range(1, 40)), 'alias'),
    ('[' * 1000, 'levels deep'), ('x: 1\n' * 90_000, 'more than 0.25 MB')])
def test_a_description_in_which_its_reader_would_not_end_is_told(write_bag, tmp_path, text, words):
    path = write_bag(tmp_path / 'bag', {'/front': film(1)})
    (path / 'metadata.yaml').write_text(text)
    with pytest.raises(ParameterError, match=f'cannot be read as a bag .*{words}'):
        shades(path)


def test_without_the_library_it_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rosbags.rosbag2', None)
    with pytest.raises(ParameterError, match='`pip install rosbags`'):
        shades(tmp_path / 'bag.mcap')


def test_a_folder_of_photos_is_no_bag(tmp_path):
    assert not is_bag(tmp_path)
