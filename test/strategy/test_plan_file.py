"""Strategy files: what is written is what is read, and what is wrong is told with file and key."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import StrategyError
from s3dnn_ros.strategy.plan_file import load_plan, plan_of
from s3dnn_ros.strategy.strategy import Measurement, Strategy


@pytest.fixture(scope='session')
def make_plan(make_workload):
    """Return a builder of Plan."""
    def build(order=(0, 1, 2), missed=(0.0, 0.01, 0.5)):
        return plan_of(make_workload(), Strategy.in_order((0, 1, 2), order),
                       Measurement(tuple(missed), (12.5, 20.0, None)), policy='edf',
                       feasible=False, measured={'seconds': 8.0, 'strategies': 100},
                       versions={'python': '3.11'})
    return build


@given(st.permutations(range(3)), st.tuples(*[st.floats(0.0, 1.0)] * 3))
def test_what_is_written_is_what_is_read(make_plan, tmp_path_factory, order, missed):
    path = tmp_path_factory.mktemp('p') / 'strategy.yaml'
    plan = make_plan(order, missed)
    plan.save(path)
    assert load_plan(path) == plan


def test_it_says_what_every_task_runs(make_plan):
    plan = make_plan()
    assert [(task.name, task.model, task.variant, task.priority) for task in plan.tasks] == [
        ('task_0', 'net_0', 0, 3), ('task_1', 'net_1', 1, 2), ('task_2', 'net_2', 2, 1)]
    assert plan.loss == pytest.approx(0.03) and plan.storage_mb == pytest.approx(219.0)


@pytest.mark.parametrize('keys, value, said', [
    (('format',), 2, "key 'format' is 2"),
    (('colour',), 2, "unknown key 'colour'"),
    (('device',), 2, "key 'device' is 2"),
    (('feasible',), 'yes', "key 'feasible'"),
    (('tasks',), [], "key 'tasks'"),
    (('tasks', 0, 'name'), 'task_1', 'different names'),
    (('tasks', 0, 'priority'), 1, 'each once'),
    (('tasks', 1, 'variant'), -1, "key 'tasks.1.variant' is -1"),
    (('tasks', 1, 'response_ms'), 'soon', "key 'tasks.1.response_ms'"),
    (('tasks', 2, 'missed'), 1.5, "key 'tasks.2.missed'")])
def test_what_is_wrong_is_told_with_file_and_key(make_plan, tmp_path, keys, value, said):
    path = tmp_path / 'strategy.yaml'
    make_plan().save(path)
    tree = place = yaml.safe_load(path.read_text())
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(StrategyError, match=said) as caught:
        load_plan(path)
    assert str(caught.value).startswith(str(path)) and 's3dnn plan' in str(caught.value)


def test_files_that_are_none_are_refused(make_plan, tmp_path):
    with pytest.raises(StrategyError, match='cannot be read'):
        load_plan(tmp_path / 'none.yaml')
    (tmp_path / 'file').touch()
    with pytest.raises(StrategyError, match='--out'):
        make_plan().save(tmp_path / 'file' / 'strategy.yaml')
