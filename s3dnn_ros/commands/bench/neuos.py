"""The command `s3dnn bench neuos`: cohorts under load."""

from __future__ import annotations

import functools

from s3dnn_ros.commands.bench.output import add_gates, add_out, written_to
from s3dnn_ros.commands.building import add_building, chosen_engine
from s3dnn_ros.commands.pictures import add_pictures, pictures_for


def register(commands):
    """Add the command."""
    parser = commands.add_parser(
        'neuos', help='cohorts under load: the modes beside what others do, on one device')
    parser.add_argument('--models', nargs='+', default=None, metavar='MODEL',
                        help='networks, in turn (default: nanodet_g resnet50 yolo_s)')
    parser.add_argument('--engine', default='auto', help='inference engine (default auto)')
    parser.add_argument('--platform', default='null', choices=('null', 'jetson', 'sm_partition'),
                        help='what is set; null: only variants are chosen (default null)')
    parser.add_argument('--partitions', type=int, nargs='+', default=(8, 16, 32, 64, 128, 0),
                        metavar='SMS', help='sm_partition: how many multiprocessors, ascending; '
                                            '0, as the last, for all (default 8 16 32 64 128 0)')
    parser.add_argument('--instances', type=int, nargs='+', default=None, metavar='N',
                        help='how many at once (default 1 4 8)')
    parser.add_argument('--contenders', nargs='+', default=None, metavar='NAME',
                        help='which, by the names in the table; others are Max-Q, POET, '
                             'PredJoule, ApNet, and modes with ", slack" or ", by its plan '
                             'alone" behind them (default: Max-N, race to idle, uncoordinated, '
                             'the modes)')
    add_gates(parser)
    parser.add_argument('--seconds', type=float, default=6.0,
                        help='per run; in its second half another program runs (default 6)')
    parser.add_argument('--runs', type=int, default=3, help='of each (default 3)')
    parser.add_argument('--target-ms', type=float, default=0.5,
                        help='time of a segment (default 0.5)')
    add_out(parser, each='row')
    add_building(parser)
    add_pictures(parser, 'real images: the first half of them, by name or time, calibrates '
                         "variants and int8, fidelity is measured on the rest (default: the "
                         "demo's, if fetched; else noise, which calibrates nothing)")
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.bench import neuos_bench
    from s3dnn_ros.bench.contenders import contenders

    clock = SystemClock()
    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('models', 'instances') and value}
    if arguments.contenders:
        given['contenders'] = contenders(arguments.contenders)
    plan = neuos_bench.Plan(runs=arguments.runs, seconds=arguments.seconds,
                            target_ms=arguments.target_ms, **given)
    engine, _ = chosen_engine(arguments, clock, _sms(arguments))
    device = _device(arguments.platform, engine, clock)
    neuos_bench.run(device, plan, functools.partial(
        pictures_for, source=arguments.images, topic=arguments.topic),
                    save=written_to(arguments.out))


def _sms(arguments):
    return arguments.partitions if arguments.platform == 'sm_partition' else 0


def _device(platform, engine, clock):
    """Return what contenders set, and the counter of its energy."""
    from s3dnn_ros.bench.neuos_bench import Device
    from s3dnn_ros.platforms import NullPlatform

    if platform == 'null':
        return Device(engine, clock, NullPlatform)
    if platform == 'jetson':
        from s3dnn_ros.platforms import JetsonPlatform, Sysfs
        from s3dnn_ros.platforms.power import PowerMeter, PowerSampler

        sampler = PowerSampler(PowerMeter(Sysfs()), clock)
        # few enough to measure each: all that a board has take hours
        board = functools.partial(JetsonPlatform, knobs=('gpu', 'emc'), gpu_steps=4, emc_steps=2)
        return Device(engine, clock, board, sampler.energy_mj)
    from s3dnn_ros.platforms import SmPartitionPlatform
    from s3dnn_ros.platforms.nvml import NvmlMeter
    from s3dnn_ros.platforms.sm_partition import check_partitions

    check_partitions(engine)
    meter = NvmlMeter()
    return Device(engine, clock, functools.partial(SmPartitionPlatform, engine, meter),
                  meter.energy_mj)
