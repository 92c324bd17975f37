"""Several processes on one board: one decision, one owner, and nobody waits for a topic."""

import dataclasses
import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.cohort import (
    Cohort,
    Coordinator,
    Member,
    Membership,
    MemberState,
    ModelTables,
    SpeedupAccuracyTable,
    SpeedupPowerTable,
    needed_speedup,
)
from s3dnn_ros.cohort.caution import RISE
from s3dnn_ros.cohort.cohort import MOST_UNKNOWN_MODELS
from s3dnn_ros.cohort.rivals import Fixed, Uncoordinated

LEASE_S, DEADLINE_S = 1.0, 0.04
POWER = SpeedupPowerTable([1.0, 2.0, 4.0], [1.0, 3.0, 9.0])
ACCURACY = SpeedupAccuracyTable([1.0, 1.5, 3.0], [1.0, 0.9, 0.5])
TABLES = {'model': ModelTables((0.01, 0.03), (POWER, POWER), (ACCURACY, ACCURACY),
                               (0.08, 0.04, 0.02))}
# of a board with one configuration
SMALL = ModelTables((0.01,), (SpeedupPowerTable([1.0], [1.0]),), (ACCURACY,), (0.01,))


class FakeBoard:
    """A board that is set at once, if it is ours; `wanted` has what it was not set to before."""

    def __init__(self, configuration=1, is_ours=False):
        self.configuration = configuration
        self.is_ours = is_ours
        self.wanted = []

    def want(self, configuration):
        if self.is_ours and configuration != self.configuration:
            self.wanted.append(configuration)
            self.configuration = configuration


class Others:
    """The board as those see it who do not set it."""

    is_ours = False

    def __init__(self, board):
        self._board = board

    @property
    def configuration(self):
        return self._board.configuration

    def want(self, configuration):
        """Do nothing: it is not ours to set."""


class Board(FakeBoard):
    """Processes on one board, whose words reach all of them at once; the first sets it."""

    def __init__(self, names, mode='max_accuracy', configuration=1):
        super().__init__(configuration, is_ours=True)
        self.said = []
        self.now_s = 0.0
        self.cohorts = {
            name: Cohort(Membership('board', LEASE_S), Coordinator(mode), TABLES, name,
                         self if name == names[0] else Others(self), say=self.hear)
            for name in names}

    def hear(self, state):
        self.said.append(state)
        for cohort in self.cohorts.values():
            cohort.hear(state, self.now_s)

    def boundary(self, name, lag_s, segment=1, instance=None, variant=0):
        # a quarter of the plan lies behind segment 0
        elapsed_s = (0.0, DEADLINE_S / 4)[segment] - lag_s
        return self.cohorts[name].boundary(instance or f'net_{name}', 'model', segment, elapsed_s,
                                           DEADLINE_S, variant, 0.0)


def test_the_owner_sets_what_another_process_needs():
    board = Board(['owner', 'other'])
    board.boundary('other', -0.015)
    # 0.04 / 0.025 = 1.6 times faster than configuration 1
    assert board.wanted == [2]
    assert {cohort.configuration for cohort in board.cohorts.values()} == {2}


def test_only_changes_are_set():
    board = Board(['owner', 'other'])
    for _ in range(3):
        board.boundary('owner', 0.0)
        board.boundary('other', 0.0)
    assert board.wanted == []


def test_all_know_all_and_decide_the_same():
    board = Board(['owner', 'other', 'third'], 'balanced')
    for name, lag_s in (('owner', -0.01), ('other', 0.02), ('third', 0.0)):
        board.boundary(name, lag_s)
    members = [cohort.membership.members(0.0) for cohort in board.cohorts.values()]
    assert [state.instance for state in members[0]] == ['net_owner', 'net_other', 'net_third']
    assert members[0] == members[1] == members[2]


