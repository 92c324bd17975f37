"""The computed ideal: nothing missed without need."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from s3dnn_ros.bench.ideal import Job, jobs_of, missed_share
from s3dnn_ros.bench.load import Client

times_s = st.floats(0.001, 10.0)
speeds = st.floats(0.1, 10.0)


@st.composite
def jobs(draw):
    """Return any jobs, also hopeless ones."""
    return [Job(release_s, release_s + draw(times_s), draw(times_s))
            for release_s in draw(st.lists(st.floats(0.0, 30.0), max_size=20))]


@given(jobs(), speeds)
def test_a_share_is_between_none_and_all(jobs, speed):
    assert 0.0 <= missed_share(jobs, speed) <= 1.0


@given(st.lists(st.tuples(times_s, times_s, times_s), max_size=20))
def test_nothing_is_missed_if_nothing_overlaps(steps):
    now_s, apart = 0.0, []
    for alone_s, slack_s, gap_s in steps:
        apart.append(Job(now_s, now_s + alone_s + slack_s, alone_s))
        now_s += alone_s + gap_s
    assert missed_share(apart, 1.0) == 0.0


@given(jobs(), st.floats(1.0, 10.0))
def test_what_all_meet_they_meet_on_a_faster_device_too(jobs, faster):
    while missed_share(jobs, 1.0):
        jobs = [job._replace(deadline_s=job.deadline_s + 1.0) for job in jobs]
    assert missed_share(jobs, faster) == 0.0


@given(jobs(), speeds)
def test_no_more_work_is_in_time_than_there_is_time(jobs, speed):
    assume(jobs)
    met = round(len(jobs) * (1.0 - missed_share(jobs, speed)))
    least_s = sum(sorted(job.alone_s for job in jobs)[:met]) / speed
    assert least_s <= max(job.deadline_s for job in jobs) + 1e-6


@given(jobs())
def test_speed_does_not_end_a_job_before_its_own_time(jobs):
    hopeless = [job for job in jobs if job.release_s + job.alone_s > job.deadline_s + 1e-6]
    assert missed_share(jobs, 1e9) * len(jobs) >= len(hopeless) - 1e-6


@pytest.mark.parametrize(('speed', 'share'), [(1.0, 1 / 2), (1.9, 1 / 2), (2.0, 0.0)])
def test_two_at_once_need_twice_the_speed(speed, share):
    assert missed_share([Job(0.0, 1.0, 1.0), Job(0.0, 1.0, 1.0)], speed) == share


def test_the_urgent_one_interrupts():
    assert missed_share([Job(0.0, 10.0, 5.0), Job(1.0, 2.0, 1.0)], 1.0) == 0.0


def test_the_hopeless_takes_no_time_from_others():
    assert missed_share([Job(0.0, 3.0, 2.0), Job(0.0, 2.5, 2.0)], 1.0) == 1 / 2


def test_the_jobs_of_a_client():
    client = Client('a', 'net', deadline_s=0.5, period_s=1.0, phase_s=0.25)
    assert jobs_of([client], {'net': 0.1}, 2.25) == [Job(0.25, 0.75, 0.1), Job(1.25, 1.75, 0.1)]
