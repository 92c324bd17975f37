"""The command `s3dnn scale`: smaller variants of a model, their files, and what they lose."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from functools import partial
from pathlib import Path

from s3dnn_ros.base.cache import cache_dir, sha256_of, write_whole
from s3dnn_ros.commands.argument_types import above_zero, from_zero, new_file
from s3dnn_ros.engines.base import ENGINES
from s3dnn_ros.errors import ModelError, ParameterError
from s3dnn_ros.models.spec import load_spec

# Images on which the number of shared layers is chosen.
CHOOSING = 16
_HEADINGS = ('Variant', 'Million MACs', 'MB of its own', 'Fidelity', 'Same answers', 'Accuracy')


def register(subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'scale', help='make smaller variants of a model that share layers and their file',
        description='Removes whole channels (width) or repeating units (depth), so that the '
                    'work of the variants falls in equal steps. The first layers are shared by '
                    'all: they are on the disk once. Each variant gets a description, and is a '
                    'model like any other.')
    parser.add_argument('model', metavar='NAME_OR_YAML')
    parser.add_argument('--by', default='width', choices=('width', 'depth'),
                        help='what is removed (default %(default)s)')
    parser.add_argument('--variants', type=above_zero(int), default=4, metavar='K',
                        help='most variants beside the exact network (default %(default)s)')
    parser.add_argument('--smallest', type=above_zero(float), default=0.25, metavar='SHARE',
                        help='what the last one takes of the multiply-adds (default %(default)s)')
    parser.add_argument('--storage-mb', type=above_zero(float), default=float('inf'), metavar='M',
                        help='most that all files take; there are fewer variants if need be '
                             '(default: no limit)')
    parser.add_argument('--data', type=Path, metavar='FOLDER_OR_VIDEO',
                        help='a video, a folder of photos, or a folder with a folder of photos '
                             'for each class; the last quarter measures, the rest is learned '
                             "from (default: the demo's, if fetched)")
    parser.add_argument('--no-refit', action='store_true',
                        help='remove the channels with the least norm, and leave all weights as '
                             'they are (default: where torch is installed, remove those without '
                             'which images lose least, and fit the other weights to what the '
                             'exact layers give)')
    parser.add_argument('--steps', type=from_zero, default=0, metavar='N',
                        help='steps of fine-tuning of each variant, in torch; an interrupted '
                             'command goes on when it is given again (default 0: none)')
    parser.add_argument('--batch', type=above_zero(int), default=8, metavar='N',
                        help='images of a step (default %(default)s)')
    parser.add_argument('--rate', type=above_zero(float), default=5e-3, metavar='R',
                        help='how much a step changes a weight at most, as a share of its usual '
                             'size; detectors want less, such as 0.001 (default %(default)s)')
    parser.add_argument('--engine', default='auto', choices=('auto', *ENGINES),
                        help='what measures (default %(default)s)')
    parser.add_argument('--into', type=Path, metavar='FOLDER',
                        help='where the variants go (default: the cache)')
    parser.add_argument('--out', type=new_file, metavar='JSON', help='write the figures there')
    parser.set_defaults(run=_scale)


def _scale(arguments) -> None:
    from s3dnn_ros.base.clock import SystemClock
    from s3dnn_ros.bench.environment import engine_record, environment
    from s3dnn_ros.engines import make_engine
    from s3dnn_ros.models.graph import load_graph
    from s3dnn_ros.models.macs import multiply_adds
    from s3dnn_ros.scaling.frames import frames_for
    from s3dnn_ros.scaling.judge import Judge
    from s3dnn_ros.scaling.series import choose
    from s3dnn_ros.scaling.tune import require_torch
    from s3dnn_ros.strategy.scaled_table import FORMAT

    if arguments.smallest >= 1:
        raise ParameterError('--smallest', arguments.smallest, 'expected a share below 1')
    spec = load_spec(arguments.model)
    if arguments.steps:
        require_torch(spec.name)
    model = load_graph(spec)
    frames = frames_for(spec, arguments.data)
    exact = _exact_layers(arguments, spec, model, frames)
    scaler = _scaler(arguments, model, exact)
    for kind, count in scaler.left_alone.items():
        print(f'{kind} ({count}): channels cannot be followed through it, what it reads stays '
              'as wide as it is')
    engine, reason = make_engine(arguments.engine, SystemClock())
    print(f'engine {engine.name} on {engine.device} ({reason})', flush=True)
    try:
        some = frames.training[::1 + (len(frames.training) - 1) // CHOOSING]
        with _progress('shared layers') as told:
            series = choose(scaler, arguments.variants, Judge(engine, spec, model, some).fidelity,
                            name=spec.name, smallest=arguments.smallest,
                            most_bytes=1e6 * arguments.storage_mb, told=told)
        print(f'variants beside the exact network: {len(series.models) - 1}; layers that all '
              f'share: the first {series.shared_layers} of {len(scaler.layers)}', flush=True)
        judge = Judge(engine, spec, model, frames.held_out, frames.held_out_labels)
        kept = [scaler.kept_filters(multiply_adds(each), series.shared_layers)
                for each in series.models]
        refitted = _refitted(spec, series, kept, exact)
        models = _tuned(arguments, spec, model, series, refitted, kept, frames)
        before, fitted, after = ([judge.figures(each) for each in stage]
                                 for stage in (series.models, refitted, models))
        machine = engine_record(engine)
    finally:
        engine.close()
    folder = arguments.into or cache_dir() / 'scaled' / spec.name
    storage = _write(spec, models, series, folder)
    results = {
        'scaled': spec.name, 'format': FORMAT, 'model_sha256': sha256_of(spec.onnx),
        'by': arguments.by, 'layers': len(scaler.layers), 'shared_layers': series.shared_layers,
        'left_alone': scaler.left_alone, 'refitted_on': len(exact.images) if exact else 0,
        'steps': arguments.steps, 'batch': arguments.batch, 'rate': arguments.rate,
        'data': frames.source, 'learned_from': len(frames.training),
        'measured_on': len(frames.held_out), 'storage_bytes': storage.total,
        'shared_bytes': storage.shared,
        'variants': _rows(spec, models, storage, before, fitted, after),
        **machine, **environment()}
    _print(results)
    for path in filter(None, (folder / f'{spec.name}_scaled.json', arguments.out)):
        write_whole(path, (json.dumps(results, indent=1) + '\n').encode())
        print(f'written to {path}')


def _exact_layers(arguments, spec, model, frames):
    """Return what the exact layers do on images to learn from; None, and why, without torch."""
    from s3dnn_ros.scaling.tune import require_torch

    if arguments.no_refit:
        return None
    try:
        require_torch(spec.name)
        from s3dnn_ros.scaling.exact import ExactLayers

        with _progress('layers of the exact network') as told:
            return ExactLayers(model, spec, frames.training, told)
    except ModelError as error:
        print(f'weights are not refitted: {error}')
        return None


def _scaler(arguments, model, exact):
    from s3dnn_ros.scaling.depth import Depth
    from s3dnn_ros.scaling.width import Width

    if arguments.by == 'depth':
        return Depth(model)
    if exact is None:
        return Width(model)
    from s3dnn_ros.scaling.worth import worth

    return Width(model, partial(worth, exact=exact))


def _refitted(spec, series, kept, exact):
    """Return the networks, all but the exact one with weights that fit."""
    if exact is None:
        return series.models
    from s3dnn_ros.scaling.refit import refit

    found = [series.models[0]]
    with _progress('weights that fit') as told:
        for model, filters in zip(series.models[1:], kept[1:]):
            told(len(found) - 1, len(series.models) - 1)
            found.append(refit(model, spec, exact, filters, series.shared))
    return tuple(found)


def _tuned(arguments, spec, model, series, models, kept, frames):
    """Return the networks, the exact one as it is, the others fine-tuned if that is asked for."""
    from s3dnn_ros.scaling.tune import Tuning, fine_tune

    if not arguments.steps:
        return models
    tuning = Tuning(arguments.steps, arguments.batch, arguments.rate)
    found = [models[0]]
    for index, variant in enumerate(models[1:], 1):
        with _progress(f'variant {index}') as told:
            found.append(fine_tune(
                variant, model, spec, frames, tuning, kept=kept[index], frozen=series.shared,
                file=cache_dir() / 'scaling' / spec.name / f'{index}.pt',
                told=lambda step, loss, told=told: told(step, arguments.steps,
                                                        f'loss {loss:.3f}')))
    return tuple(found)


def _write(spec, models, series, folder: Path):
    """Write networks and descriptions; return what the networks take."""
    from s3dnn_ros.models.macs import multiply_adds
    from s3dnn_ros.scaling.describe import description
    from s3dnn_ros.scaling.store import storage_of, write

    work = [multiply_adds(model) for model in models]
    try:
        for path, macs in zip(write(models, series.shared, folder, spec.name), work):
            what = f'{spec.name} with {macs / work[0]:.0%} of its multiply-adds'
            write_whole(path.with_suffix('.yaml'), description(spec, path, what).encode())
    except OSError as error:
        raise ModelError(folder, f'cannot be written ({error.strerror}); free space there, or '
                                 'name another folder with --into') from error
    return storage_of(models, series.shared, spec.name)


def _rows(spec, models, storage, before, fitted, after):
    from s3dnn_ros.models.macs import multiply_adds

    return [{'model': f'{spec.name}_{index}.yaml', 'macs': multiply_adds(model), 'bytes': size,
             'before': dataclasses.asdict(first), 'refitted': dataclasses.asdict(second),
             **dataclasses.asdict(last)}
            for index, (model, size, first, second, last) in enumerate(
                zip(models, storage.private, before, fitted, after))]


@contextlib.contextmanager
def _progress(title: str):
    """Give a function of what was done, of how much, and a remark: it shows the time left."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(TextColumn('{task.description}'), BarColumn(), TimeRemainingColumn(),
                  TextColumn('{task.fields[remark]}'), transient=True) as progress:
        task = progress.add_task(title, total=None, remark='')
        yield lambda done, total, remark='': progress.update(
            task, completed=done, total=total, remark=remark)


def _print(results) -> None:
    from rich.console import Console
    from rich.table import Table

    is_changed = results['refitted_on'] or results['steps']
    shown = Table(title=f'{results["scaled"]} by {results["by"]}',
                  caption='in brackets: before weights were fitted' if is_changed else '')
    for label in _HEADINGS:
        shown.add_column(label, justify='right')
    for index, row in enumerate(results['variants']):
        figures = []
        for name in ('fidelity', 'answers', 'accuracy'):
            value, before = row[name], row['before'][name]
            text = '' if value is None else f'{value:.3f}'
            figures.append(f'{text} ({before:.3f})' if text and is_changed and index
                           else text)
        shown.add_row(str(index), f'{row["macs"] / 1e6:.1f}', f'{row["bytes"] / 1e6:.2f}',
                      *figures)
    Console().print(shown)
    print(f'{results["storage_bytes"] / 1e6:.2f} MB in all, of which '
          f'{results["shared_bytes"] / 1e6:.2f} MB are shared')
