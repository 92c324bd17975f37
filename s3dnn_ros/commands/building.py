"""Options of commands that make an engine: how it is to build networks."""

from __future__ import annotations

from s3dnn_ros.commands.argument_types import above_zero, from_zero
from s3dnn_ros.commands.pictures import real_pictures_for
from s3dnn_ros.engines.base import DEFAULTS, LONGEST_S, PRECISIONS, BuildOptions
from s3dnn_ros.errors import ParameterError

LEVEL = '--optimization-level'
# By what BuildOptions calls them; an option that was not given is None.
_OPTIONS = {'precision': '--precision', 'dla': '--dla', 'workspace_mb': '--workspace',
            'optimum': '--optimum', 'limit_s': '--limit', 'optimization_level': LEVEL}


def add_building(parser) -> None:
    """Add them to a parser."""
    parser = parser.add_argument_group('how the engine tensorrt builds; torch heeds --precision')
    parser.add_argument('--precision', choices=PRECISIONS,
                        help='what it computes in; torch: fp16 or fp32 '
                             f'(default {PRECISIONS[0]})')
    parser.add_argument('--dla', type=from_zero, metavar='N',
                        help='run on this core of the deep learning accelerator, and on the GPU '
                             'what it does not take')
    parser.add_argument('--workspace', type=from_zero, dest='workspace_mb', metavar='MB',
                        help='most scratch memory of a segment; 0: what TensorRT thinks '
                             'best, 1024 before 8.4 (default 0)')
    parser.add_argument('--optimum', type=from_zero, metavar='N',
                        help='the batch for which kernels are chosen; 0: the largest (default 0)')
    add_level(parser)
    parser.add_argument('--limit', type=above_zero(float), dest='limit_s', metavar='S',
                        help='give a segment up, for the CPU to run it, that takes more seconds '
                             f'to build, {LONGEST_S:g} at most (default {DEFAULTS.limit_s:g})')


def add_level(parser) -> None:
    """Add how much TensorRT is to try while it builds."""
    parser.add_argument(LEVEL, type=int, choices=range(6), metavar='N',
                        help='how much TensorRT, 8.6 and later, tries to make a network quick: '
                             'from 0, which takes what it finds first, to 5; the higher, the '
                             'longer a build takes (default: its own, 3)')


def building(arguments) -> BuildOptions:
    """Return what was asked for; raises ParameterError for what does not go together."""
    return BuildOptions(**_given(arguments))


def chosen_engine(arguments, clock, sms=0, threads=0):
    """Return (engine, reason) for `--engine`, as `make_engine` does.

    `threads` is for an engine on the CPU, 0: one for each core. What it loads in int8 is
    calibrated on `--images`. Raises ParameterError for options of building that it has no use
    for, and for a part of a device that it cannot have.
    """
    from s3dnn_ros.engines import make_engine

    engine, reason = make_engine(arguments.engine, clock, threads, sms, building(arguments),
                                 gates=vars(arguments).get('gates', False))
    for name, value in _given(arguments).items():
        if name not in engine.heeds or getattr(engine, name, value) != value:
            _refuse(engine, _OPTIONS[name], value)
    if sms and isinstance(sms, int) and not engine.sms:
        _refuse(engine, '--sms', sms)
    if hasattr(engine, 'pictures'):
        engine.pictures = lambda spec: real_pictures_for(
            spec, arguments.images, arguments.topic).calibrating
    return engine, reason


def _refuse(engine, option, value):
    engine.close()
    raise ParameterError(option, value, f'the engine {engine.name} leaves no choice; leave it '
                         'out, or say --engine tensorrt')


def _given(arguments):
    given = {name: vars(arguments).get(name) for name in _OPTIONS}
    return {name: value for name, value in given.items() if value is not None}
