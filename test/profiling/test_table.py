"""Profiles: exact where measured, sensible elsewhere, whole on disk, for one device only."""

import dataclasses
import json
import math
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import ProfileError
from s3dnn_ros.profiling.table import (
    STATISTICS,
    ConfigurationRow,
    CpuTimes,
    ProfileRow,
    ProfileTable,
    load_table,
    profile_path,
)

TIMES_MS = st.floats(0.01, 1000.0)
# a repeated look-up takes well under a microsecond; busy machines get a lot of room
LOOKUP_S = 20e-6


def row(segment, batch, median_ms=1.0, **changes):
    values = {'p99_ms': 2 * median_ms, 'worst_ms': 3 * median_ms, 'tb_ratio': 0.25 * batch,
              'memory_mb': 10.0 * batch}
    values.update(changes)
    return ProfileRow(segment, batch, median_ms, **values)


def table(rows, **changes):
    values = {'model': 'resnet50', 'model_sha256': 'ab12', 'engine': 'torch',
              'device': 'NVIDIA H200', 'configuration': '8 SMs', 'versions': {'torch': '2.11'},
              'rows': tuple(rows), 'cuts': (('layer1', 'skip'),)}
    values.update(changes)
    return ProfileTable(**values)


@pytest.fixture(name='measured')
def _measured():
    """Return two segments at batches 2, 4 and 8: 2 ms and 4 ms at 2, 1 ms more per step."""
    return table([row(segment, batch, 2.0 + 2 * segment + index)
                  for index, batch in enumerate((2, 4, 8)) for segment in (0, 1)])


@st.composite
def tables(draw):
    """Draw a whole grid of segments and batches, rows in any order."""
    batches = draw(st.lists(st.integers(1, 16), min_size=1, max_size=4, unique=True))
    keys = [(segment, batch) for segment in range(draw(st.integers(1, 4))) for batch in batches]
    numbers = st.tuples(TIMES_MS, TIMES_MS, TIMES_MS, st.floats(0.0, 40.0), TIMES_MS)
    cpu = st.builds(CpuTimes, st.just('640x480'), TIMES_MS, TIMES_MS, TIMES_MS)
    return table([ProfileRow(*key, *draw(numbers)) for key in draw(st.permutations(keys))],
                 cpu=draw(st.none() | cpu))


# look-ups

@given(tables())
def test_a_measured_batch_gives_what_was_measured(profile):
    assert profile.segments * len(profile.batches) == len(profile.rows)
    for measured in profile.rows:
        assert profile.row(measured.segment, measured.batch) == measured
        assert profile.tb_ratio(measured.segment, measured.batch) == measured.tb_ratio


@given(tables(), st.integers(1, 40))
def test_between_measured_batches_every_number_is_between_theirs(profile, batch):
    below = [item for item in profile.batches if item <= batch]
    above = [item for item in profile.batches if item >= batch]
    if not below or not above:
        return
    for segment in range(profile.segments):
        found, low, high = (profile.row(segment, item) for item in (batch, below[-1], above[0]))
        for field in dataclasses.fields(ProfileRow)[2:]:
            value, *ends = (getattr(item, field.name) for item in (found, low, high))
            assert min(ends) * (1 - 1e-9) <= value <= max(ends) * (1 + 1e-9)


@pytest.mark.parametrize('batch, expected_ms', [
    (1, 2.0), (2, 2.0), (3, 2.5), (4, 3.0), (5, 3.25), (8, 4.0), (12, 6.0), (16, 8.0)])
def test_other_batches_are_estimated(measured, batch, expected_ms):
    assert measured.row(0, batch).median_ms == pytest.approx(expected_ms)
    assert measured.row(0, batch).p99_ms == pytest.approx(2 * expected_ms)
    assert measured.segment_times_s(batch)[0] == pytest.approx(1e-3 * expected_ms)


