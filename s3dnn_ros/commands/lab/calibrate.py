"""The command `s3dnn lab calibrate`: published times beside the simulated ones."""

from __future__ import annotations


def register(commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        'calibrate', help='published times of networks beside the simulated ones')
    parser.add_argument('boards', nargs='*', metavar='BOARD',
                        help="names, or YAML files (default: the package's own)")
    parser.add_argument('--fit', action='store_true',
                        help='fit the constants anew, instead of those in the files')
    parser.set_defaults(run=_calibrate)


def _calibrate(arguments) -> None:
    from s3dnn_ros.lab.board_file import known_boards, load_board
    from s3dnn_ros.lab.calibrate import FITTED, figures_of, fitted

    for name in arguments.boards or known_boards():
        board = load_board(name)
        figures = figures_of(board)
        if arguments.fit:
            board = fitted(board, figures, FITTED[board.name])
        _print(board)


def _print(board) -> None:
    from s3dnn_ros.bench.markdown import table
    from s3dnn_ros.lab.calibrate import FITTED, PRECISION, budgets, calibration

    values = {'efficiency': f'{board.efficiency[PRECISION]:.3f} of the peak',
              'kernel_s': f'{1e6 * board.kernel_s:.1f} µs a kernel'}
    told = ', '.join(value if name in FITTED[board.name] else f'{value} (assumed)'
                     for name, value in values.items())
    print(f'## {board.description}\n\nFitted: {told}.\n')
    rows = ([row.figure.network, f'{row.figure.time_ms:g}', f'{row.model_ms:.2f}',
             _percent(row.residual), _percent(row.left_out_residual), row.figure.source]
            for row in calibration(board))
    print('\n'.join(table(['network', 'published, ms', 'model, ms', 'residual',
                           'if fitted to the others', 'source'], rows)))
    powers = ([name, f'{budget_w:g}', f'{model_w:.1f}', _percent(model_w / budget_w - 1.0)]
              for name, (budget_w, model_w) in budgets(board).items())
    print()
    print('\n'.join(table(['mode', 'budget, W', 'model at full load, W', 'difference'], powers)))
    print()


def _percent(share) -> str:
    return 'unknown' if share is None else f'{share:+.0%}'
