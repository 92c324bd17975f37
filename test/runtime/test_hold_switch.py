"""Who takes memory waits until no job is held, and no job is held until the last has it."""

import threading

import pytest

from s3dnn_ros.runtime.events import HoldingChanged
from s3dnn_ros.runtime.hold_switch import HoldSwitch

WAIT_S = 10.0


class FakeCore:
    """Takes events in when the test says so; after its end it takes none."""

    def __init__(self):
        self.events = []
        self.has_ended = False
        self.armed = []

    def arm(self, allowed):
        self.armed.append(allowed)

    def post(self, event):
        if self.has_ended:
            return False
        self.events.append(event)
        return True

    def allowed(self):
        return [event.allowed for event in self.events]


@pytest.fixture
def core():
    return FakeCore()


def entered(switch):
    """Start a thread that enters; returns it, the event that it is in, and the one to leave."""
    inside, leave = threading.Event(), threading.Event()

    def run():
        with switch.off():
            inside.set()
            leave.wait(WAIT_S)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, inside, leave


def test_it_waits_for_the_core_and_gives_holding_back(core):
    thread, inside, leave = entered(HoldSwitch(core.post, core.arm))
    assert not inside.wait(0.05)
    event, = core.events
    assert isinstance(event, HoldingChanged) and not event.allowed
    event.done()
    assert inside.wait(WAIT_S) and core.allowed() == core.armed == [False]
    leave.set()
    thread.join(WAIT_S)
    assert core.allowed() == core.armed == [False, True]


def test_several_at_once_ask_once(core):
    switch = HoldSwitch(core.post, core.arm)
    first, second = entered(switch), entered(switch)
    while not core.events:
        pass
    core.events[0].done()
    assert first[1].wait(WAIT_S) and second[1].wait(WAIT_S)
    first[2].set()
    first[0].join(WAIT_S)
    assert core.allowed() == [False]
    second[2].set()
    second[0].join(WAIT_S)
    assert core.allowed() == [False, True]


def test_an_error_inside_gives_holding_back(core):
    switch = HoldSwitch(lambda event: core.post(event) and (event.done(), True)[1], core.arm)
    with pytest.raises(ValueError), switch.off():
        raise ValueError
    assert core.allowed() == [False, True]


def test_after_the_cores_end_nobody_waits(core):
    core.has_ended = True
    with HoldSwitch(core.post, core.arm).off():
        assert not core.events
