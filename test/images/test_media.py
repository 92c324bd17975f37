"""Images out of files, as a camera would see them."""

import cv2
import numpy as np
import pytest

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.images.compressed import decode_compressed
from s3dnn_ros.images.media import CYCLE_S, WINDOW, SimulatedCamera, Video, encode, open_media
from s3dnn_ros.images.pixels import fit
from s3dnn_ros.images.raw import view_raw

FPS = 10.0
FRAMES = 12
# of a lossy video
TOLERANCE = 12
ENCODINGS = ('bgr8', 'rgb8', 'bgra8', 'mono8', 'yuv422')


@pytest.fixture
def photo(tmp_path):
    """Return the path of a photo whose columns rise in blue and rows in red."""
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, :, 0] = np.arange(200)
    image[:, :, 2] = np.arange(100)[:, None]
    cv2.imwrite(str(tmp_path / 'photo.png'), image)
    return tmp_path / 'photo.png'


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Return the path of a video whose frame n is grey of 20 n."""
    path = tmp_path_factory.mktemp('media') / 'video.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), FPS, (64, 48))
    if not writer.isOpened():
        pytest.skip('this OpenCV writes no MJPG')
    for index in range(FRAMES):
        writer.write(np.full((48, 64, 3), 20 * index, np.uint8))
    writer.release()
    return path


def shown(image):
    return round(float(image.mean()) / 20.0)


class Fixed:
    """A medium that shows one picture."""

    def __init__(self, image):
        self.image = image

    def at(self, time_s):
        return self.image


def test_a_video_shows_the_frame_of_the_time(video):
    media = open_media(video)
    assert [shown(media.at(index / FPS + 0.01)) for index in range(FRAMES)] == list(range(FRAMES))


def test_a_video_skips_and_repeats_frames(video):
    media = open_media(video)
    times = (0.01, 0.02, 0.35, 0.36, 0.91)
    assert [shown(media.at(time_s)) for time_s in times] == [0, 0, 3, 3, 9]


def test_a_video_begins_again(video):
    media = open_media(video)
    cycle_s = FRAMES / FPS
    times = (0.51, cycle_s + 0.01, cycle_s + 0.51, 7 * cycle_s + 0.21)
    assert [shown(media.at(time_s)) for time_s in times] == [5, 0, 5, 2]


def test_a_video_may_begin_further_on(video):
    media = open_media(video, start_s=0.5)
    assert [shown(media.at(time_s)) for time_s in (0.01, 0.11, 0.71)] == [5, 6, 0]


def test_a_video_whose_header_promises_too_many_frames(video, monkeypatch):
    media = open_media(video)
    media.frames = FRAMES + 5
    assert shown(media.at((FRAMES - 1) / FPS + 0.01)) == FRAMES - 1
    for extra in range(5):
        image = media.at((FRAMES + extra) / FPS + 0.01)
        assert image is not None and image.shape == (48, 64, 3)


def test_a_still_photo(photo):
    media = open_media(photo)
    assert media.at(0.0).shape == (100, 200, 3)
    assert np.array_equal(media.at(0.0), media.at(3.3))


def test_panning_goes_from_left_to_right_and_back(photo):
    media = open_media(photo, motion='pan')
    shape = (round(100 * WINDOW), round(200 * WINDOW), 3)
    lefts = [int(media.at(part * CYCLE_S)[0, 0, 0]) for part in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert lefts == [0, 30, 60, 30, 0]
    assert all(media.at(part * CYCLE_S).shape == shape for part in (0.0, 0.13, 0.5, 0.77))


def test_zooming_goes_in_and_out_about_the_middle(photo):
    media = open_media(photo, motion='zoom')
    assert media.at(0.0).shape == media.at(CYCLE_S).shape == (100, 200, 3)
    near = media.at(CYCLE_S / 2)
    assert near.shape == (70, 140, 3)
    assert near[0, 0].tolist() == [30, 0, 15]


@pytest.mark.parametrize(('name', 'words'), [
    ('gone.mp4', 'no such file'), ('dir', 'is a folder; name a video'),
    ('bad.png', 'cannot read this image'),
    ('bad.mp4', 'cannot read this video'), ('empty.avi', 'cannot read this video'),
])
def test_what_cannot_be_read_is_named(tmp_path, name, words):
    (tmp_path / 'dir').mkdir()
    (tmp_path / 'bad.png').write_bytes(b'x' * 50)
    (tmp_path / 'bad.mp4').write_bytes(b'x' * 50)
    (tmp_path / 'empty.avi').write_bytes(b'')
    with pytest.raises(ParameterError, match=words) as caught:
        open_media(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_video_that_cannot_be_read_by_itself(tmp_path):
    with pytest.raises(ParameterError, match='cannot read this video'):
        Video(tmp_path / 'gone.mp4')


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('size', [(8, 6), (7, 5), (2, 1)])
def test_the_governor_reads_back_what_a_camera_shows(encoding, size):
    width, height = size
    # one colour per column pair, so that halved colours lose nothing
    image = np.zeros((height, width, 3), np.uint8)
    for column in range(width):
        image[:, column] = [(50, 100, 200), (200, 60, 30), (90, 90, 90)][column // 2 % 3]
    shot = SimulatedCamera(Fixed(image), encoding).shoot(0.0)
    assert shot.encoding == encoding and shot.height == height
    assert len(shot.data) == shot.step * shot.height
    pixels = view_raw(encoding, shot.width, shot.height, shot.step, shot.data)
    back = np.zeros((shot.height, shot.width, 3), np.uint8)
    fit(pixels, back)
    if shot.width != width:
        # half a pair is no pixel: squeezed by one column
        assert (encoding, shot.width) == ('yuv422', width // 2 * 2)
        return
    expected = image
    if encoding == 'mono8':
        expected = cv2.cvtColor(cv2.cvtColor(expected, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    tolerance = 6 if encoding == 'yuv422' else 0
    assert np.abs(back.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize('encoding', ['jpeg', 'png'])
def test_compressed_shots(encoding):
    image = np.full((16, 24, 3), 120, np.uint8)
    shot = SimulatedCamera(Fixed(image), encoding).shoot(0.0)
    assert (shot.width, shot.height, shot.step) == (24, 16, 0)
    assert np.abs(decode_compressed(shot.data).array.astype(int) - image).max() <= 2


def test_a_window_of_a_photo_is_encoded_row_by_row():
    """A view with gaps between its rows must come out without them."""
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    data, step = encode(image[1:3, 2:5], 'bgr8')
    assert step == 9 and data == image[1:3, 2:5].tobytes()


def test_a_fixed_size(photo):
    camera = SimulatedCamera(open_media(photo, motion='zoom'), 'bgr8', 64, 48)
    for time_s in (0.0, 2.0, 5.0):
        shot = camera.shoot(time_s)
        assert (shot.width, shot.height, shot.step) == (64, 48, 192)
        assert len(shot.data) == 192 * 48


def test_one_side_given_keeps_the_files_other(photo):
    shot = SimulatedCamera(open_media(photo), 'mono8', 50, 0).shoot(0.0)
    assert (shot.width, shot.height) == (50, 100)


def test_a_picture_that_does_not_change_is_encoded_once(video):
    camera = SimulatedCamera(open_media(video), 'bgr8')
    first = camera.shoot(0.01)
    assert camera.shoot(0.02) is first
    assert camera.shoot(0.11) is not first
    assert abs(int(np.frombuffer(first.data, np.uint8).mean())) <= TOLERANCE
