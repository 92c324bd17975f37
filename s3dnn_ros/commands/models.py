"""`s3dnn models`: which networks there are, how to get them, and whether they work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import List, Sequence

from s3dnn_ros.commands.check import check_model
from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.assets import ASSETS, DEMO, fetch
from s3dnn_ros.models.spec import known_models, load_spec
from s3dnn_ros.models.zoo import ZOO, assets_of, export, state_of


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
    parser.add_argument('names', nargs='+', metavar='NAME', help=', '.join(ZOO))
    parser.add_argument(
        '-o', '--output', type=Path, metavar='PATH', help='copy it there: a file or a folder'
    )
    parser.set_defaults(run=_export)

    parser = commands.add_parser('check', help='does a model load, run and give boxes?')
    parser.add_argument('model', metavar='NAME_OR_YAML')
    parser.add_argument('--image', type=Path, metavar='FILE', help='run it on this image')
    parser.add_argument(
        '--score', type=float, default=0.4, help='lowest score of a box (default %(default)s)'
    )
    parser.add_argument('--json', action='store_true', help='print one JSON document')
    parser.set_defaults(run=_check)


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
    print('\n'.join(_columns(rows)))


def _fetch(arguments) -> None:
    names = list(ASSETS) if arguments.all else assets_of(arguments.names) or DEMO
    fetch(names, lambda line: print(line, flush=True))


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


def _check(arguments) -> None:
    report = check_model(load_spec(arguments.model), arguments.image, arguments.score)
    if arguments.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        print('\n'.join(report.lines()))


def _columns(rows: Sequence[Sequence[str]]) -> List[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]
