"""The command `s3dnn profile`: how long a network takes here, segment by segment."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from s3dnn_ros.commands.argument_types import above_zero, from_zero
from s3dnn_ros.commands.board import add_board, partitions, platform_of
from s3dnn_ros.commands.building import add_building, chosen_engine
from s3dnn_ros.commands.pictures import INT8_PICTURES, add_pictures
from s3dnn_ros.commands.progress import BatchProgress, TimeLeft, duration
from s3dnn_ros.engines.base import ENGINES
from s3dnn_ros.errors import ImageError, ParameterError
from s3dnn_ros.models.spec import load_spec

# A board may have thousands; all are in the file.
SHOWN_CONFIGURATIONS = 40
# Of the image with which the work on the CPU is measured where there is no photo.
NOISE_SIZE = 1280, 720
# Marks a row that is not to be trusted.
NOISY = ' *'


def register(subparsers):
    """Add the command."""
    parser = subparsers.add_parser(
        'profile', help='measure networks on this device, for governor and executor',
        description='Cuts networks into segments of about equal time, measures them, and keeps '
                    'the profile in the cache, where governor and executor find it.')
    parser.add_argument('names', nargs='+', metavar='NAME_OR_YAML')
    parser.add_argument('--engine', default='auto', choices=('auto', *ENGINES),
                        help='inference engine (default %(default)s)')
    parser.add_argument('--sms', type=from_zero, default=0,
                        help='multiprocessors of the GPU to use; 0: all (default %(default)s)')
    parser.add_argument('--max-batch', type=above_zero(int), default=8, metavar='N',
                        help='measure batches up to this (default %(default)s)')
    parser.add_argument('--target-ms', type=above_zero(float), default=5.0, metavar='T',
                        help='how long a segment should take (default %(default)s)')
    parser.add_argument('--alive', type=above_zero(int), default=1, metavar='K',
                        help='cut where at most K tensors are alive (default %(default)s)')
    parser.add_argument('--photo', type=Path, metavar='FILE',
                        help='an image as your cameras send it, with which the work on the CPU is '
                             'measured (default: noise, a JPEG of %dx%d, in which hardly '
                             'anything is found)' % NOISE_SIZE)
    parser.add_argument('--repeats', type=above_zero(int), metavar='N',
                        help='runs of each batch (default: as many as fit in 4 s, 30 to 100)')
    add_building(parser)
    add_pictures(parser, INT8_PICTURES)
    board = add_board(parser, "the board's configurations", 'Measured besides, for the cohort; '
                      'this can take long: every configuration is set, and runs for '
                      '--configuration-seconds.')
    board.add_argument('--configuration-seconds', type=above_zero(float), default=2.0,
                       metavar='S', help='how long it runs in each: meters average over up to a '
                                         'second (default %(default)s)')
    board.add_argument('--configurations', metavar='CSV',
                       help='take what was measured elsewhere: columns configuration, power_mw, '
                            'time_ms_0 … for each segment')
    parser.set_defaults(run=_profile)


def _profile(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.models.cut_network import planned
    from s3dnn_ros.profiling.cpu_work import measure_cpu
    from s3dnn_ros.profiling.profiler import (
        SHARED_LANES,
        check_segments,
        make_plan,
        profile,
        read_configurations,
    )
    from s3dnn_ros.profiling.table import profile_path
    from s3dnn_ros.settings.executor import ExecutorInstanceSettings

    # whatever is wrong with the file is told before anything is measured
    imported = arguments.configurations and read_configurations(arguments.configurations)
    photo = _photo(arguments)
    clock = SystemClock()
    engine, reason = chosen_engine(arguments, clock, partitions(arguments) or arguments.sms)
    print(f'engine {engine.name} on {engine.device} ({reason})')
    try:
        with platform_of(arguments, engine) as platform:
            for name in arguments.names:
                spec = load_spec(name)
                print(f'{spec.name}: choosing where to cut …', flush=True)
                plan = make_plan(engine, spec, target_ms=arguments.target_ms,
                                 max_alive=arguments.alive)
                if imported:
                    check_segments(arguments.configurations, imported, len(plan.cuts) + 1)
                most = min(arguments.max_batch, spec.max_batch or arguments.max_batch)
                network = planned(spec, plan).load(engine, lanes=SHARED_LANES, max_batch=most)
                with BatchProgress(spec.name, most, clock) as progress:
                    table = profile(engine, spec, plan, network, batches=range(1, most + 1),
                                    repeats=arguments.repeats, progress=progress)
                cpu = measure_cpu(spec, network, photo, ExecutorInstanceSettings(), clock)
                table = dataclasses.replace(
                    table, cpu=cpu, configurations=imported or _measured(
                        arguments, platform, clock, network))
                path = profile_path(spec.name, engine.name)
                table.save(path)
                _print(table)
                if network.note:
                    print(network.note)
                print(f'written to {path}')
    finally:
        engine.close()


def _photo(arguments) -> bytes:
    """Return the image file with which the work on the CPU is measured."""
    from s3dnn_ros.images.compressed import decode_compressed
    from s3dnn_ros.profiling.cpu_work import noise_jpeg

    if arguments.photo is None:
        return noise_jpeg(*NOISE_SIZE)
    try:
        photo = arguments.photo.read_bytes()
        decode_compressed(photo)
    except (OSError, ImageError) as error:
        raise ParameterError('--photo', arguments.photo,
                             f'expected an image that can be read ({error})') from error
    return photo


def _measured(arguments, platform, clock, network):
    """Return the configurations of the platform that was asked for, none without."""
    from s3dnn_ros.profiling.profiler import measure_configurations

    if platform is None:
        return ()
    count, time_left = len(platform.configurations), TimeLeft(clock)

    def tell(index):
        left_s = time_left.seconds(index, count, arguments.configuration_seconds)
        print(f'configuration {index + 1} of {count}: {platform.configurations[index].name}, '
              f'{duration(left_s)} left', flush=True)

    return measure_configurations(network, platform, clock,
                                  seconds=arguments.configuration_seconds, progress=tell)


def _print(table):
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=f'{table.model} on {table.device}')
    for label in ('Seg.', 'Batch', 'Median ms', 'p99 ms', 'Worst ms', 'tb_ratio',
                  'Utilization', 'MB'):
        shown.add_column(label, justify='right')
    for row in table.rows:
        shown.add_row(str(row.segment), f'{row.batch}{NOISY if row.noisy else ""}',
                      f'{row.median_ms:.3f}', f'{row.p99_ms:.3f}', f'{row.worst_ms:.3f}',
                      f'{row.tb_ratio:.2f}', f'{row.utilization:.2f}', f'{row.memory_mb:.0f}',
                      style='yellow' if row.noisy else '')
    Console().print(shown)
    cpu = table.cpu
    print(f'on the CPU, with an image of {cpu.image}: {cpu.compressed_ms:.2f} ms before the '
          f'network if it comes compressed, {cpu.raw_ms:.2f} ms if it comes raw; '
          f'{cpu.behind_ms:.2f} ms behind it')
    if table.noisy_batches:
        batches = ', '.join(map(str, table.noisy_batches))
        print(f'{NOISY.strip()} noisy: {batches}. Times of these batches vary as if other '
              'programs ran; of several measurements the quietest is kept. Close other programs '
              f'and run `s3dnn profile {table.model}` again, or with more runs (--repeats).')
    if table.configurations:
        shown = Table(title='configurations, alone and at batch 1')
        for label in ('Configuration', 'ms', 'Speed-up', 'W', 'mJ'):
            shown.add_column(label, justify='left' if label == 'Configuration' else 'right')
        slowest_ms = max(sum(row.times_ms) for row in table.configurations)
        for row in table.configurations[:SHOWN_CONFIGURATIONS]:
            time_ms = sum(row.times_ms)
            shown.add_row(row.name, f'{time_ms:.3f}', f'{slowest_ms / time_ms:.2f}',
                          f'{row.power_mw / 1e3:.2f}', f'{row.power_mw * time_ms / 1e3:.2f}')
        Console().print(shown)
        more = len(table.configurations) - SHOWN_CONFIGURATIONS
        if more > 0:
            print(f'and {more} more')
