"""The board is set by a thread of its own, to what was wanted last."""

import queue
import threading

import pytest

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.runtime.actuator import Actuator

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
def start(announced):
    """Return a builder of (actuator, platform, what was applied, what was reported)."""
    made = []

    def build(**options):
        platform, applied, reported = FakePlatform(**options), [], []
        made.append(Actuator(platform, applied.append, reported.append, announced.put))
        return made[-1], platform, applied, reported

    yield build
    for actuator in made:
        actuator.close()


def test_what_is_wanted_while_it_works_is_set_next_and_only_the_newest(start):
    actuator, platform, applied, _ = start()
    platform.may_go_on.clear()
    actuator.apply(1)
    assert platform.asked.acquire(timeout=WAIT_S)
    for configuration in (2, 3, 4):
        actuator.apply(configuration)
    platform.may_go_on.set()
    assert platform.asked.acquire(timeout=WAIT_S)
    actuator.close()
    assert platform.set == applied == [1, 4]


def test_what_cannot_be_set_is_said_once_and_the_next_is_set(start):
    actuator, platform, applied, reported = start(broken=(7,))
    for configuration in (7, 7, 2):
        actuator.apply(configuration)
        assert platform.asked.acquire(timeout=WAIT_S)
    actuator.close()
    assert applied == [2] and reported == ['max_freq: 7 was refused']


@pytest.mark.parametrize('immediate', [True, False])
def test_whatever_goes_wrong_the_next_is_set(start, announced, immediate):
    actuator, platform, applied, reported = start(odd=(7,), immediate=immediate)
    for configuration in (7, 7, 2):
        actuator.apply(configuration)
        assert platform.asked.acquire(timeout=WAIT_S)
    assert announced.get(timeout=WAIT_S) == 2
    assert applied == [2]
    assert reported == ['configuration 7: BlockingIOError: [Errno 11] no process to be had']


def test_what_cannot_be_announced_is_said_and_the_next_is():
    told, announced = queue.Queue(), queue.Queue()

    def announce(configuration):
        if configuration == 1:
            raise RuntimeError('the context is invalid')
        announced.put(configuration)

    actuator = Actuator(FakePlatform(), lambda configuration: None, told.put, announce)
    actuator.apply(1)
    assert told.get(timeout=WAIT_S) == 'configuration 1: RuntimeError: the context is invalid'
    actuator.apply(2)
    assert announced.get(timeout=WAIT_S) == 2
    actuator.close()


def test_what_is_immediate_is_set_before_anyone_goes_on(start, announced):
    actuator, platform, applied, reported = start(immediate=True, broken=(7,))
    for configuration in (1, 7, 2):
        actuator.apply(configuration)
    assert platform.set == applied == [1, 2] and reported == ['max_freq: 7 was refused']
    while announced.get(timeout=WAIT_S) != 2:
        pass
    actuator.close()
    actuator.apply(3)
    assert platform.set == [1, 2] and announced.empty()


def test_what_is_set_is_announced(start, announced):
    actuator, _, _, _ = start()
    actuator.apply(1)
    assert announced.get(timeout=WAIT_S) == 1


def test_the_board_is_restored_at_the_end(start):
    actuator, platform, _, _ = start()
    actuator.close()
    assert platform.closed
