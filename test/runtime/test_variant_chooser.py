"""A job's boundaries become the cohort's, and its decision becomes the job's variant."""

import math
import types

import pytest

from s3dnn_ros.cohort import (
    Cohort,
    Coordinator,
    Membership,
    ModelTables,
    SpeedupAccuracyTable,
    SpeedupPowerTable,
)
from s3dnn_ros.cohort.caution import RISE
from s3dnn_ros.runtime.board_control import BoardControl
from s3dnn_ros.runtime.job import Choice
from s3dnn_ros.runtime.variant_chooser import EXACT, Boundary, CohortChooser

POWER = SpeedupPowerTable([1.0, 2.0], [1.0, 3.0])
ACCURACY = SpeedupAccuracyTable([1.0, 1.5, 3.0], [1.0, 0.9, 0.5])
TABLES = {'model': ModelTables((0.01, 0.03), (POWER, POWER), (ACCURACY, ACCURACY),
                               (0.08, 0.04))}


def make_job(arrived_s=10.0, deadline_s=10.04, model='model', variants=(), overhead_s=0.0):
    request = types.SimpleNamespace(
        number=7, arrived_s=arrived_s, deadline_s=deadline_s,
        instance=types.SimpleNamespace(name='net', spec=types.SimpleNamespace(name=model)))
    expect = types.SimpleNamespace(overhead_s=lambda segment: overhead_s)
    return types.SimpleNamespace(
        urgent=request, variant=lambda segment: dict(enumerate(variants)).get(segment, 0),
        queue=types.SimpleNamespace(expect=expect))


@pytest.fixture
def said():
    return []


@pytest.fixture
def cohort(said):
    return Cohort(Membership('board', 1.0), Coordinator('min_energy'), TABLES, 'process',
                  BoardControl(1), say=said.append)


def test_the_cohort_is_told_the_lag_since_the_arrival(cohort, said):
    chooser = CohortChooser(cohort, TABLES)
    chooser.choose(make_job(), 0, 10.002)
    chooser.choose(make_job(variants=[2]), 1, 10.009)
    before, after = said
    assert (before.instance, before.model) == ('net', 'model')
    assert (before.segment, before.variant) == (0, 0)
    assert (before.lag_s, before.deadline_s) == (0.0, pytest.approx(0.04))
    # a quarter of the work is done, and a quarter of the deadline less 1 ms has passed
    assert (after.segment, after.variant, after.lag_s) == (1, 2, pytest.approx(0.001))


def test_the_newest_boundaries_are_kept(cohort, said):
    chooser = CohortChooser(cohort, TABLES, kept=2)
    variants = [chooser.choose(make_job(), 1, now_s).variant for now_s in (10.0, 10.01, 11.0)]
    assert list(chooser.boundaries) == [
        Boundary(now_s, 7, 'net', 1, state.lag_s, 1, variant) for now_s, state, variant in
        zip((10.01, 11.0), said[1:], variants[1:])]
    assert variants[1] != variants[2]


def test_who_is_late_on_a_device_that_gives_no_more_approximates(cohort):
    chooser = CohortChooser(cohort, TABLES)
    assert chooser.choose(make_job(), 1, 10.01) == Choice(0, 1.0)
    # 12 ms behind: 0.04 / 0.028 = 1.43 times faster than now, at the fastest configuration
    assert chooser.choose(make_job(), 1, 10.022) == Choice(1, pytest.approx(1 / 1.5))
    assert chooser.choose(make_job(), 1, 11.0) == Choice(2, pytest.approx(1 / 3.0))


def test_what_is_lost_besides_the_profile_counts(cohort, said):
    cohort.margin = 0.0
    chooser = CohortChooser(cohort, TABLES)
    # 32 ms are left for what takes 30
    assert chooser.choose(make_job(), 1, 10.008) == Choice(0, 1.0)
    slower = make_job(overhead_s=0.004)
    assert chooser.choose(slower, 1, 10.008) == Choice(1, pytest.approx(1 / 1.5))
    assert (said[-1].lag_s, said[-1].horizon_s) == pytest.approx((-0.002, 0.03))


def test_it_tells_what_is_made_of_profiled_times(cohort):
    chooser = CohortChooser(cohort, TABLES)
    assert chooser.scale('model') == 1.0
    cohort.board.was_set(0)
    assert chooser.scale('model') == 2.0
    # in the fastest configuration and variant
    assert chooser.least('model') == pytest.approx((1 / 3, 1 / 3))
    assert chooser.scale('another') == 1.0 and not chooser.least('another')


def test_who_ended_has_left(cohort, said):
    chooser = CohortChooser(cohort, TABLES)
    chooser.choose(make_job(), 0, 10.0)
    chooser.ended(make_job(), 10.03)
    assert said[-1].leaves and said[-1].instance == 'net'
    assert cohort.membership.members(10.03) == ()


def test_who_was_late_keeps_more_of_its_next_deadline_free(cohort, said):
    cohort.margin = 0.0
    cohort.board.was_set(0)
    chooser = CohortChooser(cohort, TABLES)
    # 80 ms, as the device is set, of 100
    for ended_s, lag_s in ((10.09, 0.0), (10.13 - 0.1 * RISE, -0.01)):
        chooser.choose(make_job(deadline_s=10.1), 0, 10.0)
        chooser.ended(make_job(deadline_s=10.1), ended_s)
        chooser.choose(make_job(deadline_s=10.1), 0, 10.0)
        assert said[-1].lag_s == pytest.approx(lag_s)


def test_who_has_another_job_stays(cohort, said):
    chooser = CohortChooser(cohort, TABLES)
    chooser.choose(make_job(), 0, 10.0)
    chooser.choose(make_job(), 0, 10.001)
    chooser.choose(make_job(), 1, 10.002)
    chooser.ended(make_job(), 10.03)
    assert len(cohort.membership.members(10.03)) == 1
    chooser.ended(make_job(), 10.031)
    assert said[-1].leaves and cohort.membership.members(10.031) == ()


@pytest.mark.parametrize('job', [
    make_job(model='another'), make_job(deadline_s=math.inf), make_job(deadline_s=9.0)])
def test_who_has_no_tables_or_no_deadline_runs_exact_and_takes_no_part(cohort, said, job):
    assert CohortChooser(cohort, TABLES).choose(job, 0, 10.0) is None
    assert not said


def test_without_a_cohort_everything_is_exact():
    assert EXACT.choose(make_job(), 0, 10.0) is None
    assert EXACT.scale('model') == 1.0 and not EXACT.least('model')
    EXACT.ended(make_job(), 10.0)
