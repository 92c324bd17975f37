"""Images to fine-tune variants on, and others to measure them on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, List, Optional, Sequence, Tuple

import numpy as np

from s3dnn_ros.base.cache import cache_dir
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.images.media import STILL_SUFFIXES, Video, open_media
from s3dnn_ros.images.pixels import ENCODINGS, Pixels, fit
from s3dnn_ros.models.assets import ASSETS
from s3dnn_ros.models.spec import ModelSpec

# The first part of a video, of a folder's photos by name, and of each class of them.
TRAINING_SHARE = 0.75
# More is not kept in memory: of more images, so many are taken, evenly spread.
MOST_BYTES = 400_000_000


@dataclass(frozen=True, eq=False)
class Frames:
    """Images fitted to a network, uint8 [N, H, W, 3], in two parts that share none.

    The labels are [N], or None where nobody has told them. `source` says where they are from.
    """

    training: np.ndarray
    held_out: np.ndarray
    source: str
    training_labels: Optional[np.ndarray] = None
    held_out_labels: Optional[np.ndarray] = None


def frames_for(spec: ModelSpec, source: Optional[Path]) -> Frames:
    """Return the images of a video, a folder of photos or a folder of folders by class.

    Folders of classes have the names of the labels or their numbers. Without a `source` the
    images are those that `s3dnn models fetch` brought. Raises ParameterError if there are not
    two images, for a file that cannot be read, and for a folder that is no class.
    """
    if source is None:
        folder = cache_dir() / 'assets'
        paths = [folder / name for name in ASSETS if (folder / name).is_file()]
        kinds = [_pixels(path) for path in paths if path.suffix == '.mp4']
        kinds.append(_photos([path for path in paths if path.suffix in STILL_SUFFIXES]))
        return _frames(spec, kinds, 'the demo')
    if source.is_dir():
        folders = sorted(path for path in source.iterdir() if path.is_dir())
        if folders:
            classes = [_class(spec, path) for path in folders]
            return _frames(spec, [_photos(_stills(path)) for path in folders], str(source),
                           classes)
        return _frames(spec, [_photos(_stills(source))], str(source))
    return _frames(spec, [_pixels(source)], str(source))


def _frames(spec, kinds: Sequence[Tuple[int, Iterable[np.ndarray]]], source: str,
            classes: Sequence[int] = ()) -> Frames:
    step = 1 + sum(count for count, _ in kinds) * spec.height * spec.width * 3 // MOST_BYTES
    training: List[np.ndarray] = []
    held_out: List[np.ndarray] = []
    labels: Tuple[List[int], List[int]] = ([], [])
    for index, (_, images) in enumerate(kinds):
        fitted = [_fitted(spec, image) for number, image in enumerate(images)
                  if number % step == 0]
        end = int(len(fitted) * TRAINING_SHARE)
        training += fitted[:end]
        held_out += fitted[end:]
        if classes:
            labels[0].extend([classes[index]] * end)
            labels[1].extend([classes[index]] * (len(fitted) - end))
    if not training or not held_out:
        raise ParameterError('--data', source, 'there are not two images in it; name a video, or '
                             'a folder of photos')
    known = map(np.array, labels) if classes else (None, None)
    return Frames(np.array(training), np.array(held_out), source, *known)


def _class(spec: ModelSpec, folder: Path) -> int:
    if folder.name in spec.labels:
        return spec.labels.index(folder.name)
    if not folder.name.isdecimal():
        raise ParameterError('--data', str(folder), 'this folder has the name of no class; name '
                             f'it as a label of {spec.name}, or as the number of one')
    return int(folder.name)


def _stills(folder: Path) -> List[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in STILL_SUFFIXES)


def _photos(paths: Sequence[Path]) -> Tuple[int, Iterable[np.ndarray]]:
    return len(paths), (open_media(path).at(0.0) for path in paths)


def _pixels(path: Path) -> Tuple[int, Iterable[np.ndarray]]:
    """Return the images of one file."""
    media = open_media(path)
    if not isinstance(media, Video):
        return 1, iter([media.at(0.0)])
    return media.frames, (media.at((number + 0.5) / media.fps) for number in range(media.frames))


def _fitted(spec: ModelSpec, image: np.ndarray) -> np.ndarray:
    result = np.empty((spec.height, spec.width, 3), np.uint8)
    fit(Pixels(image, ENCODINGS['bgr8']), result, colour=spec.colour, resize=spec.resize,
        pad=spec.pad)
    return result
