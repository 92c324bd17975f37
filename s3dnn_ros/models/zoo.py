"""Models the package can write by itself.

Their weights are trained and come from a registry, or are random and only for timing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Tuple

import onnx

from s3dnn_ros.base.cache import cache_dir, exported_path, locked, sha256_of, write_whole
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models import nanodet, squeezenet, torch_export
from s3dnn_ros.models.assets import ASSETS, asset_path, fetch
from s3dnn_ros.models.graph import require_file
from s3dnn_ros.models.sizes import AT, side_of
from s3dnn_ros.models.spec import ModelSpec

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ZooModel:
    """How a model is written: `convert` takes the paths of `assets`, if any, in that order.

    For images of another size it is given the `side` in pixels, if it is one of OF_ANY_SIZE.
    `revision` grows whenever the written file changes, so that caches are renewed. `torch` tells
    that torch writes it.
    """

    convert: Callable[..., onnx.ModelProto]
    assets: Tuple[str, ...]
    revision: int
    torch: bool = False


ZOO: Dict[str, ZooModel] = {
    'nanodet_g': ZooModel(nanodet.convert, ('nanodet_g.json', 'nanodet_g.bin'), 1),
    'squeezenet_1_1': ZooModel(squeezenet.convert, ('squeezenet_1_1.pkl', 'imagenet_names.json'),
                               2),
    **{name: ZooModel(partial(torch_export.convert, name), (), 1, torch=True)
       for name in torch_export.SIZES},
}


def zoo_model(name: str) -> ZooModel:
    """Return a zoo model by name, or by NAME@SIDE; raises ModelError that lists the known ones."""
    base, at, _ = name.partition(AT)
    if base not in ZOO:
        raise ModelError(f"zoo model '{name}'", f'is not known; known are {", ".join(ZOO)}')
    if not at:
        return ZOO[base]
    return replace(ZOO[base], convert=partial(ZOO[base].convert, side=side_of(name)))


def assets_of(names: Iterable[str]) -> List[str]:
    """Return the assets behind names of zoo models; other names stay as they are."""
    return [asset for name in names
            for asset in (zoo_model(name).assets if is_known(name) else (name,))]


def is_known(name: str) -> bool:
    """Tell whether there is a zoo model of this name, of whatever size."""
    return name.partition(AT)[0] in ZOO


def state_of(spec: ModelSpec) -> str:
    """Return whether a model is ready, or what it waits for, in a word or two."""
    if not spec.zoo:
        return 'ready' if spec.onnx.is_file() else 'file missing'
    if not is_known(spec.zoo):
        return 'not in the zoo'
    if is_exported(spec.zoo):
        return 'ready'
    folder = cache_dir() / 'assets'
    fetched = all((folder / asset).is_file() for asset in assets_of([spec.zoo]))
    return 'needs export' if fetched else 'needs fetch'


def is_exported(name: str) -> bool:
    """Tell whether the exported file is there, whole, and written by this revision."""
    path = exported_path(name)
    try:
        return is_known(name) and _key_path(path).read_text(encoding='utf-8') == _key(name, path)
    except OSError:
        return False


def export(name: str) -> Path:
    """Write a zoo model as ONNX into the cache, unless it is there already; return its path.

    Raises FetchError if its weights have not been fetched, ModelError if they do not fit or if
    torch, which writes the untrained ones, is not installed.
    """
    model, path = zoo_model(name), exported_path(name)
    try:
        with locked(path.parent):
            if not is_exported(name):
                write_whole(path, _convert(name, model))
                # The key goes last: a file without its key is only written again.
                write_whole(_key_path(path), _key(name, path).encode())
    except OSError as error:
        raise ModelError(
            path, f'cannot be written ({error.strerror}); free space there or set $S3DNN_CACHE'
        ) from error
    return path


def make_ready(specs: Iterable[ModelSpec]) -> None:
    """Fetch and export the zoo models of these descriptions; what is there already is kept.

    Each step is logged. Whatever cannot be had is told before anything is
    fetched: ModelError for a model that has no file or is not in the zoo, and for one that torch
    writes where torch is not installed. Raises FetchError if a download fails.
    """
    missing = []
    for spec in specs:
        if not spec.zoo:
            require_file(spec)
        elif not is_exported(spec.zoo) and spec.zoo not in missing:
            missing.append(spec.zoo)
    for name in missing:
        if zoo_model(name).torch:
            torch_export.require_torch(name)
    assets = list(dict.fromkeys(assets_of(missing)))
    if assets:
        fetch(assets)
    for name in missing:
        _LOG.info(f'{name}: writing it as ONNX …')
        export(name)


def _convert(name: str, model: ZooModel) -> bytes:
    sources = [asset_path(asset) for asset in model.assets]
    for asset, source in zip(model.assets, sources):
        if sha256_of(source) != ASSETS[asset].sha256:
            raise ModelError(
                source, f'is damaged; run `s3dnn models fetch {name}`, which replaces it'
            )
    return model.convert(*sources).SerializeToString(deterministic=True)


def _key_path(path: Path) -> Path:
    return path.with_suffix('.key')


def _key(name: str, path: Path) -> str:
    """Return what an export came from and what it holds, one line each."""
    model = zoo_model(name)
    sources = [f'{asset} {ASSETS[asset].sha256}' for asset in model.assets]
    lines = [f'revision {model.revision}', *sources, f'{path.name} {sha256_of(path)}']
    return '\n'.join(lines) + '\n'
