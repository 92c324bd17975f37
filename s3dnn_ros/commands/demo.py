"""The command `s3dnn demo`: what it looks like."""

from __future__ import annotations

from pathlib import Path

from s3dnn_ros.engines.base import ENGINES


def register(subparsers):
    """Add the command."""
    parser = subparsers.add_parser(
        'demo', help='run simulated cameras through the whole pipeline',
        description='Four simulated cameras, a detector, a live table; at the end a summary and '
                    'one annotated picture per camera.')
    parser.add_argument('--seconds', type=float, default=15.0,
                        help='how long; 0: until Ctrl-C (default 15)')
    parser.add_argument('--cameras', type=int, default=4, help='how many, 1 to 16 (default 4)')
    parser.add_argument('--fps', type=float, default=4.0,
                        help='frames per second of each camera (default 4)')
    parser.add_argument('--engine', default='auto', choices=('auto', *ENGINES),
                        help='inference engine (default auto)')
    parser.add_argument('--composed', action='store_true',
                        help='governor and executor in one process')
    parser.add_argument('--out', type=Path, default=Path('demo-out'),
                        help='where the results go (default demo-out)')
    parser.set_defaults(run=_run)


def _run(arguments):
    from s3dnn_ros.bench import demo

    return demo.run(seconds=arguments.seconds, cameras=arguments.cameras, fps=arguments.fps,
                    engine=arguments.engine, composed=arguments.composed, out=arguments.out)
