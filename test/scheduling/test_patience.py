"""Work that was left behind too often goes next within its priority, and no other does."""

import math

from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.scheduling.ordered import OrderedQueue
from s3dnn_ros.scheduling.patience import Patience, latest_start_s


@given(most=st.integers(1, 5), passed=st.lists(st.integers(0, 3), max_size=40))
def test_after_so_many_passes_it_is_first_in_its_priority(most, passed, kit):
    queue = OrderedQueue()
    patience = Patience(queue, most)
    entries = [queue.entry(kit.work(slack_s=1.0 + index), 1.0 + index) for index in range(4)]
    for entry in entries:
        queue.put(entry)
    for index in passed:
        patience.passed([entries[index]])
    often = [index for index in range(4) if passed.count(index) >= most]
    first = [entry.work for entry in queue][:len(often)]
    assert {id(work) for work in first} == {id(entries[index].work) for index in often}
    assert len(patience) == len(set(passed))
    for entry in entries:
        patience.forget(entry)
    assert not len(patience)


def test_priority_still_comes_before_patience(kit):
    queue = OrderedQueue()
    patience = Patience(queue, 1)
    low, high = (queue.entry(kit.work(priority=priority), 1.0) for priority in (0, 1))
    queue.put(low)
    queue.put(high)
    patience.passed([low])
    assert [entry.work for entry in queue] == [high.work, low.work]


def test_the_slack_of_what_goes_next_anyway_is_used_up(kit):
    queue = OrderedQueue()
    entry = queue.entry(kit.work(slack_s=5.0), 5.0)
    assert latest_start_s(entry) == 5.0
    assert latest_start_s(entry._replace(due_s=-math.inf)) == -math.inf
