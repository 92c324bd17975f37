"""The command `s3dnn bench`: how fast it is here."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

from s3dnn_ros.base.cache import write_whole
from s3dnn_ros.commands.argument_types import above_zero, from_zero, image_size, new_file
from s3dnn_ros.commands.building import add_building, add_level, building, chosen_engine
from s3dnn_ros.commands.log_output import Elapsed
from s3dnn_ros.commands.pictures import INT8_PICTURES, add_pictures, pictures_for
from s3dnn_ros.engines.base import ENGINES
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.scheduling import POLICIES


def register(subparsers):
    """Add the command."""
    benches = subparsers.add_parser('bench', help='measure; prints figures and writes JSON')
    benches.set_defaults(log_formatter=Elapsed())
    commands = benches.add_subparsers(metavar='BENCH', required=True)

    parser = commands.add_parser(
        'pipeline', help='what the pipeline adds to inference, and what the governor carries')
    parser.add_argument('--seconds', type=float, default=20.0, help='per run (default 20)')
    parser.add_argument('--runs', type=int, default=3, help='of each part (default 3)')
    parser.add_argument('--memory-seconds', type=float, default=600.0,
                        help='length of the memory run, 0 for none (default 600)')
    parser.add_argument('--model', default='squeezenet_1_1',
                        help='network of the latency part (default squeezenet_1_1)')
    parser.add_argument('--out', type=new_file, help='JSON file for the results')
    parser.set_defaults(run=_pipeline)

    parser = commands.add_parser(
        'overload', help='more frames than the computer can run: how many are in time, whose, '
                         'and how soon again after a disturbance')
    parser.add_argument('--cameras', type=above_zero(int), metavar='N',
                        help='how many (default 4, or as many as there are --rates)')
    rates = parser.add_mutually_exclusive_group()
    rates.add_argument('--rate', type=above_zero(float), default=15.0, metavar='HZ',
                       help='frames per second of each camera (default 15)')
    rates.add_argument('--rates', type=above_zero(float), nargs='+', metavar='HZ',
                       help='the same, one for each camera')
    rates.add_argument('--loads', type=above_zero(float), nargs='+', default=(), metavar='SHARE',
                       help='frames of all cameras per second, as shares of the limit alone')
    parser.add_argument('--size', type=image_size, default=(1280, 720), metavar='WxH',
                        help='of the images (default 1280x720)')
    parser.add_argument('--instants', choices=('together', 'spread'), default='together',
                        help='all shutters at one instant, or evenly spread over the period '
                             '(default %(default)s)')
    parser.add_argument('--modes', nargs='+', choices=('separate', 'composed'), default=None,
                        help='governor and executor in two processes or in one (default: both)')
    parser.add_argument('--profiles', nargs='+', choices=('none', 'auto'), default=None,
                        help='without a profile, or with one that is measured first and not '
                             'kept (default: none)')
    parser.add_argument('--late-policies', nargs='+', choices=('drop', 'run'), default=None,
                        help="the executor's parameter (default: drop)")
    parser.add_argument('--gates', nargs='+', choices=('off', 'on'), default=None,
                        help="the executor's engine_gates (default: on)")
    parser.add_argument('--disturb', nargs='+', choices=('none', 'cores', 'stop'), default=None,
                        help='cores: as many busy processes as there are cores for 2 s; stop: '
                             'the process that runs the network stands for 4 s (default: none '
                             'cores)')
    parser.add_argument('--model', default='nanodet_g', help='network (default %(default)s)')
    parser.add_argument('--engine', default='auto', choices=('auto', *ENGINES),
                        help='inference engine (default %(default)s)')
    parser.add_argument('--deadline-ms', type=above_zero(float), default=0.0, metavar='T',
                        help="from the image to its result (default: the model's own)")
    parser.add_argument('--max-batch', type=above_zero(int), default=2, metavar='N',
                        help='most frames in one run (default %(default)s)')
    parser.add_argument('--seconds', type=float, default=6.0,
                        help='per run, besides the disturbance (default 6)')
    parser.add_argument('--runs', type=int, default=3, help='of each (default 3)')
    parser.add_argument('--out', type=new_file,
                        help='JSON file for the results, written anew after every run')
    parser.set_defaults(run=_overload)

    parser = commands.add_parser(
        'virtual', help='the core in virtual time on a simulated device: how fast it goes, and '
                        'what the policies miss there')
    parser.add_argument('--instances', type=above_zero(int), default=8, metavar='N',
                        help='how many (default %(default)s)')
    parser.add_argument('--segments', type=above_zero(int), default=4, metavar='N',
                        help='of each network (default %(default)s)')
    parser.add_argument('--load', type=above_zero(float), default=0.9, metavar='SHARE',
                        help='of the device, that all ask for (default %(default)s)')
    parser.add_argument('--seconds', type=above_zero(float), default=300.0, metavar='T',
                        help='of virtual time per run (default %(default)s)')
    parser.add_argument('--policies', nargs='+', choices=sorted(POLICIES),
                        help='which (default: all)')
    parser.add_argument('--runs', type=above_zero(int), default=3, metavar='N',
                        help='of each (default %(default)s)')
    parser.add_argument('--out', type=new_file,
                        help='JSON file for the results, written anew after every run')
    parser.set_defaults(run=_virtual)

    parser = commands.add_parser(
        'strategies', help='the search of `s3dnn plan` in virtual time: beside trying everything, '
                           'on a larger workload, and beside strategies without a search')
    parser.add_argument('--workloads', nargs='+', metavar='NAME_OR_YAML',
                        help='which (default: seed_4_tasks robot_mix)')
    parser.add_argument('--parts', nargs='+', metavar='PART',
                        help='exhaustive, large, rivals (default: all)')
    parser.add_argument('--seeds', type=above_zero(int), default=20, metavar='N',
                        help='searches beside trying everything (default %(default)s)')
    parser.add_argument('--large-seeds', type=above_zero(int), default=5, metavar='N',
                        help='larger workloads (default %(default)s)')
    parser.add_argument('--budget', type=above_zero(int), default=300, metavar='N',
                        help='strategies to measure in the other parts (default %(default)s)')
    parser.add_argument('--seconds', type=above_zero(float), default=8.0, metavar='S',
                        help='of virtual time for each strategy (default %(default)s)')
    parser.add_argument('--policy', choices=sorted(POLICIES), default='edf',
                        help='scheduler of all but streams (default %(default)s)')
    parser.add_argument('--out', type=new_file,
                        help='JSON file for the results, written anew after every row')
    parser.set_defaults(run=_strategies)

    parser = commands.add_parser(
        'distance', help='what it takes to tell how far detections are, by depth images and '
                         'point clouds')
    parser.add_argument('--size', type=image_size, default=(1280, 720), metavar='WxH',
                        help='of the depth image (default 1280x720)')
    parser.add_argument('--points', type=above_zero(int), default=130_000, metavar='N',
                        help='of the cloud (default %(default)s)')
    parser.add_argument('--boxes', type=above_zero(int), default=20, metavar='N',
                        help='in each result (default %(default)s)')
    parser.add_argument('--frames', type=above_zero(int), default=300, metavar='N',
                        help='per run, 30 in a second (default %(default)s)')
    parser.add_argument('--runs', type=above_zero(int), default=3, metavar='N',
                        help='of each (default %(default)s)')
    parser.add_argument('--out', type=new_file,
                        help='JSON file for the results, written anew after every run')
    parser.set_defaults(run=_distance)

    parser = commands.add_parser(
        'steps', help='what single steps take: an image of each encoding to BGR, beside OpenCV '
                      'alone, and objects followed')
    parser.add_argument('--size', type=image_size, default=(1920, 1080), metavar='WxH',
                        help='of the images (default 1920x1080)')
    parser.add_argument('--repeats', type=above_zero(int), default=50, metavar='N',
                        help='per run (default %(default)s)')
    parser.add_argument('--frames', type=above_zero(int), default=2000, metavar='N',
                        help='over which objects are followed (default %(default)s)')
    parser.add_argument('--runs', type=above_zero(int), default=3, metavar='N',
                        help='of each (default %(default)s)')
    parser.add_argument('--parts', nargs='+', default=None, metavar='PART',
                        help='images, tracks (default: both)')
    parser.add_argument('--out', type=new_file,
                        help='JSON file for the results, written anew after every step')
    parser.set_defaults(run=_steps)

    parser = commands.add_parser(
        's3dnn', help='scheduling policies under the same load, on one engine')
    parser.add_argument('--models', nargs='+', default=None, metavar='MODEL',
                        help='networks, in turn (default: five of the zoo)')
    parser.add_argument('--engine', default='auto', help='inference engine (default auto)')
    parser.add_argument('--sms', type=from_zero, default=0,
                        help='multiprocessors of the GPU to use (default 0: all)')
    parser.add_argument('--instances', type=int, nargs='+', default=None, metavar='N',
                        help='how many at once')
    parser.add_argument('--loads', type=float, nargs='+', default=None, metavar='SHARE',
                        help='offered, as a share of what CUDA streams carry')
    parser.add_argument('--capacity', type=float, default=1.0,
                        help="the executor's parameter, for supervised (default 1)")
    parser.add_argument('--policies', nargs='+', default=None, metavar='NAME',
                        help="which, by the names in the table (default: all but 'process per "
                             "instance', which takes long to load)")
    parser.add_argument('--parts', nargs='+', default=None, metavar='PART',
                        help='decisions, batches, boundaries, idle, alone, throughput, '
                             'deadlines, timeline (default: all)')
    parser.add_argument('--seconds', type=float, default=5.0, help='per run (default 5)')
    parser.add_argument('--runs', type=int, default=3, help='of each part (default 3)')
    _add_gates(parser)
    parser.add_argument('--target-ms', type=float, default=0.5,
                        help='time of a segment (default 0.5)')
    parser.add_argument('--out', type=new_file,
                        help='JSON file for the results, written anew after every row')
    add_building(parser)
    add_pictures(parser, INT8_PICTURES)
    parser.set_defaults(run=_s3dnn)

    parser = commands.add_parser(
        'packing', help='periodic tasks with work on the CPU before and behind their networks: '
                        'packed, split or whole, response times and misses')
    parser.add_argument('--models', nargs='+', default=None, metavar='MODEL',
                        help='networks, two tasks of each (default: squeezenet_1_1 nanodet_g)')
    parser.add_argument('--engine', default='auto',
                        help='inference engine (default auto); one on the CPU takes the cores '
                             'that --cpu-workers leave')
    parser.add_argument('--sms', type=from_zero, default=0,
                        help='multiprocessors of the GPU to use (default 0: all)')
    parser.add_argument('--cpu-workers', type=above_zero(int), default=1, metavar='N',
                        help='threads for the work on the CPU (default %(default)s)')
    parser.add_argument('--loads', type=above_zero(float), nargs='+', default=None,
                        metavar='SHARE',
                        help='of the device or the CPU, whichever is busier (default 0.5 0.7 0.9 '
                             '1.1)')
    parser.add_argument('--threshold', type=above_zero(float), default=1.0,
                        help="the executor's packing_threshold, for packing (default 1)")
    parser.add_argument('--size', type=image_size, default=(1280, 720), metavar='WxH',
                        help='of the JPEG images (default 1280x720)')
    parser.add_argument('--seconds', type=above_zero(float), default=10.0,
                        help='per run (default 10)')
    parser.add_argument('--runs', type=above_zero(int), default=3, help='of each (default 3)')
    _add_gates(parser)
    parser.add_argument('--target-ms', type=above_zero(float), default=2.0,
                        help='time of a segment (default 2)')
    parser.add_argument('--out', type=new_file,
                        help='JSON file for the results, written anew after every run')
    add_building(parser)
    add_pictures(parser, INT8_PICTURES)
    parser.set_defaults(run=_packing)

    parser = commands.add_parser(
        'cohort', help="what the cohort's decisions cost, beside searches through all "
                       'configurations, its tables and power samples')
    parser.add_argument('--runs', type=int, default=3, help='of each (default 3)')
    parser.add_argument('--decisions', type=int, default=5000, help='per run (default 5000)')
    parser.add_argument('--out', type=new_file, help='JSON file for the results')
    parser.set_defaults(run=_cohort)

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
                        help='which, by the names in the table (default: all)')
    _add_gates(parser)
    parser.add_argument('--seconds', type=float, default=6.0,
                        help='per run; in its second half another program runs (default 6)')
    parser.add_argument('--runs', type=int, default=3, help='of each (default 3)')
    parser.add_argument('--target-ms', type=float, default=0.5,
                        help='time of a segment (default 0.5)')
    parser.add_argument('--out', type=new_file,
                        help='JSON file for the results, written anew after every row')
    add_building(parser)
    add_pictures(parser, 'real images: the first half of them, by name or time, calibrates '
                         "variants and int8, fidelity is measured on the rest (default: the "
                         "demo's, if fetched; else noise, which calibrates nothing)")
    parser.set_defaults(run=_neuos)

    parser = commands.add_parser(
        'engines', help='engines on the same networks: error, time whole and cut, time to load')
    parser.add_argument('--models', nargs='+', default=None, metavar='MODEL',
                        help='networks (default: resnet50 vgg16 alexnet nanodet_g)')
    parser.add_argument('--engines', nargs='+', default=None, metavar='ENGINE',
                        help='which; the first chooses the cuts (default: torch tensorrt)')
    parser.add_argument('--precisions', nargs='+', default=None, metavar='PRECISION',
                        choices=('fp32', 'fp16'), help='which (default: fp32 fp16)')
    parser.add_argument('--runs', type=int, default=5, help='of each (default 5)')
    parser.add_argument('--repeats', type=int, default=100, help='in a run (default 100)')
    parser.add_argument('--target-ms', type=float, default=0.3,
                        help='time of a segment (default 0.3)')
    parser.add_argument('--out', type=new_file,
                        help='JSON file for the results, written anew after every row')
    add_level(parser)
    add_pictures(parser, "real images to compare outputs on (default: the demo's, if fetched; "
                         'else noise)')
    parser.set_defaults(run=_engines)

    parser = commands.add_parser(
        'digits', help='write the digits of scikit-learn as images by class, and train a small '
                       'network on them: something to scale with labels')
    parser.add_argument('into', type=Path, metavar='FOLDER')
    parser.set_defaults(run=_digits)

    parser = commands.add_parser(
        'table', help='results of `s3dnn bench overload`, `s3dnn`, `packing`, `neuos`, '
                      '`engines`, `virtual`, `strategies`, `distance` or `steps` in markdown')
    parser.add_argument('results', type=Path, metavar='RESULTS.json')
    parser.set_defaults(run=_table)

    parser = commands.add_parser(
        'plot', help='results of `s3dnn bench overload` or `s3dnn` as pictures; needs '
                     'matplotlib')
    parser.add_argument('results', type=Path, metavar='RESULTS.json')
    parser.add_argument('--out', type=Path, default=Path('bench-plots'), metavar='DIR',
                        help='folder for the PNG files (default %(default)s)')
    parser.set_defaults(run=_plot)


def _overload(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.bench import overload_bench
    from s3dnn_ros.bench.results import tables

    count = arguments.cameras or len(arguments.rates or range(4))
    rates_hz = tuple(arguments.rates or [arguments.rate] * count)
    if len(rates_hz) != count:
        raise ParameterError('--cameras', count, f'but there are {len(rates_hz)} --rates; give '
                             'one for each camera, or leave --cameras out')
    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('modes', 'profiles', 'late_policies', 'gates', 'disturb') and value}
    width, height = arguments.size
    plan = overload_bench.Plan(
        rates_hz=rates_hz, loads=tuple(arguments.loads), width=width, height=height,
        instants=arguments.instants, model=arguments.model, engine=arguments.engine,
        deadline_ms=arguments.deadline_ms, max_batch=arguments.max_batch,
        seconds=arguments.seconds, runs=arguments.runs, **given)
    results = overload_bench.run(SystemClock(), plan,
                                 save=functools.partial(_write, arguments.out))
    print('\n'.join(['', *tables(results)]))


def _s3dnn(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.bench import s3dnn_bench

    clock = SystemClock()
    engine, reason = chosen_engine(arguments, clock, arguments.sms)
    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('models', 'instances', 'loads', 'parts') and value}
    names = arguments.policies or [policy.name for policy in s3dnn_bench.policies_of(engine)]
    given['policies'] = s3dnn_bench.policies(names, arguments.capacity)
    plan = s3dnn_bench.Plan(runs=arguments.runs, seconds=arguments.seconds,
                            target_ms=arguments.target_ms, sms=arguments.sms, **given)
    print(f'engine {engine.name}: {reason}')
    s3dnn_bench.run(engine, clock, plan, save=functools.partial(_write, arguments.out))


def _virtual(arguments):
    from s3dnn_ros.bench.results import tables
    from s3dnn_ros.lab import virtual_bench

    given = {'policies': tuple(arguments.policies)} if arguments.policies else {}
    plan = virtual_bench.Plan(arguments.instances, arguments.segments, arguments.load,
                              arguments.seconds, runs=arguments.runs, **given)
    results = virtual_bench.run(plan, functools.partial(_write, arguments.out))
    print('\n'.join(tables(results)))


def _strategies(arguments):
    from s3dnn_ros.bench.results import tables
    from s3dnn_ros.lab import strategy_bench

    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('workloads', 'parts') and value}
    plan = strategy_bench.Plan(
        seeds=arguments.seeds, large_seeds=arguments.large_seeds, budget=arguments.budget,
        seconds=arguments.seconds, policy=arguments.policy, **given)
    results = strategy_bench.run(plan, functools.partial(_write, arguments.out))
    print('\n'.join(tables(results)))


def _distance(arguments):
    from s3dnn_ros.bench import distance_bench
    from s3dnn_ros.bench.results import tables

    width, height = arguments.size
    plan = distance_bench.Plan(width, height, arguments.points, arguments.boxes,
                               frames=arguments.frames, runs=arguments.runs)
    results = distance_bench.run(plan, functools.partial(_write, arguments.out))
    print('\n'.join(tables(results)))


def _steps(arguments):
    from s3dnn_ros.bench import steps_bench
    from s3dnn_ros.bench.results import tables

    plan = steps_bench.Plan(*arguments.size, arguments.repeats, arguments.runs, arguments.frames,
                            tuple(arguments.parts or steps_bench.PARTS))
    results = steps_bench.run(plan, functools.partial(_write, arguments.out))
    print('\n'.join(tables(results)))


def _packing(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.bench import packing_bench
    from s3dnn_ros.bench.results import tables

    clock, (width, height) = SystemClock(), arguments.size
    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('models', 'loads') and value}
    plan = packing_bench.Plan(
        threshold=arguments.threshold, workers=arguments.cpu_workers, width=width, height=height,
        runs=arguments.runs, seconds=arguments.seconds, target_ms=arguments.target_ms, **given)
    threads = max(1, len(os.sched_getaffinity(0)) - plan.workers)
    engine, reason = chosen_engine(arguments, clock, arguments.sms, threads)
    print(f'engine {engine.name}: {reason}')
    results = packing_bench.run(engine, clock, plan, functools.partial(_write, arguments.out))
    print('\n'.join(['', *tables(results)]))


def _digits(arguments):
    from s3dnn_ros.bench.digits import write_digits

    path, accuracy = write_digits(arguments.into)
    print(f'{path}: {accuracy:.1%} of the digits that are held out are right; s3dnn scale {path} '
          f'--data {arguments.into / "images"} --steps 400')


def _cohort(arguments):
    from s3dnn_ros.bench import cohort_bench

    _write(arguments.out, cohort_bench.run(runs=arguments.runs, decisions=arguments.decisions))


def _neuos(arguments):
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
                    save=functools.partial(_write, arguments.out))


def _engines(arguments):
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.bench import engines_bench

    given = {name: tuple(value) for name, value in vars(arguments).items()
             if name in ('models', 'engines', 'precisions') and value}
    plan = engines_bench.Plan(runs=arguments.runs, repeats=arguments.repeats,
                              target_ms=arguments.target_ms, build=building(arguments), **given)
    engines_bench.run(SystemClock(), plan, functools.partial(
        pictures_for, source=arguments.images, topic=arguments.topic),
                      save=functools.partial(_write, arguments.out))


def _add_gates(parser):
    parser.add_argument('--no-gates', dest='gates', action='store_false',
                        help='the host launches every segment, as with engine_gates: false')


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


def _table(arguments):
    from s3dnn_ros.bench.results import expect_whole, read_results, tables

    results = read_results(arguments.results)
    with expect_whole(arguments.results):
        print('\n'.join(tables(results)))


def _plot(arguments):
    from s3dnn_ros.bench.results import WITH_PICTURES, expect_whole, plot, read_results

    results = read_results(arguments.results, WITH_PICTURES)
    with expect_whole(arguments.results):
        print('\n'.join(map(str, plot(results, arguments.out))))


def _write(path, results):
    if path:
        try:
            write_whole(path, (json.dumps(results, indent=1) + '\n').encode())
        except OSError as error:
            raise ParameterError('--out', str(path), f'it cannot be written ({error.strerror}); '
                                 'free space there, or name another') from error


def _pipeline(arguments):
    from s3dnn_ros.bench import pipeline_bench

    results = pipeline_bench.run(seconds=arguments.seconds, runs=arguments.runs,
                                 memory_seconds=arguments.memory_seconds, model=arguments.model)
    _write(arguments.out, results)
    print('\n'.join(pipeline_bench.report(results)))
