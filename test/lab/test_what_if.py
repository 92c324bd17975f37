"""What-if sweeps: every combination with every seed, a bound, and results that go on."""

import dataclasses

import pytest

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.lab.scenario import Scenario, Stream, WhatIf
from s3dnn_ros.lab.sweep import sweep
from s3dnn_ros.lab.what_if import MOST_SIMULATIONS, experiment, probe_s, processes_of, size_of

FRONT = Stream('front', 'resnet18', 30.0, 33.0)
SCENARIO = Scenario((FRONT, dataclasses.replace(FRONT, name='rear')), 'tx2', segments=1,
                    seconds=0.5)
WHAT_IF = WhatIf('work', SCENARIO, (('cameras', (1, 2)), ('rear.deadline_factor', (1.0, 0.5))))


def test_every_combination_has_every_seed():
    cells = experiment(WHAT_IF, 3).cells
    assert len(cells) == len(set(cells)) == 12
    assert {cell.seed for cell in cells} == {0, 1, 2}
    assert {cell.choices for cell in cells} == set(WHAT_IF.combinations)


def test_axes_change_all_instances_or_one():
    changed = SCENARIO.changed((('cameras', 2), ('rear.deadline_factor', 0.5),
                                ('fusion', False)))
    front, rear = changed.instances
    assert (front.cameras, front.deadline_ms) == (2, 33.0)
    assert (rear.cameras, rear.deadline_ms) == (2, 16.5)
    assert not changed.fusion


def test_without_a_sweep_there_is_one_combination():
    assert len(experiment(dataclasses.replace(WHAT_IF, axes=()), 2).cells) == 2


def test_the_size_is_told_and_bounded():
    size = size_of(WHAT_IF, 3)
    assert (size.combinations, size.simulations) == (4, 12)
    assert size.images == pytest.approx(3 * 0.5 * 60 * (1 + 1 + 2 + 2))
    with pytest.raises(ParameterError, match='or give --large'):
        size_of(WHAT_IF, MOST_SIMULATIONS)
    assert size_of(WHAT_IF, MOST_SIMULATIONS, large=True).simulations == 4 * MOST_SIMULATIONS


def test_a_probe_tells_about_how_long_it_takes():
    assert 0.0 < probe_s(WHAT_IF, 3) < 600.0
    assert processes_of(3) == 3
    assert processes_of(0) >= 1


def test_a_sweep_goes_on_with_more_seeds(tmp_path):
    path = tmp_path / 'out.json'
    few = sweep(experiment(WHAT_IF, 1), path, 1)
    told = []
    more = sweep(experiment(WHAT_IF, 2), path, 1, progress=lambda *each: told.append(each))
    assert told[0] == (4, 8)
    assert [row['result'] for row in more['cells'] if row['cell']['seed'] == 0] == [
        row['result'] for row in few['cells']]


def test_other_files_are_another_experiment(tmp_path):
    path = tmp_path / 'out.json'
    sweep(experiment(WHAT_IF, 1), path, 1)
    other = dataclasses.replace(WHAT_IF, files=(('net.onnx', 'another'),))
    with pytest.raises(ParameterError, match='another experiment'):
        sweep(experiment(other, 1), path, 1)
