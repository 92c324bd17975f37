"""Profiles become the cohort's tables, and who owns the board sets it."""

import dataclasses
import time
import types

import pytest

from s3dnn_ros.cohort import MemberState
from s3dnn_ros.errors import ProfileError
from s3dnn_ros.profiling.table import ConfigurationRow, ProfileRow, ProfileTable
from s3dnn_ros.runtime.cohort_client import NOBODYS, BoardContext, CohortClient
from s3dnn_ros.settings import ExecutorSettings
from s3dnn_ros.settings.board import BoardSettings
from s3dnn_ros.settings.cohort import CohortSettings

WAIT_S = 30.0
# half and full speed, at one and four watts
ROWS = (ConfigurationRow('slow', 1000.0, (20.0, 60.0)),
        ConfigurationRow('fast', 4000.0, (10.0, 30.0)))


def profile(configurations=ROWS):
    rows = tuple(ProfileRow(segment, 1, time_ms, time_ms, time_ms, 1.0)
                 for segment, time_ms in enumerate((10.0, 30.0)))
    return ProfileTable('model', '', 'fake', 'none', 'default', {}, rows, (('x',),),
                        configurations)


class FakePlatform:
    transitions, transition_s = 0, 0.0

    def __init__(self, names=('slow', 'fast'), immediate=False):
        self.immediate = immediate
        self.configurations = [types.SimpleNamespace(index=index, name=name)
                               for index, name in enumerate(names)]
        self.set = []
        self.closed = False

    def apply(self, index):
        self.set.append(index)

    def close(self):
        self.closed = True


def settings(platform='none', **cohort):
    """Return the settings of an executor in a cohort."""
    return ExecutorSettings(
        cohort=CohortSettings(enabled=True, **{'mode': 'min_energy', **cohort}),
        board=BoardSettings(platform=platform))


@pytest.fixture
def heard():
    return []


@pytest.fixture
def join(heard):
    """Return a builder of clients; they are closed at the end."""
    made = []

    def build(board=None, profiles=None, around=(), models=(), find=None,
              **changes):
        made.append(CohortClient(
            settings(**changes), {'model': profile()} if profiles is None else profiles,
            {}, BoardContext('board', 'process', board, **dict(around)),
            lambda: heard.append(made and made[-1].configuration), models, find,
            lambda function, *arguments: function(*arguments)))
        return made[-1]

    yield build
    for cohort_client in made:
        cohort_client.close()


def wait_for(condition):
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.001)


def test_a_board_that_nobody_sets_has_one_configuration(join):
    cohort_client = join()
    assert cohort_client.configuration == '' and cohort_client.chooser.scale('model') == 1.0
    cohort = cohort_client.cohort
    for elapsed_s in (0.0, 0.04):
        assert cohort.boundary('net', 'model', 1, elapsed_s, 0.04, 0, 0.0) == 0
    assert cohort.configuration == 0


def test_the_owner_begins_with_the_fastest_and_sets_what_is_decided(join):
    platform, applied = FakePlatform(), []
    cohort_client = join(platform, platform='jetson', around={'applied': applied.append})
    wait_for(lambda: platform.set == [1])
    assert cohort_client.configuration == 'fast' and cohort_client.chooser.scale('model') == 1.0
    # so far ahead that half the speed will do
    cohort_client.cohort.boundary('net', 'model', 1, -0.03, 0.04, 0, 0.0)
    wait_for(lambda: cohort_client.configuration == 'slow')
    assert platform.set == [1, 0] and cohort_client.chooser.scale('model') == 2.0
    wait_for(lambda: [one.name for one in applied] == ['fast', 'slow'])
    cohort_client.close()
    assert platform.closed and applied[-1] is NOBODYS


@pytest.mark.parametrize('immediate', [False, True])
def test_it_is_said_that_what_runs_takes_another_time(join, heard, immediate):
    platform = FakePlatform(immediate=immediate)
    cohort_client = join(platform, platform='jetson')
    wait_for(lambda: platform.set == [1])
    cohort_client.cohort.boundary('net', 'model', 1, -0.03, 0.04, 0, 0.0)
    wait_for(lambda: cohort_client.configuration == 'slow')
    # a partition is another for what is submitted next
    wait_for(lambda: heard[-1:] == ([] if immediate else ['slow']))


def test_a_follower_goes_by_what_it_is_told(join):
    cohort_client = join(platform='follow')
    assert cohort_client.configuration == 'fast'
    cohort_client.configuration_set('board', 0, 'slow')
    assert cohort_client.configuration == 'slow' and cohort_client.chooser.scale('model') == 2.0
    cohort_client.configuration_set('board', 0, '')       # the owner has given it back
    assert cohort_client.configuration == 'fast'