def test_instances_of_one_process_need_no_topic():
    cohort = Cohort(Membership('board', LEASE_S), Coordinator('min_energy'), TABLES, 'alone',
                    FakeBoard(2))
    cohort.boundary('ahead', 'model', 1, -0.02, DEADLINE_S, 0, 0.0)
    assert len(cohort.membership.members(0.0)) == 1
    # the one that is ahead would slow the device down; it is not ours to set
    assert cohort.boundary('behind', 'model', 1, 0.03, DEADLINE_S, 0, 0.0) == 2
    assert cohort.configuration == 2


def test_with_slack_nobody_is_behind_who_would_be_in_time():
    board = Board(['owner'])
    board.cohorts['owner'].horizon = 'slack'
    # far behind a plan that fills a deadline of three times the time, and still in time
    owner = board.cohorts['owner']
    assert owner.boundary('net', 'model', 0, 0.05, 3 * DEADLINE_S, 0, 0.0) == 0
    assert board.wanted == []
    # 20 ms are left for what takes 40 here
    assert owner.boundary('net', 'model', 0, 0.1, 3 * DEADLINE_S, 0, 0.0) == 0
    assert board.wanted == [2]


def test_a_need_is_that_of_the_configuration_in_which_it_was_told():
    board = Board(['owner', 'other'], 'max_accuracy')
    # 1.6 times faster than configuration 1
    board.boundary('other', -0.015)
    assert board.wanted == [2]
    # in the faster one that suffices, and so does the slower one to nobody but us
    board.boundary('owner', 0.01)
    assert board.wanted == [2]


def test_who_leaves_is_asked_no_more():
    board = Board(['owner', 'other'])
    board.boundary('other', -0.02)
    board.cohorts['other'].leave('net_other', 'model', 0.0)
    assert all(not cohort.membership.members(0.0) for cohort in board.cohorts.values())
    # so far ahead that half the speed will do
    board.boundary('owner', DEADLINE_S / 4 + 0.03)
    assert board.wanted == [2, 1]


def test_words_that_fit_no_table_are_left_out():
    board = Board(['owner', 'other'])
    board.boundary('other', -0.001)
    said = board.said[-1]
    owner = board.cohorts['owner']
    for sequence, changes in enumerate((
            {'model': 'another'}, {'segment': 2}, {'segment': -1}, {'variant': 3},
            {'configuration': 3}, {'configuration': -1}), 100):
        board.wanted.clear()
        owner.hear(dataclasses.replace(said, sequence=sequence, lag_s=-0.03, **changes), 0.0)
        assert board.wanted == []
        assert owner.membership.ignored == {'tables': sequence - 99}


class Listener(Fixed):
    """A rival that notes what it is told."""

    def __init__(self):
        super().__init__(1)
        self.heard = []

    def decide(self, members):
        self.heard.append([(one.instance, one.model, one.segment) for one in members])
        return super().decide(members)

    def ended(self, instance, late):
        self.heard.append((instance, late))


def test_a_rival_is_told_who_spoke_last_and_how_late_jobs_end():
    rival = Listener()
    cohort = Cohort(Membership('board', LEASE_S), rival, TABLES, 'one', FakeBoard(is_ours=True))
    for instance, segment in (('b', 0), ('a', 0), ('b', 1)):
        cohort.boundary(instance, 'model', segment, 0.01, DEADLINE_S, 0, 0.0)
    cohort.ended('b', -0.25)
    assert rival.heard == [[('b', 'model', 0)], [('b', 'model', 0), ('a', 'model', 0)],
                           [('a', 'model', 0), ('b', 'model', 1)], ('b', -0.25)]


