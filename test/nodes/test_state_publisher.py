"""Every state is published in order, by another thread; the newest whatever happens."""

import queue
import threading

import hypothesis.strategies as st
from hypothesis import given

from s3dnn_ros.cohort import MemberState
from s3dnn_ros.nodes.state_publisher import StatePublisher

WAIT_S = 30.0      # for what comes at once; a test that waits so long has failed
MOST = 4


def state(instance, sequence):
    return MemberState('board', 'process', instance, 'model', sequence, 0, 0.0, 1.0, 1.0, 0, 0)


class Topic:
    """Takes what is published: at once, or when it is open."""

    def __init__(self, is_open=True):
        self.published = []
        self.begun = queue.Queue()
        self.reports = []
        self.may_go = threading.Event()
        if is_open:
            self.may_go.set()

    def publish(self, said):
        self.begun.put(threading.current_thread())
        assert self.may_go.wait(WAIT_S)
        self.published.append(said)


def publisher_on(topic, most_waiting=MOST):
    return StatePublisher(topic.publish, topic.reports.append, most_waiting)


def test_everything_is_published_in_order_by_one_thread_of_its_own():
    topic = Topic()
    publisher = publisher_on(topic, most_waiting=1000)
    states = [state('net', sequence) for sequence in range(500)]
    for one in states:
        publisher.say(one)
    publisher.close()
    assert topic.published == states
    (thread,) = set(topic.begun.queue)
    assert thread is not threading.current_thread() and not thread.is_alive()
    assert not topic.reports


def test_it_rests_and_wakes_again():
    topic = Topic()
    publisher = publisher_on(topic)
    for sequence in range(20):
        publisher.say(state('net', sequence))
        topic.begun.get(timeout=WAIT_S)
    publisher.close()


def test_nobody_waits_for_a_publication_and_the_end_leaves_nothing_unsaid():
    topic = Topic(is_open=False)
    publisher = publisher_on(topic)
    publisher.say(state('net', 0))
    topic.begun.get(timeout=WAIT_S)
    publisher.say(state('net', 1))
    closing = threading.Thread(target=publisher.close)
    closing.start()
    topic.may_go.set()
    closing.join(WAIT_S)
    assert [one.sequence for one in topic.published] == [0, 1]


@given(st.lists(st.sampled_from('abcdef'), max_size=60))
def test_of_too_many_the_newest_of_each_instance_is_published_behind_its_older_ones(instances):
    topic = Topic(is_open=False)
    publisher = publisher_on(topic)
    publisher.say(state('first', 0))
    topic.begun.get(timeout=WAIT_S)
    newest = {'first': 0}
    for sequence, instance in enumerate(instances, 1):
        publisher.say(state(instance, sequence))
        newest[instance] = sequence
    topic.may_go.set()
    publisher.close()
    assert len(topic.published) <= 1 + max(MOST, len(newest) - 1)
    assert bool(topic.reports) == (len(topic.published) < 1 + len(instances))
    last = {}
    for one in topic.published:
        assert one.sequence > last.get(one.instance, -1)
        last[one.instance] = one.sequence
    assert last == newest


def test_what_the_middleware_refuses_is_told_and_the_next_goes_on():
    published, reports = [], []

    def publish(said):
        if said.sequence == 0:
            raise RuntimeError('the context is gone')
        published.append(said.sequence)

    publisher = StatePublisher(publish, reports.append)
    publisher.say(state('net', 0))
    publisher.say(state('net', 1))
    publisher.close()
    assert published == [1]
    (report,) = reports
    assert 'the context is gone' in report
