"""The file of times that were measured of a workload's models, so that each is measured once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, Tuple

from s3dnn_ros.base.cache import write_whole
from s3dnn_ros.base.content import Fields, read_json
from s3dnn_ros.errors import StrategyError
from s3dnn_ros.strategy.workload import LONGEST_MS, SHORTEST_MS, ModelTimes

FORMAT = 1
_ADVICE = 'remove it, and the times are measured anew'

# By model: what tells its files apart, and its times.
KnownTimes = Dict[str, Tuple[str, ModelTimes]]


def save_times(path: Path, key: str, known: KnownTimes) -> None:
    """Write times, whole or not at all.

    `key` stands for all that they depend on besides the model's file. Raises StrategyError.
    """
    models = {model: {'sha256': sha256, **times._asdict()}
              for model, (sha256, times) in known.items()}
    try:
        write_whole(path, (json.dumps({'format': FORMAT, 'key': key, 'models': models}, indent=1)
                           + '\n').encode())
    except OSError as error:
        raise StrategyError(path, f'cannot be written ({error.strerror}); free space there, or '
                                  'name another plan with --out') from error


def load_times(path: Path, key: str) -> KnownTimes:
    """Return what `save_times` wrote; nothing if it depends on something else, or is not there.

    Raises StrategyError if the file cannot be read.
    """
    def build(content) -> KnownTimes:
        fields = Fields(content)
        if fields.value('format') != FORMAT or fields.text('key') != key:
            return {}
        models = fields.part('models')
        return {model: _times(models.part(model)) for model in fields.mapping('models')}

    if not path.exists():
        return {}
    return read_json(path, 'a file of measured times', build, StrategyError, _ADVICE)


def _times(fields) -> Tuple[str, ModelTimes]:
    most_s = 1e-3 * LONGEST_MS
    return fields.text('sha256'), ModelTimes(
        fields.text('device'), fields.number('device_s', 1e-3 * SHORTEST_MS, most_s),
        fields.number('utilization', 1e-6, 1.0), fields.number('before_s', 0.0, most_s),
        fields.number('behind_s', 0.0, most_s))
