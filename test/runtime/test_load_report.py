"""The load is told soon after a change, never too often, and at the latest after a while."""

import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.runtime.admission import Load
from s3dnn_ros.runtime.load_report import LEAST_SILENCE_S, MOST_SILENCE_S, LoadReport

STEP_S = 0.0005


class Told:
    """Front ends; `takes` says whether what they are told unasked is news to them."""

    def __init__(self, takes=True):
        self.takes = takes
        self.calls = []

    def __call__(self, loads, now_s, must):
        self.calls.append((now_s, must))
        return must or self.takes


@given(st.lists(st.integers(0, 2000), max_size=20), st.booleans())
def test_it_is_told_within_its_bounds_whatever_changes(changes, takes):
    told = Told(takes)
    report = LoadReport(told)
    for step in range(2000):
        now_s = 10.0 + STEP_S * step
        if step in changes:
            report.changed(now_s)
        report.tell((), (), now_s)
        assert report.due_s > now_s
    sent = [now_s for now_s, must in told.calls if must or takes]
    gaps_s = [after - before for before, after in zip(sent, sent[1:])]
    assert all(LEAST_SILENCE_S - 1e-9 <= gap_s <= MOST_SILENCE_S + 2 * STEP_S for gap_s in gaps_s)
    assert all(any(-1e-9 <= now_s - 10.0 - STEP_S * step <= LEAST_SILENCE_S + 2 * STEP_S
                   for now_s, _ in told.calls) for step in changes if step < 1990)


def test_who_asks_is_answered_though_nothing_has_changed():
    told = Told(takes=False)
    report = LoadReport(told)
    report.tell((), (), 1.0)
    assert told.calls == [(1.0, True)]
    report.ask(1.1)
    report.tell((), (), 1.1)
    assert told.calls[-1] == (1.1, True)
    assert report.due_s == pytest.approx(1.1 + MOST_SILENCE_S)


def test_without_anybody_to_tell_nothing_is_ever_due():
    report = LoadReport()
    report.changed(0.0)
    report.tell((), (), 100.0)
    assert report.due_s is None


def test_what_runs_and_what_waits_is_told_with_what_it_will_take():
    queue = types.SimpleNamespace(known_run_s=lambda frames: (0.1 * frames, True))
    job = types.SimpleNamespace(queue=queue, priority=2, left_s=lambda now_s: (0.5, 0.2),
                                urgent=types.SimpleNamespace(deadline_s=9.0))
    request = types.SimpleNamespace(instance=types.SimpleNamespace(queue=queue), priority=1,
                                    deadline_s=7.0, frames=3)
    loads = []
    LoadReport(lambda told, *_: loads.extend(told)).tell([job], [request], 1.0)
    started, waiting = loads
    assert started == Load(queue, 2, 9.0, 0.5, 0.2, True)
    assert waiting == Load(queue, 1, 7.0, pytest.approx(0.3), 0.0, False)
