"""The publisher of the newest: never an older value after a newer one, and the last one always."""

import threading

from s3dnn_ros.nodes.newest_publisher import NewestPublisher

WAIT_S = 20.0


def test_the_last_value_is_published_and_none_after_a_newer_one():
    published, complaints = [], []
    publisher = NewestPublisher(published.append, complaints.append)
    for value in range(1, 2000):
        publisher.say(value)
    publisher.close()
    assert published[-1] == 1999
    assert published == sorted(set(published))
    assert not complaints


def test_what_waits_gives_way_to_newer_values():
    may, first, published = threading.Event(), threading.Event(), []

    def publish(value):
        first.set()
        assert may.wait(WAIT_S)
        published.append(value)

    publisher = NewestPublisher(publish, print)
    publisher.say('old')
    assert first.wait(WAIT_S)
    for value in ('older', 'new'):
        publisher.say(value)
    may.set()
    publisher.close()
    assert published == ['old', 'new']


def test_a_value_that_cannot_be_published_is_told_and_the_next_goes_on():
    published, complaints = [], []

    def publish(value):
        if value == 'bad':
            raise RuntimeError('the middleware is gone')
        published.append(value)

    told = threading.Event()
    publisher = NewestPublisher(publish, lambda text: (complaints.append(text), told.set()))
    publisher.say('bad')
    assert told.wait(WAIT_S)
    publisher.say('good')
    publisher.close()
    assert published == ['good'] and 'the middleware is gone' in complaints[0]
