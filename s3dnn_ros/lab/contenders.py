"""Who decides for a cohort on a simulated board: NeuOS's modes, and their rivals."""

from __future__ import annotations

from typing import Sequence

from s3dnn_ros.bench.contenders import CONTENDERS, Contender, contenders
from s3dnn_ros.cohort import MODES
from s3dnn_ros.cohort.rivals import Fixed
from s3dnn_ros.errors import PlatformError
from s3dnn_ros.lab.board import Board
from s3dnn_ros.platforms.space import ConfigurationSpace

# NVIDIA's energy-saving mode, under the names that it has on the boards. NeuOS takes the cap of
# 15 W for the Max-Q of a Xavier (section 5.1).
MAX_Q_MODES = ('MAXQ', 'MODE_15W')
RIVALS = ('POET', 'POET, margin', 'PredJoule', 'ApNet')


def lab_contenders(board: Board, space: ConfigurationSpace) -> Sequence[Contender]:
    """Return all contenders on a board: Max-N, Max-Q, race to idle, the rivals and the modes.

    They are those of the bench, except that Max-Q is the board's own mode. The modes decide by
    the next segment, as in the paper, and by whole networks, too. The offline oracle is not
    among them, because it needs to know what a run will ask for: see `search` of
    `lab/oracle.py`.

    Parameters
    ----------
    board : Board
    space : ConfigurationSpace
        The configurations that the tables of the models have a row for.

    Raises
    ------
    PlatformError
        If the board has no mode for Max-Q.

    """
    return (*CONTENDERS, *contenders([f'{mode}, by network' for mode in MODES]),
            max_q(board, space), *contenders(RIVALS))


def max_q(board: Board, space: ConfigurationSpace) -> Contender:
    """Return the contender that keeps a board in its own energy-saving mode.

    Where the space has fewer steps than the board, a clock has the highest step that the mode
    allows, or the lowest step if the mode allows none. NeuOS's space of a Xavier has one step
    of the memory clock, above the mode's. Raises PlatformError if the board has no such mode.
    """
    name = next((name for name in MAX_Q_MODES if name in board.modes), None)
    if name is None:
        raise PlatformError(f"board '{board.name}'", 'has no mode for Max-Q; its file needs one '
                            'of the modes ' + ', '.join(MAX_Q_MODES))
    configuration = board.mode_index(space, name)
    return Contender('Max-Q', lambda known: Fixed(configuration))
