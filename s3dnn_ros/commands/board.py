"""Options of commands that set a board: what of it, and the platform that they ask for."""

from __future__ import annotations

import contextlib
from typing import Sequence, Union

from s3dnn_ros.commands.argument_types import above_zero, from_zero
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.platforms import JetsonPlatform, SmPartitionPlatform, restored_at_end
from s3dnn_ros.platforms.jetson import KNOBS
from s3dnn_ros.platforms.nvml import NvmlMeter
from s3dnn_ros.platforms.sm_partition import check_partitions


def add_board(parser, title: str, description: str):
    """Add them to a parser, in a group that is returned."""
    board = parser.add_argument_group(title, description)
    board.add_argument('--platform', choices=('jetson', 'sm_partition'),
                       help="what is set: a Jetson's clocks and cores, or how many "
                            'multiprocessors of a discrete GPU the torch engine uses')
    board.add_argument('--knobs', nargs='+', default=['gpu', 'emc'], choices=KNOBS, metavar='KNOB',
                       help='jetson: which, of gpu, emc, cpu and cores (default: gpu emc)')
    board.add_argument('--steps', type=above_zero(int), metavar='N',
                       help='jetson: so many values of each (default: all)')
    board.add_argument('--partitions', type=from_zero, nargs='+', metavar='SMS',
                       help='sm_partition: how many, ascending; 0, as the last, for all')
    return board


def partitions(arguments) -> Union[int, Sequence[int]]:
    """Return the multiprocessors that an engine is to change between, 0 for none to change.

    Raises ParameterError if they are missing.
    """
    if arguments.platform != 'sm_partition':
        return 0
    if not arguments.partitions:
        raise ParameterError('--partitions', '', 'name some, for example 8 16 32 64 0')
    return arguments.partitions


def platform_of(arguments, engine):
    """Return a context that gives the platform that was asked for, or None, and restores it."""
    if not arguments.platform:
        return contextlib.nullcontext()
    if arguments.platform == 'jetson':
        steps = dict.fromkeys(('cpu_steps', 'gpu_steps', 'emc_steps', 'core_steps'),
                              arguments.steps)
        return restored_at_end(JetsonPlatform(knobs=arguments.knobs, **steps))
    check_partitions(engine)
    return restored_at_end(SmPartitionPlatform(engine, NvmlMeter()))