@given(tables(), st.integers(1, 40))
def test_what_remains_is_the_sum_of_the_medians_from_there_on(profile, batch):
    times_s = profile.segment_times_s(batch)
    for segment in range(profile.segments):
        assert profile.remaining_s(segment, batch) == pytest.approx(sum(times_s[segment:]))
    assert profile.remaining_s(0, batch) == pytest.approx(profile.time_s(batch, 'median'))


@pytest.mark.parametrize('statistic, factor', list(zip(STATISTICS, (1, 2, 3))))
def test_the_networks_time_is_the_sum_over_its_segments(measured, statistic, factor):
    assert measured.time_s(4, statistic) == pytest.approx(factor * (3.0 + 5.0) / 1e3)


def test_the_networks_time_is_the_99th_percentile_unless_told_otherwise(measured):
    assert measured.time_s(4) == measured.time_s(4, 'p99')


def test_an_unknown_statistic_is_refused_with_the_known_ones(measured):
    with pytest.raises(ValueError, match=r'mean.*median, p99, worst'):
        measured.time_s(4, 'mean')


@pytest.mark.parametrize('batch', [1, 2, 3, 9])
def test_a_segment_that_is_not_there_has_no_row(measured, batch):
    with pytest.raises(KeyError):
        measured.row(2, batch)


@pytest.mark.parametrize('look_up', [
    lambda profile: profile.time_s(5), lambda profile: profile.remaining_s(1, 5),
    lambda profile: profile.row(1, 5), lambda profile: profile.row(1, 4)])
def test_repeated_look_ups_are_quick(measured, look_up):
    look_up(measured)
    assert min(timeit.repeat(lambda: look_up(measured), number=1000)) < 1000 * LOOKUP_S


# what no measurement gives

@pytest.mark.parametrize('rows, words', [
    ([], 'no measurement'),
    ([row(0, 1), row(1, 2)], 'was not measured at batch'),
    ([row(1, 1)], 'segment 0 was not measured at batch 1'),
    ([row(0, 1), row(0, 1)], 'there twice'),
    ([row(0, 0)], 'from 1 on'),
    ([row(-1, 1)], 'from 0 on'),
    ([row(0, 1, -1.0)], 'median_ms is -1.0'),
    ([row(0, 1, p99_ms=math.nan)], 'p99_ms is nan'),
    ([row(0, 1, memory_mb='much')], "memory_mb is 'much'"),
    ([row(0, 1, worst_ms=10**400)], 'worst_ms is 1000'),
    ([row(0, 1, 1.0), row(0, 2, 0.0)], 'takes no time at batch 2'),
    ([row(0, 1, 5e-324), row(1, 1, 0.0)], 'takes no time at batch 1'),
])
def test_impossible_rows_are_refused(rows, words):
    with pytest.raises(ValueError, match=words):
        table(rows)


def test_a_segment_of_which_a_clock_sees_nothing_is_possible():
    assert table([row(0, 1, 0.0), row(1, 1, 2.0)]).remaining_s(0, 1) == pytest.approx(2e-3)


# on disk

@given(tables())
def test_a_table_is_read_as_it_was_written(tmp_path_factory, profile):
    path = tmp_path_factory.mktemp('profiles') / 'deep' / 'resnet50.torch.json'
    profile.save(path)
    assert load_table(path) == profile
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_every_beginning_of_a_file_is_refused_with_the_way_out(measured, tmp_path):
    path = tmp_path / 'resnet50.torch.json'
    measured.save(path)
    content = path.read_bytes().rstrip()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(ProfileError) as caught:
            load_table(path)
        assert str(path) in str(caught.value)
        assert 'run `s3dnn profile resnet50`' in str(caught.value)


def edit(content, place, value):
    """Return the content with one place changed, or removed where the value is None."""
    *way, last = place
    inner = content
    for step in way:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return content