@pytest.mark.parametrize('make', [Coordinator, Uncoordinated])
def test_a_segment_with_fewer_variants_than_the_one_before_takes_part(make):
    fewer = SpeedupAccuracyTable([1.0, 1.5], [1.0, 0.9])
    tables = {'model': dataclasses.replace(TABLES['model'], accuracy=(ACCURACY, fewer))}
    board = FakeBoard(is_ours=True)
    cohort = Cohort(Membership('board', LEASE_S), make(), tables, 'one', board)
    # far behind, though the segment that has ended ran in its fastest variant
    variant = cohort.boundary('net', 'model', 1, 0.06, DEADLINE_S, 2, 0.0)
    assert board.wanted == [2] and variant == 1
    assert cohort.membership.ignored == {}


def test_another_model_is_asked_for_once_and_counts_as_soon_as_it_is_known():
    asked, board = [], FakeBoard(0, is_ours=True)
    owner = Cohort(Membership('board', LEASE_S), Coordinator('max_accuracy'), TABLES, 'owner',
                   board, unknown=asked.append)
    late = MemberState('board', 'other', 'far', 'another', 1, 1, -0.03, DEADLINE_S, DEADLINE_S,
                       0, 0)
    for sequence in (1, 2):
        owner.hear(dataclasses.replace(late, sequence=sequence), 0.0)
    assert asked == ['another'] and board.wanted == []
    assert owner.membership.ignored == {'tables': 2}
    owner.know('another', TABLES['model'])
    # its last word counts, too
    owner.boundary('near', 'model', 1, 0.0, DEADLINE_S, 0, 0.0)
    assert board.wanted == [2]
    with pytest.raises(ValueError, match=r"'small' and others have \[1, 3\] configurations"):
        owner.know('small', SMALL)


def test_who_forges_models_does_not_keep_us_looking():
    asked = []
    cohort = Cohort(Membership('board', LEASE_S), Coordinator(), TABLES, 'one', FakeBoard(0),
                    unknown=asked.append)
    for number in range(1000):
        cohort.hear(MemberState('board', 'forger', 'far', f'model {number}', number + 1, 0, 0.0,
                                DEADLINE_S, DEADLINE_S, 0, 0), 0.0)
    assert len(asked) == MOST_UNKNOWN_MODELS


def test_a_forged_word_of_another_board_changes_nothing():
    board = Board(['owner', 'other'])
    board.boundary('other', 0.0)
    forged = dataclasses.replace(board.said[-1], board='another', sequence=9, lag_s=-0.03)
    board.cohorts['owner'].hear(forged, 0.0)
    assert board.wanted == [] and board.cohorts['other'].configuration == 1
    assert board.cohorts['owner'].membership.ignored == {'board': 1}


@pytest.mark.parametrize('lag_s', [math.nan, -math.inf])
def test_an_absurd_lag_of_our_own_stops_nothing(lag_s):
    board = Board(['owner'])
    assert board.boundary('owner', lag_s) == 0
    assert board.cohorts['owner'].membership.ignored == {'number': 1}


def test_the_horizon_is_that_of_the_segment():
    def standing_s(segment, kind, configuration=1, elapsed_s=0.012):
        return TABLES['model'].standing_s(segment, DEADLINE_S, elapsed_s, kind, configuration)

    # 12 ms after the arrival, a quarter of the work of 40 ms done
    for kind, horizon_s in (('deadline', DEADLINE_S), ('remaining', 0.03), ('next', 0.03)):
        assert standing_s(1, kind) == pytest.approx((-0.002, horizon_s))
    # who has only waited has nothing behind it to be late with
    assert standing_s(0, 'next', 2) == pytest.approx((0.0, 0.01))
    assert standing_s(0, 'deadline') == pytest.approx((0.0, DEADLINE_S))
    # what is left takes 30 ms as profiled, and half of that in the fastest configuration
    assert standing_s(1, 'slack') == pytest.approx((-0.002, 0.03))
    assert standing_s(1, 'slack', configuration=2) == pytest.approx((0.013, 0.015))
    with pytest.raises(ValueError, match='remaining'):
        Cohort(Membership('board', LEASE_S), Coordinator(), TABLES, 'x', FakeBoard(),
               horizon='tomorrow')


