"""The file of measured strategies, from which a search goes on."""

from __future__ import annotations

import json
from pathlib import Path

from s3dnn_ros.base.cache import write_whole
from s3dnn_ros.base.content import Fields, is_number, read_json
from s3dnn_ros.errors import DocumentError, StrategyError
from s3dnn_ros.strategy.strategy import Measured, Measurement, Strategy, is_of
from s3dnn_ros.strategy.workload import LONGEST_MS, MOST_TASKS, MOST_VARIANTS, Workload

FORMAT = 1
_ADVICE = 'name another file with --measured, or remove this one'


def save_measured(path: Path, key: str, measured: Measured) -> None:
    """Write strategies and what was measured of them, whole or not at all.

    `key` stands for all that results depend on besides the strategy. Raises StrategyError.
    """
    rows = [{'variants': strategy.variants, 'priorities': strategy.priorities,
             'missed': measurement.missed, 'response_ms': measurement.response_ms}
            for strategy, measurement in measured.items()]
    try:
        write_whole(path, (json.dumps({'format': FORMAT, 'key': key, 'strategies': rows})
                           + '\n').encode())
    except OSError as error:
        raise StrategyError(path, f'cannot be written ({error.strerror}); name another with '
                                  '--measured') from error


def load_measured(path: Path, key: str, workload: Workload) -> Measured:
    """Return what `save_measured` wrote, in its order.

    Raises StrategyError if it cannot be read, or was measured of something else.
    """
    def build(content) -> Measured:
        fields = Fields(content)
        if fields.value('format') != FORMAT or fields.text('key') != key:
            raise DocumentError('was measured of another workload, or with other options')
        return dict(_row(part, workload) for part in fields.parts('strategies'))

    return read_json(path, 'a file of measured strategies', build, StrategyError, _ADVICE)


def _row(fields, workload):
    strategy = Strategy(fields.wholes('variants', 0, MOST_VARIANTS),
                        fields.wholes('priorities', 1, MOST_TASKS))
    missed = fields.numbers('missed', 0.0, 1.0)
    responses_ms = fields.items('response_ms')
    if not (is_of(workload, strategy)
            and len(missed) == len(responses_ms) == len(workload.tasks)):
        fields.fail('variants', 'a variant, a priority and results for every task')
    if not all(value is None or is_number(value, 0.0, LONGEST_MS) for value in responses_ms):
        fields.fail('response_ms', f'a list of numbers from 0 to {LONGEST_MS:g}, or of nothing')
    return strategy, Measurement(missed, tuple(responses_ms))