@pytest.mark.parametrize('place, value, words', [
    (['rows'], None, "lacks the key 'rows'"),
    (['device'], None, "lacks the key 'device'"),
    (['format'], None, "lacks the key 'format'"),
    (['rows', 3, 'p99_ms'], None, "lacks the key 'rows.3.p99_ms'"),
    (['rows', 3], None, 'was not measured'),
    (['rows', 3, 'median_ms'], -0.5, 'median_ms is -0.5'),
    (['rows', 3, 'median_ms'], math.inf, 'median_ms is inf'),
    (['rows', 3, 'median_ms'], True, 'median_ms is True'),
    (['rows', 3, 'median_ms'], 10**400, 'median_ms is inf'),
    (['configurations'], [['slow', 10**400, 1.0, 1.0]], "'slow': inf"),
    (['configurations'], [['slow', 5e-324, 1.0, 1.0]], "'slow': 5e-324"),
    (['configurations'], [['slow', 1.0, 1.0, 1.0]] * 2, "'slow' is there twice"),
    (['rows', 3, 'batch'], 1.5, 'must be a whole number'),
    (['rows'], 5, "key 'rows' is 5"),
    (['rows'], [5], "key 'rows.0' is 5"),
    (['format'], 99, '99'),
    (['engine'], 7, "key 'engine' is 7; expected text"),
    (['versions'], [], "key 'versions' is []; expected a mapping"),
    (['cuts'], ['layer1'], "key 'cuts' is ['layer1']; expected a list of lists"),
    (['cuts'], [[1]], "key 'cuts' is [[1]]"),
    (['cpu'], 3, "key 'cpu' is 3; expected a mapping"),
    (['cpu'], {}, "lacks the key 'cpu.image'"),
    (['cpu'], {'image': '8x6', 'compressed_ms': 1, 'raw_ms': -1, 'behind_ms': 1},
     "key 'cpu.raw_ms' is -1"),
], ids=str)
def test_a_damaged_file_is_refused_by_name(measured, tmp_path, place, value, words):
    path = tmp_path / 'resnet50.torch.json'
    measured.save(path)
    path.write_text(json.dumps(edit(json.loads(path.read_text()), place, value)))
    with pytest.raises(ProfileError) as caught:
        load_table(path)
    for word in (str(path), words, 'run `s3dnn profile resnet50`'):
        assert word in str(caught.value)


@pytest.mark.parametrize('content', [
    b'[]', b'7', b'null', b'\xff\xfe', b'{}', pytest.param(b'[' * 200_000, id='deep')])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / 'resnet50.torch.json'
    path.write_bytes(content)
    with pytest.raises(ProfileError, match='s3dnn profile resnet50'):
        load_table(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ProfileError, match=r'cannot be read .*: run `s3dnn profile resnet50`'):
        load_table(tmp_path / 'resnet50.torch.json')


def test_the_memory_of_a_segment_may_be_left_out(measured, tmp_path):
    path = tmp_path / 'resnet50.torch.json'
    measured.save(path)
    content = json.loads(path.read_text())
    del content['rows'][0]['memory_mb']
    path.write_text(json.dumps(content))
    assert load_table(path).rows[0].memory_mb == 0.0


def test_a_place_that_cannot_be_written_is_named(measured, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ProfileError, match='cannot be written'):
        measured.save(tmp_path / 'file' / 'resnet50.torch.json')


def test_profiles_are_kept_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))
    assert profile_path('resnet50', 'torch') == tmp_path / 'profiles' / 'resnet50.torch.json'


# whose it is

def test_a_table_speaks_for_what_it_was_measured_on(measured):
    measured.check('ab12', 'torch', 'NVIDIA H200')
    measured.check('ab12')


@pytest.mark.parametrize('sha256, engine, device, words', [
    ('ab12', 'torch', 'Orin', 'was measured on NVIDIA H200; this is Orin: '
                              'run `s3dnn profile resnet50`'),
    ('ab12', 'tensorrt', 'NVIDIA H200', 'was measured on torch; this is tensorrt: '),
    ('cd34', 'torch', 'NVIDIA H200', 'was measured on a model with the SHA-256 ab12; this is '
                                     'cd34: '),
])
def test_a_table_does_not_speak_for_anything_else(measured, sha256, engine, device, words):
    with pytest.raises(ProfileError) as caught:
        measured.check(sha256, engine, device)
    assert words in str(caught.value)
    assert "profile of 'resnet50'" in str(caught.value)


