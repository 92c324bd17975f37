"""Runs of scenarios: the same seed gives the same run, and every image is accounted for."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3dnn_ros.lab.board_file import board_directory
from s3dnn_ros.lab.scenario import SYNCHRONISED, Policy, Scenario, Stream
from s3dnn_ros.lab.scenario_networks import networks_of
from s3dnn_ros.lab.scenario_run import Cell, run
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable
from s3dnn_ros.scheduling.rivals import KNOWN

FRONT = Stream('front', 'resnet18', 30.0, 33.0)
SCENARIO = Scenario((FRONT,), 'tx2', segments=2, seconds=1.0)


def figures(seed=0, scenario=SCENARIO, stream=(), **changes):
    """Return the figures of a run of a scenario with some things changed."""
    streams = tuple(dataclasses.replace(each, **dict(stream)) for each in scenario.instances)
    return run(Cell(dataclasses.replace(scenario, instances=streams, **changes), (), seed))


def test_a_light_load_is_carried():
    found = figures()
    assert found['missed_share'] == 0.0
    assert found['requests'] == 30
    assert found['finished_hz'] == pytest.approx(30.0)
    assert 0.0 < found['p50_ms'] <= found['p99_ms'] < 33.0
    assert 0.0 < found['busy_share'] < 1.0
    assert found['batch'] == found['exact_share'] == found['score'] == 1.0


def test_the_same_seed_gives_the_same_run_and_another_one_another():
    assert figures(3) == figures(3)
    assert figures(3) != figures(4)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(KNOWN)), st.integers(1, 12), st.floats(2.0, 60.0),
       st.booleans(), st.sampled_from(['none', 'min_energy', 'balanced', 'PredJoule']),
       st.floats(0.0, 50.0), st.integers(0, 3))
def test_every_image_is_in_time_or_has_a_reason(policy, cameras, deadline_ms, fusion, mode,
                                                jitter_ms, seed):
    found = figures(seed, stream={'cameras': cameras, 'deadline_ms': deadline_ms,
                                  'jitter_ms': jitter_ms},
                    scheduler=Policy(policy), fusion=fusion, mode=mode, seconds=0.3)
    assert found['missed_share'] == pytest.approx(sum(found['missed'].values()))
    assert 0.0 <= found['missed_share'] <= 1.0
    assert found['busy_share'] <= 1.0 + 1e-9
    assert all(share > 0.0 for share in found['missed'].values())


def test_more_cameras_miss_more_and_use_more():
    few, many, most = (figures(stream={'cameras': count}) for count in (1, 4, 24))
    assert few['missed_share'] <= many['missed_share'] < most['missed_share']
    assert few['power_w'] < many['power_w']
    assert few['settled_c'] < many['settled_c']


def test_images_of_one_moment_run_together_only_with_fusion():
    together = {'cameras': 4, 'phase': SYNCHRONISED, 'deadline_ms': 100.0}
    assert figures(stream=together)['batch'] == 4.0
    assert figures(stream=together, fusion=False)['batch'] == 1.0
    assert figures(stream=together, max_batch=2)['batch'] <= 2.0


def test_under_overload_images_are_replaced_and_batches_grow():
    hard = {'cameras': 16, 'deadline_ms': 100.0}
    alone, fused = (figures(stream=hard, fusion=fusion) for fusion in (False, True))
    assert set(alone['missed']) >= {'dropped: replaced'}
    assert fused['batch'] > 2.0
    assert fused['missed_share'] < alone['missed_share']


def test_a_slower_power_mode_takes_longer_and_less_power():
    fast, slow = (figures(power_mode=mode) for mode in ('MAXN', 'MAXQ'))
    assert fast['p50_ms'] < slow['p50_ms']
    assert fast['power_w'] > slow['power_w']
    assert fast['p50_ms'] == pytest.approx(figures()['p50_ms'])


def test_a_slower_power_mode_cannot_do_what_the_highest_clocks_can():
    alone_ms = 1e3 * networks_of(SCENARIO)['resnet18'].profile.time_s(1)
    tight = {'deadline_ms': 1.2 * alone_ms}
    slow = figures(stream=tight, power_mode='MAXQ', run_jitter=0.0)
    assert slow['missed_share'] == 1.0
    assert figures(stream=tight, run_jitter=0.0)['missed_share'] < 0.5


def test_variants_of_low_rank_save_time_and_cost_score():
    both = [Stream(name, 'vgg16', 10.0, 130.0) for name in ('front', 'rear')]
    hard = dataclasses.replace(SCENARIO, instances=tuple(both), mode='max_accuracy', seconds=2.0)
    exact, variants = (figures(scenario=hard, low_rank=low_rank) for low_rank in (False, True))
    assert exact['exact_share'] == exact['score'] == 1.0
    assert 0.0 < variants['score'] < 1.0
    assert variants['exact_share'] < 1.0
    assert variants['missed_share'] <= exact['missed_share']


def test_the_cohort_saves_energy_and_keeps_deadlines():
    wide = {'deadline_ms': 200.0, 'rate_hz': 5.0}
    alone, cohort = (figures(stream=wide, mode=mode, seconds=3.0)
                     for mode in ('none', 'min_energy'))
    assert cohort['power_w'] < alone['power_w']
    assert cohort['missed_share'] == 0.0


def test_images_that_come_late_have_less_time():
    assert figures(stream={'jitter_ms': 40.0})['missed_share'] > 0.0


def test_without_a_board_nobody_knows_power(tmp_path):
    path = tmp_path / 'net.json'
    ProfileTable('net', '', 'tensorrt', 'a board', 'default', {}, tuple(
        ProfileRow(segment, 1, 2.0, 3.0, 4.0, 0.5, 0.5) for segment in range(2))).save(path)
    found = figures(stream={'model': str(path)}, board='', run_jitter=0.0)
    assert found['p50_ms'] == pytest.approx(4.0)
    assert 'power_w' not in found
    assert found['frame_mj'] is None


def test_a_warm_board_throttles(tmp_path):
    hot = tmp_path / 'hot.yaml'
    text = (board_directory() / 'tx2.yaml').read_text(encoding='utf-8')
    text = text.replace('time_constant_s: {value: 60', 'time_constant_s: {value: 0.1')
    hot.write_text(text.replace('degrees_per_w: {value: 3.0', 'degrees_per_w: {value: 30.0'),
                   encoding='utf-8')
    found = figures(stream={'cameras': 8}, board=str(hot))
    assert 0.0 < found['throttled_share'] <= 1.0
    assert found['settled_c'] > 95.0
    assert not math.isnan(found['temperature_c'])
