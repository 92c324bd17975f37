"""Images come when they should, from another process, beside the events of this one."""

import contextlib
import queue
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.bench.arrivals import Arrivals, times
from s3dnn_ros.bench.processes import ProcessError

PATIENCE_S = 10.0


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.one_of(st.just(0.0), st.floats(0.05, 1.0))),
                max_size=6), st.floats(0.0, 3.0))
def test_each_client_has_its_times_in_order(periods, seconds):
    found = list(times(periods, 100.0, 100.0 + seconds))
    assert [moment_s for moment_s, _ in found] == sorted(moment_s for moment_s, _ in found)
    assert all(100.0 <= moment_s < 100.0 + seconds for moment_s, _ in found)
    for client, (phase_s, period_s) in enumerate(periods):
        own_s = [moment_s for moment_s, who in found if who == client]
        if period_s == 0.0:
            assert len(own_s) == (100.0 + phase_s < 100.0 + seconds)
        else:
            assert len(own_s) == pytest.approx(max(0.0, (seconds - phase_s) / period_s), abs=1.01)
            assert all(second_s - first_s == pytest.approx(period_s)
                       for first_s, second_s in zip(own_s, own_s[1:]))


@pytest.fixture
def arrivals():
    """Return a function that makes one, of events that are (client, time)."""
    with contextlib.ExitStack() as stack:
        def make(periods):
            return stack.enter_context(contextlib.closing(
                Arrivals(periods, lambda client, now_s: (client, now_s))))
        yield make


def test_images_come_from_the_process_and_events_from_here(arrivals):
    inbox = arrivals([(0.0, 0.02), (0.01, 0.0)])
    with pytest.raises(queue.Empty):
        inbox.get(0.01)
    started_s = time.time()
    inbox.start(started_s, started_s + 0.1)
    inbox.put('event')
    assert inbox.get(PATIENCE_S) == 'event'
    found = []
    with contextlib.suppress(queue.Empty):
        while True:
            found.append(inbox.get(0.5))
    assert [client for client, _ in found] == [0, 1, 0, 0, 0, 0]
    assert all(moment_s >= started_s for _, moment_s in found)
    with pytest.raises(queue.Empty):
        inbox.get_nowait()


def test_an_event_of_another_thread_wakes_who_waits(arrivals):
    inbox = arrivals([])
    threading.Timer(0.05, inbox.put, ['late']).start()
    begun_s = time.monotonic()
    assert inbox.get(PATIENCE_S) == 'late'
    assert time.monotonic() - begun_s < PATIENCE_S / 2


def test_many_events_need_no_more_wakes_than_the_pipe_takes(arrivals):
    inbox = arrivals([])
    count = 100_000
    thread = threading.Thread(target=lambda: [inbox.put(number) for number in range(count)])
    thread.start()
    thread.join()
    assert [inbox.get(PATIENCE_S) for _ in range(count)] == list(range(count))


def test_what_comes_late_is_written_nowhere(arrivals, tmp_path):
    inbox = arrivals([])
    inbox.close()
    inbox.close = lambda: None
    # files get the numbers of those that were closed
    with contextlib.ExitStack() as opened:
        files = [opened.enter_context((tmp_path / str(number)).open('wb')) for number in range(8)]
        assert {file.fileno() for file in files} >= {inbox._wakes}
        inbox.put('late')
    assert not any(file.stat().st_size for file in tmp_path.iterdir())


def test_a_process_that_dies_is_told(arrivals):
    inbox = arrivals([(0.0, 0.01)])
    inbox.start(time.time() + 5.0, time.time() + 10.0)
    inbox._process.kill()
    with pytest.raises(ProcessError, match='has died'):
        inbox.get(PATIENCE_S)


def test_a_process_that_does_not_start_is_told(monkeypatch):
    monkeypatch.setattr('sys.executable', '/bin/false')
    with pytest.raises(ProcessError, match='does not start'):
        Arrivals([], lambda *_: None)