# configurations of the board

SLOW = ConfigurationRow('slow', 2000.0, (4.0, 8.0))
FAST = ConfigurationRow('fast', 6000.0, (2.0, 2.0))


def test_configurations_are_told_as_the_cohort_wants_them(measured):
    assert measured.power_tables() == ()
    first, second = dataclasses.replace(measured, configurations=(SLOW, FAST)).power_tables()
    assert list(first.speedup) == [1.0, 2.0] and list(second.speedup) == [1.0, 4.0]
    assert list(first.powerup) == list(second.powerup) == [1.0, 3.0]


def test_configurations_come_back_from_the_file(measured, tmp_path):
    configured = dataclasses.replace(measured, configurations=(SLOW, FAST))
    configured.save(tmp_path / 'resnet50.torch.json')
    assert load_table(tmp_path / 'resnet50.torch.json') == configured


@pytest.mark.parametrize('values, said', [
    (('slow', 0.0, (1.0, 1.0)), 'above 0'), (('slow', 1.0, (1.0, math.nan)), 'above 0'),
    (('slow', 1.0, (True, 1.0)), 'above 0'), (('slow', 1.0, (1.0, '1')), 'above 0'),
    ((7, 1.0, (1.0, 1.0)), 'name of a configuration')])
def test_what_no_board_does_is_no_configuration(values, said):
    with pytest.raises(ValueError, match=said):
        ConfigurationRow(*values)


def test_the_widest_bounds_are_numbers_for_the_cohort(measured):
    rows = (ConfigurationRow('slow', 1e-6, (1e18, 1e-6)), ConfigurationRow('fast', 1e18,
                                                                           (1e-6, 1e18)))
    for found in dataclasses.replace(measured, configurations=rows).power_tables():
        assert [found.lookup(speedup) for speedup in (0.0, 1e12, math.inf)]


def test_configurations_of_one_name_are_refused(measured):
    with pytest.raises(ValueError, match="'slow' is there twice"):
        dataclasses.replace(measured, configurations=(SLOW, FAST, SLOW))


def test_configurations_of_other_segments_are_refused(measured):
    row = ConfigurationRow('slow', 1.0, (1.0,))
    with pytest.raises(ValueError, match='times of 1 segments; there are 2'):
        dataclasses.replace(measured, configurations=(row,))


# in one segment

@given(tables())
def test_in_one_segment_it_takes_what_all_took(measured):
    whole = measured.whole()
    assert whole.segments == 1 and whole.cuts == () and whole.batches == measured.batches
    for batch in measured.batches:
        assert whole.segment_times_s(batch) == pytest.approx(
            [sum(measured.segment_times_s(batch))])
        ratios = [measured.tb_ratio(segment, batch) for segment in range(measured.segments)]
        assert min(ratios) - 1e-9 <= whole.tb_ratio(0, batch) <= max(ratios) + 1e-9


@given(st.lists(st.tuples(TIMES_MS, st.floats(0.0, 100.0)), min_size=1, max_size=5))
def test_in_one_segment_what_is_rare_is_less_than_if_all_were_slow_at_once(times_ms):
    measured = table([row(segment, 1, median_ms, p99_ms=median_ms + above_ms)
                      for segment, (median_ms, above_ms) in enumerate(times_ms)])
    most_s = max(above_ms for _, above_ms in times_ms) / 1e3
    whole_s, median_s = measured.whole().time_s(1), measured.time_s(1, 'median')
    assert median_s + most_s - 1e-9 <= whole_s <= measured.time_s(1) + 1e-9


def test_in_one_segment_a_configuration_has_one_time():
    rows = [row(0, 1), row(1, 1)]
    measured = table(rows, configurations=(ConfigurationRow('low', 5.0, (1.0, 2.0)),))
    assert measured.whole().configurations == (ConfigurationRow('low', 5.0, (3.0,)),)
