"""Options of commands that build networks ahead, for the engine tensorrt."""

from __future__ import annotations

from s3dnn_ros.commands.numbers import from_zero
from s3dnn_ros.settings import PRECISIONS


def add_building(parser) -> None:
    """Add them to a parser."""
    parser = parser.add_argument_group('how the engine tensorrt builds')
    parser.add_argument('--precision', default=PRECISIONS[0], choices=PRECISIONS,
                        help='what it computes in (default %(default)s)')
    parser.add_argument('--dla', type=from_zero, default=-1, metavar='N',
                        help='run on this core of the deep learning accelerator, and on the GPU '
                             'what it does not take')
    parser.add_argument('--workspace', type=from_zero, default=0, metavar='MB',
                        help='most scratch memory of a segment; 0: what TensorRT thinks best '
                             '(default %(default)s)')
    parser.add_argument('--optimum', type=from_zero, default=0, metavar='N',
                        help='the batch for which kernels are chosen; 0: the largest (default '
                             '%(default)s)')


def building(arguments):
    """Return what was asked for; raises ParameterError for what does not go together."""
    from s3dnn_ros.engines.base import BuildOptions

    return BuildOptions(arguments.precision, arguments.dla, arguments.workspace,
                        arguments.optimum)
