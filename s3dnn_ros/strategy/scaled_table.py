"""The table that `s3dnn scale` writes of a model, as a workload's model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping

from s3dnn_ros.base.content import Fields
from s3dnn_ros.errors import DocumentError

FORMAT = 2
LARGEST_BYTES = 10**15
# Workloads count accuracy in points.
POINTS = 100.0


def is_scaled(table: Fields) -> bool:
    """Tell whether `s3dnn scale` has written a table."""
    return table.has('scaled')


def as_model(table: Fields, folder: Path, times: Mapping[str, float]) -> Fields:
    """Return such a table in the words of a workload's model.

    The accuracy is measured with labels; without them it is the share of answers that are the
    exact network's. A variant that is more accurate than the exact one has the loss 0. Files of
    the models lie in `folder`; `times` are those that the workload has for all variants. Raises
    DocumentError, naming the key.
    """
    if table.value('format') != FORMAT:
        raise DocumentError(f'has another format than {FORMAT}; make it anew with `s3dnn scale`')
    rows = table.parts('variants')
    measured = 'accuracy' if rows and rows[0].value('accuracy') is not None else 'answers'
    best = rows[0].number(measured, 0.0, 1.0) if rows else 0.0
    return Fields({
        'accuracy': POINTS * best,
        'shared_mb': 1e-6 * table.whole('shared_bytes', 0, LARGEST_BYTES),
        'variants': [_variant(row, folder, POINTS * max(
            0.0, best - row.number(measured, 0.0, 1.0)), times) for row in rows]})


def _variant(row: Fields, folder: Path, loss: float, times: Mapping[str, float]
             ) -> Dict[str, Any]:
    return {**times, 'model': str(folder / row.text('model')), 'loss': loss,
            'storage_mb': 1e-6 * row.whole('bytes', 0, LARGEST_BYTES)}
