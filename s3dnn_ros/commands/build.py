"""The command `s3dnn build`: TensorRT's plans of a network, made before a robot needs them."""

from __future__ import annotations

import sys

from s3dnn_ros.commands.argument_types import above_zero, from_zero
from s3dnn_ros.commands.building import add_building, building
from s3dnn_ros.commands.pictures import INT8_PICTURES, add_pictures, real_pictures_for
from s3dnn_ros.models.spec import load_spec


def register(subparsers):
    """Add the command."""
    parser = subparsers.add_parser(
        'build', help='build the TensorRT engines of a model beforehand',
        description='Builds every segment of a model, and its coarser variants if they were '
                    'measured, as the executor would run them with the engine tensorrt, and keeps '
                    'them in the cache. What is there already is not built again, and what '
                    'TensorRT refused before is tried again.')
    parser.add_argument('model', metavar='NAME_OR_YAML')
    parser.add_argument('--max-batch', type=above_zero(int), default=8, metavar='N',
                        help="the executor's max_batch (default %(default)s)")
    parser.add_argument('--jobs', type=above_zero(int), default=1, metavar='N',
                        help='build so many at once: quicker, but TensorRT chooses kernels by '
                             'their times, and builds beside it disturb them (default '
                             '%(default)s)')
    parser.add_argument('--lanes', type=above_zero(int), default=1, metavar='N',
                        help='how many instances have this model; counts only above 4 and before '
                             'TensorRT 8.6 (default %(default)s)')
    parser.add_argument('--sms', type=from_zero, default=0, metavar='N',
                        help="the executor's engine_sms (default %(default)s)")
    add_building(parser)
    add_pictures(parser, INT8_PICTURES)
    parser.set_defaults(run=_build)


def _build(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.cohort import SCORES
    from s3dnn_ros.engines import make_engine
    from s3dnn_ros.engines.tensorrt.plan_cache import plans_dir
    from s3dnn_ros.engines.tensorrt.plans import provide
    from s3dnn_ros.runtime.network_loader import LoadOptions, choose_parts

    spec = load_spec(arguments.model)
    clock = SystemClock()
    engine, _ = make_engine('tensorrt', clock, sms=arguments.sms,
                            build=building(arguments))
    try:
        print(f'TensorRT {engine.api.version} on {engine.device}')
        parts = choose_parts(spec, engine, LoadOptions(
            max_batch=arguments.max_batch, lanes=arguments.lanes, score=SCORES[0]))
        print('\n'.join(parts.notes), flush=True)
        network = parts.network
        wanted = engine.wanted(spec.name, list(network.models), list(network.outputs),
                               **parts.engine_options)
        calibration = _calibration(network, wanted, arguments)
        provided = provide(wanted, clock, limit_s=engine.options.limit_s,
                           calibration=calibration, jobs=arguments.jobs, again=True)
    finally:
        engine.close()
    print('\n'.join(provided.faults), end='\n' if provided.faults else '')
    there = len(provided.plans) - provided.built
    print(f'{provided.built} built, {there} were there, in {plans_dir(spec.name)}'
          if provided.built or provided.refused else
          f'nothing to build: all {there} are in {plans_dir(spec.name)}')
    for error in provided.refused.values():
        print(f'runs on the CPU instead: {error}', file=sys.stderr)
    return 0 if provided.plans else 1


def _calibration(network, wanted, arguments):
    """Return what calibrates int8; None for other precisions."""
    from s3dnn_ros.engines.tensorrt.plans import Calibration
    from s3dnn_ros.models.graph import batch_of

    if arguments.precision != 'int8':
        return None
    pictures = real_pictures_for(network.spec, arguments.images, arguments.topic)
    print(f'calibration: {pictures.calibration}', flush=True)
    return Calibration(wanted, pictures.calibrating, batch_of(network.models[0]) or 1)
