"""Descriptions of the networks of a series, so that each can be used like any model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import yaml

from s3dnn_ros.models.spec import ModelSpec

_SAME = ('width', 'height', 'colour', 'resize', 'pad', 'decoder', 'deadline_ms', 'max_batch',
         'licence', 'source')


def description(spec: ModelSpec, path: Path, what: str) -> str:
    """Return the YAML that describes a network beside which it will lie; `what` says what it is.

    What the exact model's description gives as `inputs` is in the network already.
    """
    values: Dict[str, Any] = {'description': what, 'onnx': path.name}
    values.update((name, getattr(spec, name)) for name in _SAME if getattr(spec, name) != '')
    values.update(mean=list(spec.mean), std=list(spec.std))
    if spec.decoder_options:
        values['decoder_options'] = dict(spec.decoder_options)
    if spec.labels:
        values['labels'] = list(spec.labels)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
