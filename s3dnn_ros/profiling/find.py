"""Which profile an instance goes by: the one it names, or one in the cache that fits."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import List, Optional, Tuple

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.base.content import full_path
from s3dnn_ros.cohort import SpeedupAccuracyTable
from s3dnn_ros.errors import DocumentError, ProfileError
from s3dnn_ros.profiling.table import ProfileTable, load_table, profile_path


def find_table(profile, spec, engine='auto', device=None) -> Tuple[Optional[ProfileTable], str]:
    """Return (table, reason): the profile for a model, or None, and why in a few words.

    Parameters
    ----------
    profile : str
        '' for none, 'auto' for the newest in the cache that fits, or a path.
    spec : ModelSpec
    engine : str
        Name of the engine that runs the model; with 'auto', which is not known
        yet, any engine's profile fits.
    device : str or None
        The device it runs on; None where that is not known.

    Raises
    ------
    ProfileError
        The file at `profile` cannot be read or was measured on something else.

    """
    if not profile:
        return None, 'no profile is wanted'
    engine = None if engine == 'auto' else engine
    if profile != 'auto':
        path = _full(profile)
        table = load_table(path)
        sha256 = _sha256(spec)
        if not sha256:
            raise ProfileError(path, f'cannot be compared with the model, as {spec.onnx} is not '
                                     f'here; put it there or state sha256 in {spec.name}.yaml')
        table.check(sha256, engine, device)
        return table, str(path)
    paths = _cached(spec.name, engine)
    if not paths:
        return None, f'there is none: run `s3dnn profile {spec.name}`'
    sha256, reasons = _sha256(spec), []
    for path in paths:
        try:
            table = load_table(path)
            # a model that is not here cannot be compared: '' fits none
            table.check(sha256, engine, device)
        except ProfileError as error:
            reasons.append(str(error))
        else:
            return table, str(path)
    return None, '; '.join(reasons) if sha256 else f'{spec.onnx} is not here to compare with'


def cached_tables(model: str, engine: str, device: str, score: str
                  ) -> Tuple[ProfileTable, List[SpeedupAccuracyTable]]:
    """Return profile and accuracy by segment of a model that another process runs here.

    It compares them with the model's file, which need not be here. Without measured variants
    there is no accuracy. Raises ProfileError if there is no profile for this engine and device.
    """
    if Path(model).name != model:
        raise ProfileError(f'model {model!r}', 'is no name; a model is told by that of its YAML '
                                               'file')
    # it needs the package onnx, whose import takes long, and only cohorts need it
    from s3dnn_ros.profiling.variant_table import load_variant_table, variant_table_path
    table = load_table(profile_path(model, engine))
    table.check(None, engine, device)
    try:
        variants = load_variant_table(variant_table_path(model, engine))
        variants.check(table.model_sha256, table.cuts, engine, device)
    except ProfileError:
        return table, []
    return table, [variants.accuracy_table(segment, score) for segment in range(table.segments)]


def _full(path) -> Path:
    try:
        return full_path(path)
    except DocumentError as error:
        raise ProfileError('profile', str(error)) from error


def _sha256(spec):
    """Return the hash of a model's file, as stated or as found; '' if there is neither."""
    try:
        return spec.sha256 or sha256_of(spec.onnx)
    except OSError:
        return ''


def _cached(model, engine):
    """Return the paths of a model's cached profiles, newest first."""
    if engine is not None:
        path = profile_path(model, engine)
        return [path] if path.is_file() else []
    pattern = profile_path(glob.escape(model), '*')
    return sorted(pattern.parent.glob(pattern.name), reverse=True,
                  key=lambda path: (path.stat().st_mtime, path.name))
