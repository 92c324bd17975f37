"""Who decides on a simulated board, and that Max-Q is the board's own mode there."""

import dataclasses

import pytest

from s3dnn_ros.bench.contenders import CONTENDERS, OTHERS
from s3dnn_ros.cohort import Member
from s3dnn_ros.errors import PlatformError
from s3dnn_ros.lab.board import Activity
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.contenders import lab_contenders, max_q


def configuration_of(contender, tables=None):
    """Return what a contender that never changes anything sets the board to."""
    member = Member('net', 0.0, 0.04, None, AnyTable(), 0)
    return contender.make(tables).decide([member]).configuration


class AnyTable:
    """A table that knows its exact variant alone."""

    exact = 0


def test_each_contender_of_the_paper_is_there_once_and_max_q_is_not_the_benchs():
    board = load_board('tx2')
    found = lab_contenders(board, board.space())
    names = [contender.name for contender in found]
    assert len(set(names)) == len(names)
    assert set(names) == {'Max-N', 'Max-Q', 'race to idle', 'uncoordinated', 'POET',
                          'POET, margin', 'PredJoule',
                          'ApNet', 'min_energy', 'max_accuracy', 'balanced',
                          'min_energy, by network', 'max_accuracy, by network',
                          'balanced, by network'}
    known = {contender.name: contender for contender in (*CONTENDERS, *OTHERS)}
    assert all(contender == known[contender.name]
               for contender in found if contender.name != 'Max-Q')


@pytest.mark.parametrize('name, gpu_mhz, memory_mhz, most_cpu_mhz, cores, budget_w', [
    ('tx2', 854.25, 1331.2, 1200.0, [4, 0], 7.5),
    # the only step of the memory clock in NeuOS's experiments
    ('agx_xavier', 675.75, 2133.0, 1200.0, [2, 2, 0, 0], 15.0)])
def test_max_q_is_the_boards_own_mode(name, gpu_mhz, memory_mhz, most_cpu_mhz, cores, budget_w):
    board = load_board(name)
    space = board.space()
    settings = board.settings(space.settings(configuration_of(max_q(board, space))))
    assert (settings.gpu_mhz, settings.memory_mhz) == (gpu_mhz, memory_mhz)
    assert [count for _, count in settings.cpus] == cores
    steps = [step for step in board.clocks['cpu'].neuos_mhz if step <= most_cpu_mhz]
    assert settings.cpu_mhz == steps[-1]
    # the mode's budget holds for what a network asks for: the GPU, and one busy core
    drawn_w = sum(board.power_w(settings, Activity(1.0, 0.0, 1.0)).values())
    assert drawn_w < 1.2 * budget_w


def test_a_board_without_such_a_mode():
    board = load_board('tx2')
    modes = {name: mode for name, mode in board.modes.items() if name != 'MAXQ'}
    with pytest.raises(PlatformError, match='no mode for Max-Q'):
        max_q(dataclasses.replace(board, modes=modes), board.space())
