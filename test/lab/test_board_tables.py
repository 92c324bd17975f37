"""NeuOS's tables of a simulated board."""

import pytest

from s3dnn_ros.lab.board import CPU, Activity
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.board_tables import BoardTables
from s3dnn_ros.lab.layers import Layer
from s3dnn_ros.lab.roofline import Roofline

BOARD = load_board('tx2')
SPACE = BOARD.space()
ROOFLINE = Roofline(BOARD)
SEGMENTS = ((Layer(1e9, 1e4, 0.0, 1e6),), (Layer(1e3, 1e7, 0.0, 1e6),) * 2)
TABLES = BoardTables(BOARD, SPACE, ROOFLINE).of(SEGMENTS, [[(1.0, 1.0), (2.0, 0.9)], [(1.0, 1.0)]])


@pytest.mark.parametrize('index', [0, 1, 4711, 9999, len(SPACE) - 1])
def test_a_row_says_what_the_board_does(index):
    found = BOARD.settings(SPACE.settings(index))
    host_s = ((BOARD.launch_s + BOARD.decision_s) * BOARD.clocks[CPU].steps_mhz[-1]
              / found.cpu_mhz)
    network_s = 0.0
    for layers, power in zip(SEGMENTS, TABLES.power):
        took_s, drawn_w = [], []
        for each, host in ((found, host_s), (BOARD.highest, BOARD.launch_s + BOARD.decision_s)):
            run = ROOFLINE.run(layers, 1, each.gpu_mhz, each.memory_mhz)
            took_s.append(run.time_s + host)
            busy = run.time_s / took_s[-1]
            drawn_w.append(sum(BOARD.power_w(each, Activity(
                busy * run.utilization, busy * run.traffic, 1.0)).values()))
        network_s += took_s[0]
        assert power.speedup[-1] / power.speedup[index] == pytest.approx(took_s[0] / took_s[1])
        assert power.powerup[-1] / power.powerup[index] == pytest.approx(drawn_w[1] / drawn_w[0])
    assert TABLES.network_s[index] == pytest.approx(network_s)


def test_the_fastest_is_the_last_and_least_power_is_the_first():
    assert TABLES.total_s == pytest.approx(TABLES.network_s[-1]) == pytest.approx(TABLES.least_s)
    for power in TABLES.power:
        assert power.speedup[-1] == power.most
        assert min(power.speedup) == 1.0 and min(power.powerup) == 1.0
    assert [list(each.speedup) for each in TABLES.accuracy] == [[1.0, 2.0], [1.0]]


def test_without_variants_all_is_exact():
    tables = BoardTables(BOARD, SPACE, ROOFLINE).of(SEGMENTS)
    assert [list(each.score) for each in tables.accuracy] == [[1.0], [1.0]]
