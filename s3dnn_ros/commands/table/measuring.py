"""What the commands have in common that measure units: options, units, progress."""

from __future__ import annotations

import contextlib
from typing import Iterator, List, Sequence, Tuple

from s3dnn_ros.commands.argument_types import above_zero
from s3dnn_ros.commands.building import add_level, building
from s3dnn_ros.commands.progress import BatchProgress
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.partition import Row, UnitName


def add_measuring(parser) -> None:
    """Add the options to a parser."""
    parser.add_argument('model', metavar='NAME_OR_YAML')
    parser.add_argument('--unit', '--device', action='append', required=True, metavar='UNIT',
                        help='ENGINE:DEVICE, such as onnxruntime:cpu,threads=2, '
                             'onnxruntime:openvino (an Intel GPU), torch:cuda:0, '
                             'tensorrt:gpu,sms=64 or tensorrt:dla0; may be there several times')
    parser.add_argument('--batch', type=above_zero(int), metavar='B',
                        help='only this batch; with --increment, the first one')
    parser.add_argument('--max-batch', type=above_zero(int), default=64, metavar='N',
                        help='powers of two and their neighbours up to this (default '
                             '%(default)s)')
    parser.add_argument('--increment', '--inc', type=above_zero(int), metavar='K',
                        help='every K-th batch up to --max-batch instead')
    parser.add_argument('--repeats', type=above_zero(int), metavar='N',
                        help='runs of each batch (default: as many as fit in 1 s, 5 to 50)')
    parser.add_argument('--precision', choices=('fp16', 'fp32'), default='fp16',
                        help='in what GPUs and DLAs compute (default %(default)s)')
    add_level(parser)


def batches_of(arguments) -> List[int]:
    """Return the batches that are to be measured, smallest first; raises ParameterError."""
    from s3dnn_ros.units.measure import batches_to_measure

    if arguments.increment is None:
        return [arguments.batch] if arguments.batch else batches_to_measure(arguments.max_batch)
    first = arguments.batch or 1
    if first > arguments.max_batch:
        raise ParameterError('--batch', first, f'is above --max-batch, {arguments.max_batch}')
    return list(range(first, arguments.max_batch + 1, arguments.increment))


def units_of(arguments) -> List[str]:
    """Return the names of the units that are to be measured, in full; raises ParameterError."""
    return list(dict.fromkeys(str(UnitName.parse(name)) for name in arguments.unit))


@contextlib.contextmanager
def opened(arguments, names: Sequence[str], clock) -> Iterator[List]:
    """Give the units of these names; they are closed at the end."""
    from s3dnn_ros.units.open import open_units

    units = open_units(names, clock, building(arguments))
    try:
        yield units
    finally:
        for unit in units:
            unit.close()


def measured(arguments, cut, units, wanted: Sequence[Tuple[str, int]], table, clock
             ) -> Iterator[Row]:
    """Give the row of each wanted unit and batch as it is measured, and tell the progress.

    `cut` is the CutNetwork, `table` what was measured before, or None. Networks are loaded for
    the largest batch of both, as engines that pad do so up to that.
    """
    from s3dnn_ros.profiling.batch_timer import Step
    from s3dnn_ros.units.measure import cost_s, measured_rows
    from s3dnn_ros.units.split_network import SplitNetwork

    spec, repeats = cut.spec, arguments.repeats
    largest = max([*batches_of(arguments), *(row.batch for row in (table.rows if table else ()))])
    network = SplitNetwork(units, lambda unit: cut.load(unit, max_batch=largest), clock)
    for name, loaded in network.networks.items():
        if loaded.note:
            print(f'{name}: {loaded.note}')
    rows = measured_rows(network, (spec.height, spec.width, 3), wanted, clock, repeats)
    for name in dict.fromkeys(unit for unit, _ in wanted):
        batches = [batch for unit, batch in wanted if unit == name]
        done_s = left_s = 0.0
        with BatchProgress(f'{spec.name} on {name}', batches[-1], clock) as progress:
            for index, batch in enumerate(batches):
                progress(Step(batch, 1, done_s, done_s + left_s))
                row = next(rows)
                yield row
                image_s = row.total_ms / batch / 1e3
                done_s += cost_s(image_s * batch, repeats)
                left_s = sum(cost_s(image_s * later, repeats) for later in batches[index + 1:])
