"""Images to try a network on: the user's, else those of the demo, else noise."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Tuple

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


def pictures_for(spec: ModelSpec, directory: Optional[Path]) -> Tuple[np.ndarray, str]:
    """Return images fitted to a network, uint8 (N, H, W, 3), and what they are.

    Without a directory those that `s3dnn models fetch` brought. Raises ParameterError if the
    directory holds no images, or one that cannot be read.
    """
    if directory is not None:
        paths = _stills(directory)
        images = [open_media(path).at(0.0) for path in paths]
        return _fitted(spec, images), f'{len(paths)} images of {directory}'
    folder = cache_dir() / 'assets'
    fetched = [folder / name for name in ASSETS if (folder / name).is_file()]
    images = [open_media(path).at(0.0) for path in fetched if path.suffix in STILL_SUFFIXES]
    for path in fetched:
        if path.suffix == '.mp4':
            video = open_media(path)
            images += [video.at(index * FRAME_PERIOD_S).copy() for index in range(FRAMES)]
    if not images:
        return random_images(spec, NOISE), f'{NOISE} images of noise'
    return _fitted(spec, images), f"{len(images)} of the demo's images"


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