@pytest.mark.parametrize('configuration, name', [(7, 'fast'), (0, 'medium'), (1, 'slow')])
def test_a_follower_does_not_go_by_what_it_calls_otherwise(join, configuration, name, said):
    cohort_client = join(platform='follow')
    for _ in range(2):
        cohort_client.configuration_set('board', configuration, name)
    cohort_client.configuration_set('another board', configuration, name)
    assert cohort_client.configuration == 'fast'
    assert len(said) == 1 and f"configuration {configuration}, '{name}'" in said[0]


def hear(cohort_client, model, sequence=1, segment=1, configuration=1):
    cohort_client.cohort.hear(MemberState('board', 'another', 'far', model, sequence, segment,
                                          -0.03, 0.04, 0.04, configuration, 0), 0.0)


def test_a_model_of_another_process_is_looked_up_and_heeded(join):
    platform = FakePlatform()
    cohort_client = join(platform, platform='jetson', find=lambda model: (profile(), []))
    cohort_client.cohort.boundary('net', 'model', 1, -0.03, 0.04, 0, 0.0)
    wait_for(lambda: cohort_client.configuration == 'slow')
    for sequence in (1, 2):
        hear(cohort_client, 'theirs', sequence, configuration=0)
    wait_for(lambda: cohort_client.configuration == 'fast')
    assert cohort_client.cohort.membership.ignored == {'tables': 1}


def nothing(model):
    raise ProfileError(f'profile of {model}', 'is not here')


@pytest.mark.parametrize('find, words', [
    (nothing, 'is not here'), (lambda model: (profile(ROWS[:1]), []), 'has 1 configurations'),
    (lambda model: (profile(()), []), 'has 0 configurations;'),
    (lambda model: (profile(), [None]), 'accuracy of 1')])
def test_a_model_that_cannot_be_looked_up_is_told_once_and_left_out(join, find, words, said):
    cohort_client = join(platform='follow', find=find)
    for sequence in (1, 2, 3):
        hear(cohort_client, 'theirs', sequence)
    assert len(said) == 1 and "'theirs', which are left out" in said[0] and words in said[0]
    assert cohort_client.cohort.membership.ignored == {'tables': 3}


@pytest.mark.parametrize('platform', ['jetson', 'follow'])
def test_a_board_is_not_set_over_the_head_of_a_model_without_profile(join, platform):
    board = FakePlatform() if platform == 'jetson' else None
    with pytest.raises(ProfileError, match=r"'other': is not here.*s3dnn profile other"):
        join(board, platform=platform, models=['model', 'other'])
    assert board is None or not board.set
    assert join(models=['model', 'other']).configuration == ''


@pytest.mark.parametrize('configurations, names, said', [
    ((), ('slow', 'fast'), 'has no configurations'), (ROWS, ('slow', 'faster'), 'platform_knobs'),
    (ROWS, ('slow',), 'the board has 1')])
def test_a_profile_of_another_board_is_refused(join, configurations, names, said):
    with pytest.raises(ProfileError, match=said):
        join(FakePlatform(names), {'model': profile(configurations)}, platform='jetson')


def test_settings_change_while_it_runs(join):
    cohort_client = join()
    cohort_client.configure(settings(mode='max_accuracy', threshold=0.3,
                                     horizon='next', margin=0.2))
    cohort = cohort_client.cohort
    assert (cohort.coordinator.mode, cohort.coordinator.threshold, cohort.horizon,
            cohort.margin) == ('max_accuracy', 0.3, 'next', 0.2)
    cohort_client.configure(settings(margin=-1.0))
    assert cohort.coordinator.threshold is None and cohort.margin is None


def test_the_cohort_may_choose_by_whole_networks(join):
    # the first segment gains nothing, the second all
    rows = (ConfigurationRow('slow', 1000.0, (10.0, 60.0)),
            ConfigurationRow('fast', 4000.0, (10.0, 30.0)))
    gained = {tables: [table.most for table in join(
        platform='follow', profiles={'model': profile(rows)}, tables=tables
    ).cohort._tables['model'].power] for tables in ('segment', 'network')}
    assert gained == {'segment': pytest.approx([1.0, 2.0]),
                      'network': pytest.approx([1.75, 1.75])}


def test_models_without_a_profile_take_no_part(join):
    cohort_client = join(profiles={})
    assert cohort_client.chooser.scale('model') == 1.0
    job = types.SimpleNamespace(urgent=types.SimpleNamespace(
        arrived_s=0.0, deadline_s=1.0, instance=types.SimpleNamespace(
            name='net', spec=types.SimpleNamespace(name='model'))), variant=lambda segment: 0)
    assert cohort_client.chooser.choose(job, 0, 0.1) is None


def test_the_board_context_is_nothing_by_default():
    alone = BoardContext()
    assert alone.platform is None and dataclasses.is_dataclass(alone)
    assert alone.say(None) is None and alone.applied(None) is None
