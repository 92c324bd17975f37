"""Images to try a network on: the user's photos or bag, else those of the demo, else noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator, List, Optional, Sequence

import numpy as np

from s3dnn_ros.base.cache import cache_dir
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.images.bag import bag_images, is_bag
from s3dnn_ros.images.media import STILL_SUFFIXES, open_media
from s3dnn_ros.images.pixels import ENCODINGS, Pixels, fit
from s3dnn_ros.models.assets import ASSETS
from s3dnn_ros.models.fidelity import random_images
from s3dnn_ros.models.spec import ModelSpec

# So many of a folder's or a bag's images, evenly spread, of the demo's video, and of noise.
MOST = 32
FRAMES = 9
FRAME_PERIOD_S = 1.0
NOISE = 8
# What they are for where the engine tensorrt builds.
INT8_PICTURES = ('int8: real images to calibrate on, the first half of them by name or time '
                 "(default: the demo's, if fetched)")


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images fitted to a network, uint8 (N, H, W, 3), in two parts that share none.

    Fidelity is measured on `held_out`, never on those that calibrate, because it would be
    flattered there. `calibrating` is empty where there are not two real images. `of` says where
    they are from.
    """

    calibrating: np.ndarray
    held_out: np.ndarray
    of: str

    @property
    def source(self) -> str:
        """Return what fidelity is measured on."""
        return f'{_count(self.held_out, "image")} of {self.of}'

    @property
    def calibration(self) -> str:
        """Return what calibrates."""
        return f'{_count(self.calibrating, "other image")} of {self.of}'


def add_pictures(parser, what: str) -> None:
    """Add the options that say which images; `what` is what they are for."""
    parser.add_argument('--images', type=Path, metavar='DIR_OR_BAG',
                        help=f'{what}; a folder of photos, or a rosbag2 (`pip install rosbags`)')
    parser.add_argument('--topic', default='', metavar='TOPIC',
                        help='where the images are a bag: the topic of its sensor_msgs/Image or '
                             'CompressedImage, where it has several')


def pictures_for(spec: ModelSpec, source: Optional[Path], topic: str = '') -> Pictures:
    """Return images for a network; the first half of the photos and of a video calibrate.

    Halves, and not every second one, since neighbours may show the same. They are those of a
    folder or of a bag's topic; without either those that `s3dnn models fetch` brought. Raises
    ParameterError if there are none, or one that cannot be read.
    """
    if source is not None and is_bag(source):
        return _pictures(spec, [bag_images(source, topic, MOST)], str(source))
    if topic:
        raise ParameterError('topic', topic, 'only a bag has topics; name one with --images')
    if source is not None:
        return _pictures(spec, [_photos(_stills(source))], str(source))
    folder = cache_dir() / 'assets'
    fetched = [folder / name for name in ASSETS if (folder / name).is_file()]
    photos = [path for path in fetched if path.suffix in STILL_SUFFIXES]
    videos = [path for path in fetched if path.suffix == '.mp4']
    if not photos and not videos:
        return Pictures(_fitted(spec, []), random_images(spec, NOISE), 'noise')
    return _pictures(spec, [_photos(photos), *map(_frames, videos)], 'the demo')


def real_pictures_for(spec: ModelSpec, source: Optional[Path], topic: str) -> Pictures:
    """Return images of which some can calibrate; raises ParameterError if there are not two."""
    pictures = pictures_for(spec, source, topic)
    if not len(pictures.calibrating):
        raise ParameterError('--images', source and str(source), 'int8 is calibrated on real '
                             'images, and there are not two; name a directory of photos, or a bag')
    return pictures


def _pictures(spec: ModelSpec, kinds: Sequence[Iterable[Pixels]], of: str) -> Pictures:
    """Return the first half of each kind for calibration, the rest held out."""
    fitted = [_fitted(spec, images) for images in kinds]
    return Pictures(np.concatenate([images[:len(images) // 2] for images in fitted]),
                    np.concatenate([images[len(images) // 2:] for images in fitted]), of)


def _count(images: np.ndarray, what: str) -> str:
    return f'{len(images)} {what}' + ('' if len(images) == 1 else 's')


def _stills(directory: Path) -> List[Path]:
    try:
        paths = sorted(path for path in directory.iterdir()
                       if path.suffix.lower() in STILL_SUFFIXES)
    except OSError as error:
        raise ParameterError('images', str(directory), f'it cannot be read ({error.strerror}); '
                             'name a directory of images') from error
    if not paths:
        raise ParameterError('images', str(directory), 'there is no image in it; expected files '
                             f'that end in {", ".join(STILL_SUFFIXES)}')
    return paths[::1 + (len(paths) - 1) // MOST]


def _photos(paths: Iterable[Path]) -> Iterator[Pixels]:
    for path in paths:
        yield Pixels(open_media(path).at(0.0), ENCODINGS['bgr8'])


def _frames(path: Path) -> Iterator[Pixels]:
    video = open_media(path)
    for index in range(FRAMES):
        yield Pixels(video.at(index * FRAME_PERIOD_S), ENCODINGS['bgr8'])


def _fitted(spec: ModelSpec, images: Iterable[Pixels]) -> np.ndarray:
    """Return images as the network reads them; they need not all be in memory at once."""
    result = []
    for pixels in images:
        result.append(np.empty((spec.height, spec.width, 3), np.uint8))
        fit(pixels, result[-1], colour=spec.colour, resize=spec.resize, pad=spec.pad)
    return np.array(result, np.uint8).reshape(-1, spec.height, spec.width, 3)
