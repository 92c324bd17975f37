"""Images to try a network on: the user's, else those of the demo, else noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence

import numpy as np

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.governor.images import ENCODINGS, Pixels, fit
from s3dnn_ros.media import STILL_SUFFIXES, open_media
from s3dnn_ros.models.assets import ASSETS
from s3dnn_ros.models.cache import cache_dir
from s3dnn_ros.models.fidelity import random_images
from s3dnn_ros.models.spec import ModelSpec

# So many of a folder's images, evenly spread, of the demo's video, and of noise.
MOST = 32
FRAMES = 9
FRAME_PERIOD_S = 1.0
NOISE = 8


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


def pictures_for(spec: ModelSpec, directory: Optional[Path]) -> Pictures:
    """Return images for a network; the first half of the photos and of the video calibrate.

    Halves, and not every second one, since neighbours may show the same. Without a directory
    those that `s3dnn models fetch` brought. Raises ParameterError if the directory holds no
    images, or one that cannot be read.
    """
    if directory is not None:
        photos = [open_media(path).at(0.0) for path in _stills(directory)]
        return _pictures(spec, [photos], str(directory))
    folder = cache_dir() / 'assets'
    fetched = [folder / name for name in ASSETS if (folder / name).is_file()]
    photos = [open_media(path).at(0.0) for path in fetched if path.suffix in STILL_SUFFIXES]
    videos = [open_media(path) for path in fetched if path.suffix == '.mp4']
    frames = [[video.at(index * FRAME_PERIOD_S).copy() for index in range(FRAMES)]
              for video in videos]
    if not photos and not videos:
        return Pictures(_fitted(spec, []), random_images(spec, NOISE), 'noise')
    return _pictures(spec, [photos, *frames], 'the demo')


def _pictures(spec: ModelSpec, kinds: Sequence[List[np.ndarray]], of: str) -> Pictures:
    """Return the first half of each kind for calibration, the rest held out."""
    first = [image for images in kinds for image in images[:len(images) // 2]]
    rest = [image for images in kinds for image in images[len(images) // 2:]]
    return Pictures(_fitted(spec, first), _fitted(spec, rest), of)


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


def _fitted(spec: ModelSpec, images: List[np.ndarray]) -> np.ndarray:
    result = np.empty((len(images), spec.height, spec.width, 3), np.uint8)
    for image, target in zip(images, result):
        fit(Pixels(image, ENCODINGS['bgr8']), target, colour=spec.colour, resize=spec.resize,
            pad=spec.pad)
    return result
