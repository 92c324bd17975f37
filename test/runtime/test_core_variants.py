"""A device that is configured otherwise meanwhile, and variants of segments."""

import pytest
from core_bench import NOW_S, Chosen

from s3dnn_ros.runtime.job import Choice


def test_the_scheduler_is_told_what_segments_take_now(bench, make_profile):
    scale = [2.0]
    core = bench({'net': {'segments': 3, 'profile': make_profile(0.3, 0.0, 3),
                          'scale': lambda: scale[0]}}, scheduler='edf')
    core.admit()
    works = core.announced()
    scale[0] = 1.0
    for _ in range(3):
        core.engine.finish(took_s=0.1)
    core.next_job()
    works += core.announced(2)
    assert [work.segment for work in works] == [0, 1, 2]
    assert [work.remaining_s for work in works] == pytest.approx([0.6, 0.2, 0.1])


@pytest.mark.parametrize('least, hope', [(lambda: (1.0, 0.5, 0.5), True), (tuple, False)])
def test_nothing_is_given_up_that_could_be_hurried(bench, make_profile, least, hope):
    core = bench({'net': {'segments': 3, 'profile': make_profile(0.3, 0.0, 3),
                          'scale': lambda: 2.0, 'least': least}}, scheduler='edf',
                 late_policy='drop')
    # as it is configured, it takes 0.6 s
    core.admit(1, deadline_s=NOW_S + 0.35)
    core.engine.finish(took_s=0.2)
    if hope:
        for _ in range(2):
            core.engine.finish(took_s=0.05)
        assert not core.next_job().error
    else:
        assert core.next_drop()[1] == 'late'


# variants

def test_every_segment_runs_in_the_variant_that_was_chosen_for_it(bench, make_profile):
    chooser = Chosen(Choice(1, 0.5), None, Choice(2, 0.25))
    core = bench({'net': {'segments': 3, 'variants': 3, 'profile': make_profile(0.0, 1.2, 3)}},
                 scheduler='edf', chooser=chooser)
    core.admit()
    for segment, variant in enumerate((1, 0, 2)):
        assert core.engine.running()[0].variant == variant
        # the next one's is chosen at its own boundary
        assert chooser.asked == list(range(segment + 1))
        core.engine.finish()
    job = core.next_job()
    assert not job.error and chooser.left.pop() is job
    assert [job.variant(segment) for segment in range(3)] == [1, 0, 2]


def test_a_segment_that_ran_exact_all_the_same_is_told_as_exact(bench, make_profile):
    chooser = Chosen(Choice(1, 0.5), Choice(2, 0.25), None)
    core = bench({'net': {'segments': 3, 'variants': 3, 'profile': make_profile(0.0, 1.2, 3)}},
                 scheduler='edf', chooser=chooser)
    core.admit()
    core.engine.finish()
    core.engine.finish(took_s=0.4, exact=True)
    core.engine.finish()
    job = core.next_job()
    assert not job.error and job.ran_as() == (1, 0)
    # and what it took is what an exact one takes
    assert job.time_factors(0, 2) == [0.5, 1.0, 1.0]


def test_the_scheduler_is_told_what_a_variant_will_take(bench, make_profile):
    core = bench({'net': {'segments': 3, 'variants': 3, 'profile': make_profile(0.0, 1.2, 3)}},
                 scheduler='edf', chooser=Chosen(Choice(1, 0.5), None, Choice(2, 0.25)))
    core.admit()
    for _ in range(3):
        core.engine.finish()
    core.next_job()
    works = core.announced(3)
    assert [work.time_s for work in works] == pytest.approx([0.4, 0.4, 0.1])
    assert [work.remaining_s for work in works] == pytest.approx([1.2, 0.8, 0.1])
    assert core.watched.completed == works


def test_what_waits_is_in_no_cohort(bench):
    chooser = Chosen(Choice(0, 1.0))
    core = bench(chooser=chooser, max_queue=1)
    core.admit(0)
    core.engine.running()
    core.admit(1)
    dropped = core.admit(2)
    assert core.next_drop()[0] is not dropped
    assert chooser.asked == [0] and not chooser.left
    core.finish()
    core.finish()
    assert chooser.asked == [0, 0] and len(chooser.left) == 2


@pytest.mark.parametrize('segment', [0, 1])
def test_a_choice_that_fails_costs_its_job_only(bench, segment):
    choices = [Choice(0, 1.0), Choice(0, 1.0)]
    choices[segment] = ValueError('no table')
    chooser = Chosen(*choices)
    core = bench({'net': {'segments': 2}}, scheduler='edf', chooser=chooser)
    core.admit()
    if segment:
        core.engine.finish()
    assert core.next_job().error == 'no table'
    chooser.choices = (None, None)
    core.admit()
    core.engine.finish()
    core.engine.finish()
    assert not core.next_job().error


def test_whole_networks_choose_once(bench):
    chooser = Chosen(Choice(1, 0.5), Choice(1, 0.5))
    core = bench({'net': {'segments': 2, 'variants': 2}}, chooser=chooser)
    core.admit()
    core.engine.running()
    assert [step.variant for step in core.engine.submitted()] == [1, 0]
    core.engine.finish()
    core.engine.finish()
    core.next_job()
    assert chooser.asked == [0]
