"""Workloads: what YAML says is what comes out, and whatever is wrong is told with file and key."""

import copy
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import DocumentError, WorkloadError
from s3dnn_ros.strategy.workload import known_workloads, load_workload

VARIANT = {'before_ms': 2.0, 'device_ms': 20.0, 'behind_ms': 1.0, 'utilization': 0.5,
           'loss': 0.0, 'storage_mb': 40.0}
SMALLER = {**VARIANT, 'device_ms': 10.0, 'loss': 2.0, 'storage_mb': 25.0}
WORKLOAD = {
    'description': 'two tasks of one model', 'device': 'a board', 'storage_limit_mb': 100.0,
    'models': {'net': {'accuracy': 80.0, 'shared_mb': 10.0, 'variants': [VARIANT, SMALLER]}},
    'tasks': [{'name': name, 'model': 'net', 'period_ms': 50.0, 'deadline_ms': 40.0,
               'tolerated_miss_rate': 0.1} for name in ('left', 'right')]}


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a workload, changed by `change`, and returns its path."""
    def write(change=lambda tree: None, name='work'):
        tree = copy.deepcopy(WORKLOAD)
        change(tree)
        path = tmp_path / f'{name}.yaml'
        path.write_text(yaml.safe_dump(tree), encoding='utf-8')
        return path
    return write


def put(*keys_and_value):
    """Return a change that puts a value into a place of a tree."""
    *keys, last, value = keys_and_value

    def change(tree):
        for key in keys:
            tree = tree[key]
        tree[last] = value
    return change


def nobody(model):
    raise DocumentError(f"model '{model}' has no profile")


def test_times_are_seconds_and_names_are_those_of_the_file(write):
    workload = load_workload(write())
    assert (workload.name, workload.device, workload.storage_limit_mb) == ('work', 'a board', 100)
    left, right = workload.tasks
    assert (left.name, left.period_s, left.deadline_s, left.tolerated_miss_rate) == (
        'left', 0.05, 0.04, 0.1)
    assert left.model is right.model
    exact, _ = left.model.variants
    assert (exact.before_s, exact.device_s, exact.behind_s) == (0.002, 0.02, 0.001)
    assert exact.alone_s == pytest.approx(0.023)
    assert workload.loss((0, 1)) == pytest.approx(2.0 / 80.0) and workload.loss((0, 0)) == 0.0


def test_files_and_shared_layers_are_stored_once(write):
    workload = load_workload(write())
    assert workload.storage_mb((0, 0)) == 10 + 40
    assert workload.storage_mb((0, 1)) == workload.storage_mb((1, 0)) == 10 + 40 + 25
    assert workload.storage_mb(workload.least_storage) == 10 + 25
    assert load_workload(write(put('storage_limit_mb', 50.0))).fits((0, 0))
    assert not load_workload(write(put('storage_limit_mb', 49.0))).fits((0, 0))


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2))
def test_what_is_missed_counts_beyond_what_is_tolerated(tmp_path_factory, missed):
    path = tmp_path_factory.mktemp('w') / 'w.yaml'
    path.write_text(yaml.safe_dump(WORKLOAD), encoding='utf-8')
    workload = load_workload(path)
    excess = workload.excess(missed)
    assert (excess == 0.0) == (max(missed) <= 0.1)
    assert excess <= sum(missed)


def test_a_model_may_stand_in_a_table_of_its_own(write, tmp_path):
    table = tmp_path / 'net_variants.yaml'
    table.write_text(yaml.safe_dump(WORKLOAD['models']['net']), encoding='utf-8')
    path = write(put('models', 'net', {'table': 'net_variants.yaml'}))
    assert load_workload(path).tasks == load_workload(write(name='whole')).tasks
    table.write_text('accuracy: 80\nvariants: []\ncolour: red\n', encoding='utf-8')
    with pytest.raises(WorkloadError,
                       match=r"net_variants.yaml: line 3: has the unknown key 'colour'"):
        load_workload(path)
    table.unlink()
    with pytest.raises(WorkloadError, match=r'models.net.table.*cannot be read'):
        load_workload(path)


def scaled(**changes):
    return {'scaled': 'net', 'format': 2, 'shared_bytes': 0, 'variants': [
        {'model': 'net_0.yaml', 'bytes': 10, 'answers': 1.0, 'accuracy': None}], **changes}


@pytest.mark.parametrize('table, beside, words', [
    (scaled(), {}, r'tells no times of the work on the CPU; write before_ms and behind_ms'),
    (scaled(format=1), {'before_ms': 1, 'behind_ms': 1}, r'has another format than 2'),
    (scaled(variants=[]), {'before_ms': 1, 'behind_ms': 1}, r"key 'accuracy' is 0"),
    (scaled(variants=[{}]), {'before_ms': 1, 'behind_ms': 1}, r"lacks the key 'variants.0.acc"),
    (WORKLOAD['models']['net'], {'before_ms': 1}, 'has times of its own; leave out before_ms'),
])
def test_a_table_that_does_not_fit_is_told_with_its_file(write, tmp_path, table, beside, words):
    (tmp_path / 'net_scaled.json').write_text(json.dumps(table), encoding='utf-8')
    path = write(put('models', 'net', {'table': 'net_scaled.json', **beside}))
    with pytest.raises(WorkloadError, match=r"key 'models.net.table': .*net_scaled.json: .*"
                       + words):
        load_workload(path, nobody)


def test_times_may_come_from_the_profiles_of_models(write):
    variants = [{'model': f'net_{index}', 'before_ms': 1, 'behind_ms': 0, 'loss': index,
                 'storage_mb': 1} for index in range(2)]
    path = write(lambda tree: (tree.pop('device'), put('models', 'net', 'variants',
                                                       variants)(tree)))
    times = {'net_0': ('a board', 0.02, 0.6), 'net_1': ('a board', 0.01, 0.4)}
    workload = load_workload(path, times.__getitem__)
    assert workload.device == 'a board'
    assert [(v.model, v.device_s, v.utilization) for v in workload.tasks[0].model.variants] == [
        ('net_0', 0.02, 0.6), ('net_1', 0.01, 0.4)]
    times['net_1'] = ('another', 0.01, 0.4)
    with pytest.raises(WorkloadError, match=r"key 'device'.*a board and another"):
        load_workload(path, times.__getitem__)
    with pytest.raises(WorkloadError, match=r"work.yaml: model 'net_0' has no profile"):
        load_workload(path, nobody)


def test_a_model_without_a_profile_is_told_with_what_to_run(write, tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))
    path = write(put('models', 'net', 'variants', [
        {'model': 'squeezenet_1_1', 'before_ms': 1, 'behind_ms': 0, 'loss': 0, 'storage_mb': 1}]))
    with pytest.raises(WorkloadError, match=r'work.yaml.*s3dnn profile squeezenet_1_1'):
        load_workload(path)


@pytest.mark.parametrize('change, said', [
    (put('colour', 'red'), "unknown key 'colour'"),
    (put('storage_limit', 3), "did you mean 'storage_limit_mb'"),
    (put('tasks', 0, 'period', 3), r"unknown key 'tasks.0.period'; did you mean 'period_ms'"),
    (put('tasks', 0, 'period_ms', 0), r"key 'tasks.0.period_ms' is 0; expected a number"),
    (put('tasks', 1, 'deadline_ms', 'soon'), r"key 'tasks.1.deadline_ms' is 'soon'"),
    (put('tasks', 1, 'tolerated_miss_rate', 1.5), r"tasks.1.tolerated_miss_rate' is 1.5"),
    (put('tasks', 1, 'name', 'left'), 'different names'),
    (put('tasks', 1, 'model', 'other'), r"key 'tasks.1.model' is 'other'; expected one of.* net"),
    (put('tasks', []), "key 'tasks'"),
    (put('tasks', 'none'), "key 'tasks'"),
    (put('models', 'net', 'variants', []), "key 'models.net.variants'"),
    (put('models', 'net', 'variants', [SMALLER]), 'first variant is exact'),
    (put('models', 'net', 'variants', 0, 'macs', 3), r"'models.net.variants.0.macs'"),
    (put('models', 'net', 'variants', 1, 'loss', 90), r"'models.net.variants.1.loss' is 90"),
    (put('models', 'net', 'variants', 1, 'utilization', 0), r'variants.1.utilization'),
    (put('models', 'net', 'variants', 1, 'device_ms', None), r'variants.1.device_ms'),
    (put('models', 'net', 'accuracy', 0), 'models.net.accuracy'),
    (put('models', 'net', None), 'models.net'),
    (put('device', 7), "key 'device'"),
    (put('storage_limit_mb', 30.0), r'at least 35, which the smallest .* 5 more')])
def test_what_is_wrong_is_told_with_file_and_key(write, change, said):
    with pytest.raises(WorkloadError, match=said) as caught:
        load_workload(write(change))
    assert str(caught.value).startswith(str(write(change)))
    assert '\n' not in str(caught.value)


def test_a_file_without_a_device_is_refused(write):
    with pytest.raises(WorkloadError, match="lacks the key 'device'"):
        load_workload(write(lambda tree: tree.pop('device')))


def test_an_unknown_name_is_told_with_those_that_are_known():
    with pytest.raises(WorkloadError, match='robot_mix, seed_4_tasks'):
        load_workload('nothing')


@pytest.mark.parametrize('name', known_workloads())
def test_the_packages_own_have_a_choice_to_make(name):
    workload = load_workload(name)
    assert not workload.fits([0] * 4) or workload.tasks[0].model is workload.tasks[1].model
    for task in workload.tasks:
        for larger, smaller in zip(task.model.variants, task.model.variants[1:]):
            assert smaller.device_s < larger.device_s and smaller.loss > larger.loss
            assert smaller.storage_mb < larger.storage_mb
