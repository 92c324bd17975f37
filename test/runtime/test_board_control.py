"""What is wanted of the board, what it is set to, and the thread that sets it."""

import queue
import threading

import pytest

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.runtime.board_control import BoardControl

WAIT_S = 30.0


class FakePlatform:
    """A board that takes as long as the test wants; `broken` configurations cannot be set.

    Those that are `odd` fail in a way that nobody has thought of.
    """

    def __init__(self, broken=(), odd=(), immediate=False):
        self.immediate = immediate
        self.set = []
        self.closed = False
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.asked = threading.Semaphore(0)
        self._broken = broken
        self._odd = odd

    def apply(self, index):
        self.asked.release()
        assert self.may_go_on.wait(WAIT_S)
        if index in self._broken:
            raise PlatformError('max_freq', f'{index} was refused')
        if index in self._odd:
            raise BlockingIOError(11, 'no process to be had')
        self.set.append(index)

    def close(self):
        self.closed = True


@pytest.fixture
def announced():
    return queue.Queue()


@pytest.fixture
def start(announced, said):
    """Return a builder of (board, platform, what it was set to, what was reported)."""
    made = []

    def build(**options):
        platform, changes, reported = FakePlatform(**options), [], said
        made.append(BoardControl(0, platform, lambda: changes.append(made[-1].configuration),
                                 announced.put))
        return made[-1], platform, changes, reported

    yield build
    for board in made:
        board.close()


def test_what_is_wanted_while_it_works_is_set_next_and_only_the_newest(start):
    board, platform, changes, _ = start()
    platform.may_go_on.clear()
    board.want(1)
    assert platform.asked.acquire(timeout=WAIT_S)
    for configuration in (2, 3, 4):
        board.want(configuration)
    platform.may_go_on.set()
    assert platform.asked.acquire(timeout=WAIT_S)
    board.close()
    assert platform.set == changes == [1, 4]


def test_what_cannot_be_set_is_said_once_and_the_next_is_set(start):
    board, platform, changes, reported = start(broken=(7,))
    for configuration in (7, 7, 2):
        board.want(configuration)
        assert platform.asked.acquire(timeout=WAIT_S)
    board.close()
    assert changes == [2] and reported == ['max_freq: 7 was refused']


@pytest.mark.parametrize('immediate', [True, False])
def test_whatever_goes_wrong_the_next_is_set(start, announced, immediate):
    board, platform, changes, reported = start(odd=(7,), immediate=immediate)
    for configuration in (7, 7, 2):
        board.want(configuration)
        assert platform.asked.acquire(timeout=WAIT_S)
    assert announced.get(timeout=WAIT_S) == 2
    assert changes == [2]
    assert reported == ['configuration 7: BlockingIOError: [Errno 11] no process to be had']


def test_what_cannot_be_announced_is_said_and_the_next_is(sentences):
    told, announced = queue.Queue(), queue.Queue()
    sentences.callbacks.append(told.put)

    def announce(configuration):
        if configuration == 1:
            raise RuntimeError('the context is invalid')
        announced.put(configuration)

    board = BoardControl(0, FakePlatform(), announce=announce)
    board.want(1)
    assert told.get(timeout=WAIT_S) == 'configuration 1: RuntimeError: the context is invalid'
    board.want(2)
    assert announced.get(timeout=WAIT_S) == 2
    board.close()


def test_what_is_immediate_is_set_before_anyone_goes_on(start, announced):
    board, platform, changes, reported = start(immediate=True, broken=(7,))
    for configuration in (1, 7, 2):
        board.want(configuration)
    assert platform.set == changes == [1, 2] and reported == ['max_freq: 7 was refused']
    while announced.get(timeout=WAIT_S) != 2:
        pass
    board.close()
    board.want(3)
    assert platform.set == [1, 2] and announced.empty()


def test_what_is_set_is_announced(start, announced):
    board, _, _, _ = start()
    board.want(1)
    assert announced.get(timeout=WAIT_S) == 1


def test_the_board_is_restored_at_the_end(start):
    board, platform, _, _ = start()
    board.close()
    assert platform.closed


def test_what_is_set_is_not_set_again_unless_something_else_is_on_its_way(start, announced):
    board, platform, changes, _ = start()
    board.want(0)       # what it is taken for at first has to be set once
    assert platform.asked.acquire(timeout=WAIT_S)
    board.want(1)
    assert platform.asked.acquire(timeout=WAIT_S)
    while announced.get(timeout=WAIT_S) != 1:
        pass
    platform.may_go_on.clear()
    board.want(1)       # is set
    board.want(2)
    assert platform.asked.acquire(timeout=WAIT_S)
    board.want(1)       # is set still, and 2 is on its way
    platform.may_go_on.set()
    assert platform.asked.acquire(timeout=WAIT_S)
    board.close()
    assert platform.set == changes == [0, 1, 2, 1]


def test_what_could_not_be_set_is_asked_for_again(start):
    board, platform, _, _ = start(broken=(7,))
    for _ in range(2):
        board.want(7)
        assert platform.asked.acquire(timeout=WAIT_S)
    board.close()
    assert platform.set == [] and board.configuration == 0


def test_a_board_of_another_process_is_only_heard_of():
    changes = []
    board = BoardControl(1, changed=lambda: changes.append(board.configuration))
    board.want(2)
    assert not board.is_ours and board.configuration == 1
    board.was_set(2)
    board.close()
    assert changes == [2]