@pytest.mark.parametrize('margin, lag_s, horizon_s', [
    # 5 ms behind its plan, which is to be made up for in the whole deadline
    (None, -0.005, DEADLINE_S),
    # 25 ms are left for what takes 30 here
    (0.0, -0.005, 0.03),
    # 5 % of the deadline are another 2 ms
    (0.05, -0.007, 0.03)])
def test_who_cannot_be_in_time_as_it_is_asks_for_what_it_needs(margin, lag_s, horizon_s):
    said = []
    cohort = Cohort(Membership('board', LEASE_S), Coordinator(), TABLES, 'alone', FakeBoard(),
                    say=said.append, margin=margin)
    cohort.boundary('net', 'model', 1, 0.015, DEADLINE_S, 0, 0.0)
    assert (said[-1].lag_s, said[-1].horizon_s) == pytest.approx((lag_s, horizon_s))


def test_what_others_usually_ask_for_is_reserved():
    board = Board(['owner', 'other'], 'min_energy')
    owner = board.cohorts['owner']
    owner.margin = 0.0
    for board.now_s in (0.0, 0.1, 0.2):
        # 20 ms of every 100, as fast as it goes
        board.cohorts['other'].boundary('net_other', 'model', 0, 0.0, DEADLINE_S, 0, board.now_s)
        board.cohorts['other'].leave('net_other', 'model', board.now_s)
    owner.boundary('net', 'model', 1, 0.005, DEADLINE_S, 0, board.now_s)
    # of 35 ms a fifth is another's
    assert (board.said[-1].lag_s, board.said[-1].horizon_s) == pytest.approx((-0.002, 0.03))


@pytest.mark.parametrize('names', [('one', 'one'), ('one', 'other')],
                         ids=['own', 'by topic'])
@pytest.mark.parametrize('segments', [(0,), (0, 1)])
def test_a_job_is_one_request_however_many_segments_it_has(names, segments):
    board = Board(['one', 'other'], 'min_energy')
    ours, theirs = (board.cohorts[name] for name in names)
    ours.margin = 0.0
    for arrived_s in (0.0, 0.1, 0.2):
        for segment in segments:
            board.now_s = arrived_s + 0.005 * segment
            theirs.boundary('theirs', 'model', segment, 0.0, DEADLINE_S, 0, board.now_s)
        theirs.leave('theirs', 'model', board.now_s)
    ours.boundary('ours', 'model', 1, 0.005, DEADLINE_S, 0, board.now_s)
    # it comes every 100 ms for 20 of them: a fifth of 35 ms is another's
    assert board.said[-1].lag_s == pytest.approx(-0.002)


@pytest.mark.parametrize('margin, elapsed_s', [(0.0, 0.015), (0.1, 0.015), (0.0, 0.035)],
                         ids=['as it is', 'careful', 'nothing is fast enough any more'])
def test_what_remains_takes_its_overhead_besides(margin, elapsed_s):
    said = []
    cohort = Cohort(Membership('board', LEASE_S), Coordinator(), TABLES, 'alone', FakeBoard(),
                    say=said.append, margin=margin)
    for overhead_s in (0.0, 0.002):
        cohort.boundary('net', 'model', 1, elapsed_s, DEADLINE_S, 0, 0.0, overhead_s)
    assert said[0].lag_s - said[1].lag_s == pytest.approx(0.002)


def test_who_was_late_keeps_more_free():
    board = Board(['owner'])
    owner = board.cohorts['owner']
    owner.ended('net', 0.15 - RISE)
    # 6 ms of the 28 that are left for what takes 30; by the plan alone it is 2 ms behind
    for owner.margin, lag_s in ((0.0, -0.008), (None, -0.002)):
        owner.boundary('net', 'model', 1, 0.012, DEADLINE_S, 0, 0.0)
        assert board.said[-1].lag_s == pytest.approx(lag_s)


