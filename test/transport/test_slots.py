"""Slots of both kinds of memory, against a model of what is out."""

import shutil
import tempfile

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from s3dnn_ros.transport.ring import SharedSlots, SlotReader
from s3dnn_ros.transport.slots import HeapSlots, SlotSize

COUNT = 3
SIZE = SlotSize(1, 64)
LEASE_S = 5.0


class SlotModel(RuleBasedStateMachine):
    """What every pool does: never hands a slot out twice, never loses one."""

    def __init__(self):
        super().__init__()
        self.now_s = 0.0
        self.out = {}          # index: (slot, since)
        self.revoked = []
        self.pool = self.make_pool()

    @rule(seconds=st.floats(0.0, LEASE_S))
    def time_passes(self, seconds):
        self.now_s += seconds

    @rule()
    def acquire(self):
        slot = self.pool.acquire(self.now_s)
        if len(self.out) == COUNT:
            assert slot is None
            return
        assert slot.index not in self.out
        assert 0 <= slot.index < COUNT
        slot.pixels[:] = slot.ticket % 256
        self.out[slot.index] = (slot, self.now_s)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def release(self, data):
        slot, _ = self.out.pop(data.draw(st.sampled_from(sorted(self.out))))
        assert self.release_in_pool(slot)
        self.revoked.append(slot)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def abandon(self, data):
        slot, _ = self.out.pop(data.draw(st.sampled_from(sorted(self.out))))
        self.pool.abandon(slot)
        self.revoked.append(slot)

    @rule()
    def take_back_what_is_overdue(self):
        late = {index for index, (_, since_s) in self.out.items()
                if self.now_s - since_s > LEASE_S}
        assert {slot.index for slot in self.pool.overdue(self.now_s, LEASE_S)} == late
        self.revoked += [self.out.pop(index)[0] for index in late]

    @precondition(lambda self: self.revoked)
    @rule(data=st.data())
    def release_what_was_taken_back(self, data):
        assert not self.release_in_pool(data.draw(st.sampled_from(self.revoked)))

    @invariant()
    def pixels_of_slots_that_are_out_are_their_own(self):
        for slot, _ in self.out.values():
            assert (slot.pixels == slot.ticket % 256).all()

    def teardown(self):
        free = 0
        while self.pool.acquire(self.now_s) is not None:
            free += 1
        assert free == COUNT - len(self.out)
        self.pool.close()


class HeapModel(SlotModel):
    def make_pool(self):
        return HeapSlots(COUNT, SIZE)

    def release_in_pool(self, slot):
        return self.pool.release(slot)


class SharedModel(SlotModel):
    def make_pool(self):
        self.directory = tempfile.mkdtemp()
        pool = SharedSlots('model', COUNT, SIZE, self.directory)
        self.reader = SlotReader(pool.name, self.directory)
        return pool

    def release_in_pool(self, slot):
        return self.reader.release(slot.index, slot.ticket)

    def teardown(self):
        super().teardown()
        shutil.rmtree(self.directory)


def test_slots_lie_in_the_memory_that_is_made_for_them():
    made = []

    def make(size):
        made.append(np.zeros(size, np.uint8))
        return made[-1]

    pool = HeapSlots(2, SlotSize(1, 48), make)
    assert [slot.pixels is array for slot, array in zip((pool.acquire(0.0), pool.acquire(0.0)),
                                                        made)] == [True, True]
    pool.revoke_all()
    pool.grow(SlotSize(2, 48))
    assert pool.acquire(0.0).pixels is made[2] and made[2].size == 96


FEW = hypothesis.settings(max_examples=60, stateful_step_count=30)
HeapModel.TestCase.settings = FEW
SharedModel.TestCase.settings = FEW
TestHeapSlots = HeapModel.TestCase
TestSharedSlots = SharedModel.TestCase


@pytest.fixture(params=['heap', 'shared'])
def pool(request, tmp_path):
    pool = (HeapSlots(COUNT, SIZE) if request.param == 'heap'
            else SharedSlots('test', COUNT, SIZE, tmp_path))
    yield pool
    pool.close()


def test_tickets_are_never_zero_and_never_repeat(pool):
    tickets = []
    for _ in range(10):
        slot = pool.acquire(0.0)
        tickets.append(slot.ticket)
        pool.abandon(slot)
    assert 0 not in tickets
    assert len(set(tickets)) == len(tickets)


def test_a_slot_is_not_overdue_at_the_end_of_its_lease_but_after_it(pool):
    slot = pool.acquire(1.0)
    assert pool.overdue(1.0 + LEASE_S, LEASE_S) == []
    assert pool.overdue(1.1 + LEASE_S, LEASE_S) == [slot]
    assert pool.overdue(9.0 + LEASE_S, LEASE_S) == []


def test_closing_twice_is_fine(pool):
    pool.close()
    pool.close()
