"""When the engine is asked what has ended."""

import hypothesis.strategies as st
import pytest
from core_bench import NOW_S, Chosen, CoreBench
from hypothesis import given

from s3dnn_ros.runtime.events import ConfigurationChanged
from s3dnn_ros.runtime.segment_ends import EARLIEST_END

POLL_S = 1e-3


class Looked:
    """Ends a segment so long after its start, when it is looked for, and keeps when that was."""

    def __init__(self, core, takes_s):
        self.at_s = []              # after the start
        self._core, self._takes_s = core, takes_s
        core.engine.poll = self

    def __call__(self):
        (step,) = self._core.engine.running_now()
        at_s = self._core.clock.now_s() - step.started_s
        if at_s not in self.at_s:       # an event is another reason to look
            self.at_s.append(at_s)
        if at_s >= self._takes_s:
            self._core.engine.end(step)


@given(part=st.floats(0.0, 3.0), poll_s=st.floats(1e-4, 0.2))
def test_nothing_is_looked_for_long_before_its_expected_end_and_then_often(
        make_batch, make_frame, make_profile, part, poll_s):
    network = {'profile': make_profile(0.1, 0.0)}
    core = CoreBench(make_batch, make_frame, {'net': network}, 'edf', {'poll_s': poll_s})
    looked = Looked(core, 0.1 * part)
    core.admit()
    core.let_pass(1.0)
    assert not core.next_job().error
    first_s, *then_s = looked.at_s
    assert first_s == 0.0
    for before_s, at_s in zip(looked.at_s, then_s):
        # from the earliest end on as often as wanted
        assert at_s == pytest.approx(max(before_s + poll_s, EARLIEST_END * 0.1))
    if part >= EARLIEST_END:
        assert looked.at_s[-1] - 0.1 * part <= poll_s + 1e-9


def test_what_ends_first_says_when_to_look(bench, make_profile):
    core = bench({'net': {'profile': make_profile(0.1, 0.0)},
                  'other': {'profile': make_profile(0.04, 0.0)}},
                 scheduler='streams', device={'poll_s': POLL_S})
    looks_s = []
    core.engine.poll = lambda: looks_s.append(core.clock.now_s() - NOW_S)
    core.admit()
    core.admit(instance='other')
    core.let_pass(0.04)
    assert next(at_s for at_s in looks_s if at_s) == pytest.approx(EARLIEST_END * 0.04)
    core.end('other')
    looks_s.clear()
    core.let_pass(0.06)
    assert next(at_s for at_s in looks_s if at_s > 0.041) == pytest.approx(EARLIEST_END * 0.1)


def test_the_segment_behind_is_looked_for_by_its_own_time(leading):
    core = leading(poll_s=POLL_S)
    looks_s = []
    core.engine.poll = lambda: looks_s.append(core.clock.now_s() - NOW_S)
    core.admit()
    core.let_pass(0.1)
    assert len(core.on_their_way()) == 2
    core.end()
    looks_s.clear()
    core.let_pass(0.2)
    looks_s = [at_s for at_s in looks_s if at_s > 0.101]
    # the moment to submit the next one is another reason to look, at its expected end - LEAD_S
    assert looks_s[0] == pytest.approx(0.19)
    gaps_s = [after - before for before, after in zip(looks_s, looks_s[1:]) if before >= 0.2]
    assert gaps_s == pytest.approx([POLL_S] * len(gaps_s))
    assert len(gaps_s) > 90


def test_it_is_looked_for_by_the_configuration_in_which_it_was_submitted(bench, make_profile):
    scale = [10.0]

    class Hurrying(Chosen):
        def choose(self, job, segment, now_s):
            scale[0] = 1.0

    core = bench({'net': {'profile': make_profile(0.1, 0.0), 'scale': lambda: scale[0]}},
                 device={'poll_s': POLL_S}, chooser=Hurrying())
    looks_s = []
    core.engine.poll = lambda: looks_s.append(core.clock.now_s() - NOW_S)
    core.admit()
    core.let_pass(0.1)
    assert next(at_s for at_s in looks_s if at_s) == pytest.approx(EARLIEST_END * 0.1)


def test_what_a_faster_device_ends_earlier_is_looked_for_earlier(bench, make_profile):
    scale = [10.0]
    core = bench({'net': {'profile': make_profile(0.1, 0.0), 'scale': lambda: scale[0]}},
                 device={'poll_s': POLL_S})
    looks_s = []
    core.engine.poll = lambda: looks_s.append(core.clock.now_s() - NOW_S)
    core.admit()
    core.let_pass(0.05)
    for now, until_s in ((1.0, 0.1), (10.0, 0.2)):
        # slower again, it is looked for all the same: it may have ended by now
        scale[0] = now
        core.post(ConfigurationChanged())
        looks_s.clear()
        core.let_pass(until_s - (core.clock.now_s() - NOW_S))
        assert any(at_s > EARLIEST_END * 0.1 - 1e-9 for at_s in looks_s)
    assert core.engine.finish() is not None


@pytest.mark.parametrize('poll_s', [None, POLL_S])
def test_nothing_is_looked_for_while_nothing_runs_or_if_nobody_wants_it(leading, poll_s):
    core = leading(segments=1, poll_s=poll_s)
    looks_s = []
    core.engine.poll = lambda: looks_s.append(core.clock.now_s() - NOW_S)
    core.let_pass(1.0)
    assert not looks_s
    core.admit()
    core.let_pass(1.0)
    assert bool(looks_s) == (poll_s is not None)
    core.end()
    core.next_job()
    looks_s.clear()
    core.let_pass(1.0)
    assert not looks_s
