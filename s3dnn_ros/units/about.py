"""What tables say of the model, the machine and the units that they are of."""

from __future__ import annotations

from typing import Dict, Sequence

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.base.processor import processor
from s3dnn_ros.models.spec import ModelSpec
from s3dnn_ros.partition.table import MODEL, MODEL_SHA256, PROCESSOR, UNIT
from s3dnn_ros.units.unit import Unit


def about_model(spec: ModelSpec) -> Dict[str, str]:
    """Return what a table of this model, measured here, says; for `PerformanceTable.expect`.

    The model's file must be there.
    """
    return {MODEL: spec.name, MODEL_SHA256: sha256_of(spec.onnx), PROCESSOR: processor()}


def about_units(units: Sequence[Unit]) -> Dict[str, str]:
    """Return what a table says of these units: their devices and the versions of their engines."""
    return {f'{UNIT} {unit.name}': _of_engine(unit.engine) for unit in units}


def _of_engine(engine) -> str:
    versions = [f'{name} {version}' for name, version in engine.versions.items()]
    # some devices say a version already
    return ', '.join([engine.device, *(each for each in versions if each not in engine.device)])
