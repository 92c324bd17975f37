"""The command `s3dnn models lowrank`: what low-rank layers would gain and lose here."""

from __future__ import annotations

import contextlib
from typing import Tuple

from s3dnn_ros.cohort import SCORES
from s3dnn_ros.commands.argument_types import above_zero, new_file
from s3dnn_ros.commands.board import add_board, partitions, platform_of
from s3dnn_ros.commands.building import add_building, chosen_engine
from s3dnn_ros.commands.pictures import add_pictures, pictures_for
from s3dnn_ros.engines.base import ENGINES
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.factors import READING
from s3dnn_ros.models.spec import ModelSpec, load_spec
from s3dnn_ros.models.variants import RATIOS, checked_ratios, make_variants, variants_dir
from s3dnn_ros.profiling.variant_table import VariantTable, variant_table_path

_HEADINGS = ('Seg.', 'Ratio', 'Low-rank layers', 'Million MACs', 'MB', 'ms', 'Speed-up', 'Score',
             'Same answers')


def register(subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'lowrank', help='make low-rank variants of a model, and measure what they gain and lose',
        description='Writes convolutions and matrix products as chains of smaller ones, without '
                    'training, fitted to what they read from real images, measures time and '
                    'fidelity of every segment on other images, and keeps the variants and the '
                    "table in the cache. The zoo's untrained networks (alexnet, googlenet, "
                    'resnet50, vgg11, vgg16, yolo_s) have random weights, which no low rank '
                    'comes near: expect low fidelity there, and look at their times only.')
    parser.add_argument('model', metavar='NAME_OR_YAML')
    parser.add_argument('--ratios', type=float, nargs='+', default=RATIOS, metavar='R',
                        help='shares of the work to keep, above 0 and at most 1: multiply-adds, '
                             f'but that a weight counts as {READING} at least '
                             f'(default {" ".join(map(str, RATIOS))})')
    parser.add_argument('--engine', default='auto', choices=('auto', *ENGINES),
                        help='what measures (default %(default)s)')
    parser.add_argument('--score', default=SCORES[0], choices=SCORES,
                        help='fidelity: how near the outputs are to the exact ones; points: '
                             "NeuOS's, one in a hundred off for each low-rank layer (default "
                             '%(default)s)')
    add_pictures(parser, 'real images: the first half of them, by name or time, calibrates the '
                         "variants, fidelity is measured on the rest (default: the demo's, "
                         'if fetched; else noise, which calibrates nothing)')
    parser.add_argument('--calibration', default='auto', choices=('auto', 'none'),
                        help="auto: variants lose as little as they can of the layers' outputs "
                             'on real images, if there are two or more; none: of their weights '
                             '(default %(default)s)')
    parser.add_argument('--repeats', type=above_zero(int), default=50, metavar='N',
                        help='runs of each network (default %(default)s)')
    parser.add_argument('--target-ms', type=above_zero(float), default=5.0, metavar='T',
                        help='how long a segment should take where the model has neither a '
                             'profile here nor a plan (default %(default)s)')
    parser.add_argument('--out', type=new_file, metavar='JSON',
                        help='write the table there as well as into the cache')
    parser.add_argument('--plot', type=new_file, metavar='PNG', help='draw the trade-off')
    add_board(parser, "the board's configurations", 'With --platform, a variant gains what it '
              'gains in the slowest and in the fastest, whichever is less; without, what it gains '
              'as the board is set now.')
    add_building(parser)
    parser.set_defaults(run=_lowrank)


def _lowrank(arguments) -> None:
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.models.cut_network import cut_there
    from s3dnn_ros.models.graph import batch_of, image_network
    from s3dnn_ros.profiling.variant_profiler import measure_variants

    ratios = checked_ratios(arguments.ratios)
    spec = load_spec(arguments.model)
    model = image_network(spec)
    pictures = pictures_for(spec, arguments.images, arguments.topic)
    engine, reason = chosen_engine(arguments, SystemClock(), partitions(arguments))
    print(f'engine {engine.name} on {engine.device} ({reason})', flush=True)
    try:
        cut = cut_there(spec, _cuts(engine, spec, arguments.target_ms), spec.onnx,
                        f'run `s3dnn profile {spec.name}` again')
        calibration = _calibration(engine, spec, model, pictures, arguments.calibration)
        print(f'calibration: {calibration.source}; fidelity: {pictures.source}', flush=True)
        variants = make_variants(variants_dir(spec.name, engine.name), cut.segments,
                                 ratios, calibration)
        with platform_of(arguments, engine) as platform:
            table = measure_variants(
                engine, cut, variants, images=pictures.held_out, source=pictures.source,
                calibration=calibration, repeats=arguments.repeats,
                batch=batch_of(model) or 1, platform=platform)
    finally:
        engine.close()
    _print(table, arguments.score)
    for path in filter(None, (variant_table_path(spec.name, engine.name), arguments.out)):
        table.save(path)
        print(f'written to {path}')
    if arguments.plot:
        from s3dnn_ros.bench.lowrank_plot import plot

        print(plot(table, arguments.score, arguments.plot))


def _calibration(engine, spec: ModelSpec, model, pictures, wanted: str):
    """Return what was read from the pictures; that of the weights alone where there are none."""
    from s3dnn_ros.models.calibration import WEIGHTS_ALONE
    from s3dnn_ros.profiling.calibrator import calibrate

    if wanted == 'none':
        return WEIGHTS_ALONE
    if not len(pictures.calibrating):
        print(f'{pictures.source}: too few to calibrate on some and measure on others, or not '
              'real; name a directory of photos, or a bag, with --images')
        return WEIGHTS_ALONE
    return calibrate(engine, spec, model, pictures.calibrating, pictures.calibration)


def _cuts(engine, spec: ModelSpec, target_ms: float) -> Tuple[Tuple[str, ...], ...]:
    """Return the cuts that the executor goes by: a profile's, else a plan's, made if need be."""
    from s3dnn_ros.base.cache import sha256_of
    from s3dnn_ros.models.segment_plan import load_plan, plan_path
    from s3dnn_ros.profiling.find import find_table
    from s3dnn_ros.profiling.profiler import make_plan

    profile, _ = find_table('auto', spec, engine.name, engine.device)
    if profile is not None:
        return profile.cuts
    path = plan_path(spec.name)
    with contextlib.suppress(ModelError):
        plan = load_plan(path)
        if plan.sha256 == sha256_of(spec.onnx):
            return plan.cuts
    plan = make_plan(engine, spec, target_ms=target_ms)
    plan.save(path)
    return plan.cuts


def _print(table: VariantTable, score: str) -> None:
    from rich.console import Console
    from rich.table import Table

    timed = f', the lesser gain of {" and ".join(table.configurations)}' \
        if table.configurations else ''
    shown = Table(title=f'{table.model} on {table.device}{timed}', caption='no gain: not '
                  f'offered at run time. Score: {score}, of the whole network')
    for label in _HEADINGS:
        shown.add_column(label, justify='right')
    last = 0
    for row in table.rows:
        if row.segment != last:
            shown.add_section()
            last = row.segment
        speedup = f'{row.speedup:.2f}' + ('' if row.is_worth_it else ' no gain')
        shown.add_row('all' if row.segment is None else str(row.segment), f'{row.ratio:g}',
                      str(row.layers), f'{row.macs / 1e6:.1f}', f'{row.size_mb:.2f}',
                      f'{row.time_ms:.2f}', speedup, f'{row.score(score):.3f}',
                      f'{row.answers:.2f}', style='' if row.is_worth_it else 'dim')
    Console().print(shown)
