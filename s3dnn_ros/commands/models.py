"""`s3dnn models`: which networks there are, how to get them, and whether they work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import List, Sequence

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.commands import lowrank
from s3dnn_ros.commands.argument_types import above_zero, new_file
from s3dnn_ros.commands.check import check_model, write_picture
from s3dnn_ros.engines import make_engine
from s3dnn_ros.engines.base import ENGINES
from s3dnn_ros.errors import ModelError, ParameterError
from s3dnn_ros.models.assets import ASSETS, DEMO, fetch
from s3dnn_ros.models.cut_network import planned
from s3dnn_ros.models.describe import describe
from s3dnn_ros.models.segment_plan import SegmentPlan, plan_path
from s3dnn_ros.models.segmentation import Segment
from s3dnn_ros.models.sizes import OF_ANY_SIZE
from s3dnn_ros.models.spec import folders_without_models, known_models, load_spec
from s3dnn_ros.models.zoo import ZOO, assets_of, export, is_known, state_of, zoo_model
from s3dnn_ros.profiling.profiler import make_plan


def register(subparsers) -> None:
    """Add `models` and its commands."""
    models = subparsers.add_parser('models', help='list, fetch, export and check networks')
    commands = models.add_subparsers(metavar='COMMAND', required=True)

    parser = commands.add_parser('list', help='which models are known, and are they ready?')
    parser.set_defaults(run=_list)

    parser = commands.add_parser(
        'fetch', help='download weights, photos and the video into the cache'
    )
    parser.add_argument(
        'names',
        nargs='*',
        metavar='NAME',
        help=f'a zoo model ({", ".join(ZOO)}) or a file ({", ".join(ASSETS)}); '
        'without names, what the demo needs',
    )
    parser.add_argument('--all', action='store_true', help='everything')
    parser.set_defaults(run=_fetch)

    parser = commands.add_parser('export', help='write a zoo model as ONNX')
    parser.add_argument('names', nargs='+', metavar='NAME',
                        help=', '.join(ZOO) + f"; {', '.join(OF_ANY_SIZE)} also for images of any "
                        "size, as NAME@SIDE")
    parser.add_argument(
        '-o', '--output', type=Path, metavar='PATH', help='copy it there: a file or a folder'
    )
    parser.set_defaults(run=_export)

    parser = commands.add_parser(
        'segment', help='measure where a model can be cut, and choose its segments'
    )
    parser.add_argument('names', nargs='+', metavar='NAME', help='a model of `s3dnn models list`')
    parser.add_argument(
        '--alive',
        type=above_zero(int),
        default=1,
        metavar='K',
        help='cut where at most K tensors are alive (default %(default)s)',
    )
    parser.add_argument(
        '--target-ms',
        type=above_zero(float),
        default=5.0,
        metavar='T',
        help='how long a segment should take (default %(default)s)',
    )
    parser.add_argument(
        '--engine',
        default='auto',
        choices=('auto', *ENGINES),
        help='what measures the layers (default %(default)s)',
    )
    parser.add_argument(
        '--batch',
        type=above_zero(int),
        default=1,
        metavar='N',
        help='images at a time, where the network allows it (default %(default)s)',
    )
    parser.set_defaults(run=_segment)

    lowrank.register(commands)

    parser = commands.add_parser('check', help='does a model load, run and give boxes?')
    parser.add_argument('model', metavar='NAME_OR_YAML')
    parser.add_argument('--image', type=Path, metavar='FILE', help='run it on this image')
    parser.add_argument(
        '--score', type=float, default=0.4, help='lowest score of a box (default %(default)s)'
    )
    parser.add_argument('--picture', type=new_file, metavar='FILE',
                        help='write the image with its boxes there')
    parser.add_argument('--json', action='store_true', help='print one JSON document')
    parser.set_defaults(run=_check)

    parser = commands.add_parser(
        'describe', help='suggest a description (YAML) for an ONNX file that has none')
    parser.add_argument('file', type=Path, metavar='FILE.onnx')
    parser.add_argument('-o', '--output', type=new_file, metavar='YAML',
                        help='where to write it (default: beside the file, as NAME.yaml)')
    parser.set_defaults(run=_describe)


def _list(arguments) -> None:
    rows = [('NAME', 'INPUT', 'DECODER', 'STATE', 'LICENCE', 'FILE')]
    for name in known_models():
        try:
            spec = load_spec(name)
        except ModelError as error:
            rows.append((name, '', '', f'broken: {error}', '', ''))
            continue
        size = f'{spec.width}x{spec.height} {spec.colour}'
        rows.append((name, size, spec.decoder, state_of(spec), spec.licence, str(spec.onnx)))
    print('\n'.join([*_columns(rows), *folders_without_models()]))


def _fetch(arguments) -> None:
    names = assets_of(arguments.names) if arguments.names else DEMO
    fetch(list(ASSETS) if arguments.all else names)
    for name in arguments.names:
        if is_known(name) and not zoo_model(name).assets:
            print(f'{name}: nothing to fetch; run `s3dnn models export {name}`')


def _export(arguments) -> None:
    for name in arguments.names:
        path = export(name)
        if arguments.output:
            path = _copy(path, arguments.output)
        print(f'{name}: {path}, {path.stat().st_size / 1e6:.1f} MB')


def _copy(source: Path, target: Path) -> Path:
    target = target / source.name if target.is_dir() else target
    try:
        shutil.copyfile(str(source), str(target))
    except OSError as error:
        raise ModelError(target, f'cannot be written ({error.strerror})') from error
    return target


def _segment(arguments) -> None:
    engine, _ = make_engine(arguments.engine, SystemClock())
    try:
        for name in arguments.names:
            spec = load_spec(name)
            plan = make_plan(
                engine,
                spec,
                target_ms=arguments.target_ms,
                max_alive=arguments.alive,
                batch=arguments.batch,
            )
            path = plan_path(spec.name)
            plan.save(path)
            _print_segments(plan, planned(spec, plan).segments)
            print(f'{plan.engine} on {plan.device}; written to {path}')
    finally:
        engine.close()


def _print_segments(plan: SegmentPlan, segments: Sequence[Segment]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f'{plan.model}: {sum(plan.times_ms):.1f} ms')
    for label in ('Segment', 'Nodes', 'ms'):
        table.add_column(label, justify='right')
    for label in ('First node', 'Last node', 'Alive after it'):
        table.add_column(label, overflow='fold')
    for segment, time_ms, alive in zip(segments, plan.times_ms, [*plan.cuts, ()]):
        # Constants are copied to the front of each segment that reads them.
        nodes = [node for node in segment.model.graph.node if node.op_type != 'Constant']
        ends = [node.name or node.output[0] for node in (nodes[0], nodes[-1])]
        numbers = (str(segment.index), str(len(nodes)), f'{time_ms:.2f}')
        table.add_row(*numbers, *ends, '\n'.join(alive))
    Console().print(table)


def _check(arguments) -> None:
    if arguments.picture and not arguments.image:
        raise ParameterError('--picture', arguments.picture, 'there is no image to draw into; '
                             'give one with --image')
    report = check_model(load_spec(arguments.model), arguments.image, arguments.score)
    if arguments.picture and report.picture is not None:
        write_picture(arguments.picture, report.picture)
    if arguments.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        print('\n'.join(report.lines()))


def _describe(arguments) -> None:
    suggestion = describe(arguments.file)
    target = arguments.output or arguments.file.with_suffix('.yaml')
    if target.exists():
        raise ModelError(target, 'is there already; name another file with -o')
    try:
        target.write_text(suggestion.text, encoding='utf-8')
    except OSError as error:
        raise ModelError(target, f'cannot be written ({error.strerror}); name another file with '
                                 '-o') from error
    print('\n'.join((*suggestion.notes, f'written to {target}',
                     f'try it: s3dnn models check {target} --image PHOTO --picture OUT.png')))


def _columns(rows: Sequence[Sequence[str]]) -> List[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]