@pytest.mark.parametrize('elapsed_s, needed', [(0.012, 2.0), (0.032, 30 / 8)])
def test_for_what_may_come_nobody_approximates(elapsed_s, needed):
    # a whole deadline of margin: only the device can hurry for it
    tables = TABLES['model']
    lag_s, horizon_s = tables.pressed_s(1, DEADLINE_S - elapsed_s, -1.0, 1)
    assert needed_speedup(lag_s, horizon_s) == pytest.approx(needed)
    member = Member('net', lag_s, DEADLINE_S, POWER, ACCURACY, 1, horizon_s)
    decision = Coordinator('max_accuracy').decide([member])
    assert decision.configuration == 2
    assert (decision.variants['net'] > 0) == (needed > 2.0)


def test_times_scale_with_the_configuration():
    assert TABLES['model'].scale(1) == 1.0
    assert TABLES['model'].scale(0) == 2.0
    assert TABLES['model'].scale(2) == 0.5


def test_what_a_network_takes_at_least_is_known():
    tables = TABLES['model']
    assert tables.least_s == 0.02
    assert tables.least == pytest.approx((0.5 / 3.0, 0.5 / 3.0))


def test_tables_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match='times of 2 segments, power of 1'):
        ModelTables((0.01, 0.02), (POWER,), (ACCURACY, ACCURACY), (0.03,) * 3)
    tables = {**TABLES, 'small': SMALL}
    with pytest.raises(ValueError, match=r'\[1, 3\] configurations'):
        Cohort(Membership('board', LEASE_S), Coordinator(), tables, 'x', FakeBoard())


def test_words_come_in_while_decisions_are_made():
    board = Board(['owner', 'other'])
    failures = []

    def live(name):
        try:
            for turn in range(300):
                board.boundary(name, 0.001 * (turn % 20 - 10))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=live, args=(name,)) for name in board.cohorts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert not failures and not any(thread.is_alive() for thread in threads)


@given(st.lists(st.tuples(st.floats(0.001, 0.1), st.lists(st.floats(1.0, 9.0), min_size=3,
                                                          max_size=3)), min_size=1, max_size=5),
       st.lists(st.floats(1.0, 9.0), min_size=3, max_size=3))
def test_tables_by_network_are_those_of_a_network_in_one_segment(segments, powerup):
    """Every segment has its time and speed-ups; all draw the same in a configuration."""
    speedups = [[each / min(given) for each in given] for _, given in segments]
    power = [SpeedupPowerTable(speedup, powerup) for speedup in speedups]
    network_s = [sum(time_s * max(speedup) / speedup[row]
                     for (time_s, _), speedup in zip(segments, speedups)) for row in range(3)]
    tables = ModelTables(tuple(time_s for time_s, _ in segments), tuple(power),
                         (ACCURACY,) * len(segments), tuple(network_s))
    for table in tables.by_network.power:
        for row in range(3):
            assert table.speedup[row] == pytest.approx(max(network_s) / network_s[row])
            assert table.powerup[row] == pytest.approx(powerup[row] / min(powerup))
    assert tables.by_network.accuracy is tables.accuracy


def test_by_network_what_a_segment_gains_alone_counts_for_nothing():
    # the next segment gains nothing from speed, the rest of the network does
    flat = SpeedupPowerTable([1.0, 1.0, 1.0], [1.0, 3.0, 9.0])
    tables = ModelTables((0.01, 0.03), (flat, POWER), (ACCURACY, ACCURACY), (0.13, 0.07, 0.04))
    wanted = {}
    for by_network in (False, True):
        board = FakeBoard(configuration=0, is_ours=True)
        cohort = Cohort(Membership('board', LEASE_S), Coordinator('max_accuracy'),
                        {'model': tables}, 'here', board, margin=0.0, by_network=by_network)
        cohort.boundary('net', 'model', 0, 0.0, 0.08, 0, 0.0)
        wanted[by_network] = board.configuration
    assert wanted[False] == 0 < wanted[True]
