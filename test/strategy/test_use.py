"""What a strategy sets of instances, and why it is refused."""

import dataclasses

import pytest

from s3dnn_ros.errors import StrategyError
from s3dnn_ros.strategy.plan_file import Plan, PlannedTask
from s3dnn_ros.strategy.use import expect_device, parameters_of


def task(name, variant, priority, models=('', 'net_small')):
    return PlannedTask(name, 'net', variant, models, priority, 0.1, 0.0, 12.0)


PLAN = Plan('work', 'a board', 'edf', True, 0.1, 80.0, (task('left', 0, 2), task('right', 1, 1)),
            {}, {})


def test_it_sets_priorities_and_models():
    assert parameters_of(PLAN, 's.yaml', {'left': 'net', 'right': 'net'}) == {
        'instances.left.priority': 2, 'instances.left.model': 'net',
        'instances.right.priority': 1, 'instances.right.model': 'net_small'}


@pytest.mark.parametrize('left, right', [
    ('net_small', 'net'), ('net', 'net_small'), ('net_small', 'net_small')])
def test_an_instance_may_have_another_variant_of_the_model(left, right):
    changed = parameters_of(PLAN, 's.yaml', {'left': left, 'right': right})
    assert changed == parameters_of(PLAN, 's.yaml', {'left': 'net', 'right': 'net'})


@pytest.mark.parametrize('models, said', [
    ({'left': 'net'}, 'is for the instances left, right, and here are left'),
    ({'left': 'net', 'right': 'net', 'rear': 'net'}, 'here are left, rear, right'),
    ({'left': 'net', 'right': 'other'}, "'right', which has 'other' here")])
def test_other_instances_and_models_are_refused(models, said):
    with pytest.raises(StrategyError, match=said) as caught:
        parameters_of(PLAN, 's.yaml', models)
    assert str(caught.value).startswith('s.yaml: ')


def test_a_variant_without_a_model_is_refused():
    plan = dataclasses.replace(PLAN, tasks=(task('left', 0, 2), task('right', 1, 1, ('', ''))))
    with pytest.raises(StrategyError, match="which model is variant 1 of 'net'"):
        parameters_of(plan, 's.yaml', {'left': 'net', 'right': 'net'})


def test_another_device_is_refused():
    expect_device(PLAN, 's.yaml', 'a board')
    with pytest.raises(StrategyError, match="is for the device 'a board', and this is 'x'"):
        expect_device(PLAN, 's.yaml', 'x')
