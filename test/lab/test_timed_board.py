"""A simulated board that takes its time to be set."""

from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.simulated_platform import SimulatedPlatform
from s3dnn_ros.lab.timed_board import TimedBoard

BOARD = load_board('tx2')
LAST = len(BOARD.space()) - 1
# more than any change takes
LONG_S = 0.02
ROWS = st.integers(0, LAST)


def in_force(settings):
    """Return what is set; a cluster that is off keeps its clock."""
    return (settings.gpu_mhz, settings.memory_mhz, settings.cpu_mhz,
            [cores for _, cores in settings.cpus])


def of(row):
    """Return the same of a configuration."""
    return in_force(BOARD.settings(BOARD.space().settings(row)))


class Bench:
    """A board that is set, and what was told of it."""

    def __init__(self):
        self.clock = VirtualClock()
        self.platform = SimulatedPlatform(BOARD, self.clock, {})
        self.told = []
        self.board = TimedBoard(LAST, self.platform, lambda: self.told.append(
            self.board.configuration))

    def wait(self, time_s):
        """Let time pass from change to change."""
        end_s = self.clock.now_s() + time_s
        while self.platform.next_change_s() <= end_s:
            self.clock.advance(self.platform.next_change_s() - self.clock.now_s())
            self.platform.change_due(self.clock.now_s())
        self.clock.advance(end_s - self.clock.now_s())


def test_what_is_wanted_counts_once_it_is_in_force():
    bench = Bench()
    bench.board.want(0)
    bench.wait(0.001)
    assert bench.board.configuration == LAST
    bench.wait(LONG_S)
    assert bench.board.configuration == 0 and bench.told == [0]
    assert in_force(bench.platform.settings) == of(0)


def test_of_several_wishes_the_newest_is_set_once_the_clocks_have_changed():
    bench = Bench()
    for wanted in (0, 17, 4711):
        bench.board.want(wanted)
    bench.wait(2 * LONG_S)
    assert bench.told == [0, 4711] and bench.platform.transitions == 2


def test_launches_do_not_wait_for_the_thread_that_sets():
    bench = Bench()
    bench.board.want(0)
    assert bench.platform.launch(0.0) == BOARD.launch_s + BOARD.decision_s


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(ROWS, st.floats(0.0, LONG_S)), min_size=1, max_size=8))
def test_at_the_end_the_last_wish_is_in_force(wishes):
    bench = Bench()
    for wanted, wait_s in wishes:
        bench.board.want(wanted)
        bench.wait(wait_s)
    bench.wait(2 * LONG_S)
    assert bench.board.configuration == wishes[-1][0]
    assert in_force(bench.platform.settings) == of(wishes[-1][0])
    assert all(first != second for first, second in zip(bench.told, bench.told[1:]))
    bench.board.close()
    assert bench.platform.current is None
