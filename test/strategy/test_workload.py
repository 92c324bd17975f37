"""Workloads: what YAML says is what comes out, and whatever is wrong is told with file and key."""

import copy
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import ProfileError, WorkloadError
from s3dnn_ros.profiling.table import CpuTimes, ProfileRow, ProfileTable
from s3dnn_ros.strategy.workload import ModelTimes, known_workloads, load_workload

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


def nobody(model, *_):
    raise ProfileError(f"model '{model}'", 'has no profile')


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


def named(index, **changes):
    """Return a variant whose times on the device are those of the model net_INDEX."""
    return {'model': f'net_{index}', 'before_ms': 1, 'behind_ms': 0, 'loss': index,
            'storage_mb': 1, **changes}


def scaled(**changes):
    return {'scaled': 'net', 'format': 2, 'shared_bytes': 0, 'variants': [
        {'model': 'net_0.yaml', 'bytes': 10, 'answers': 1.0, 'accuracy': None}], **changes}


@pytest.mark.parametrize('table, beside, words', [
    (scaled(), {}, r"lacks the key 'variants.0.before_ms', as its profile has no times"),
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
        load_workload(path, lambda *_: ModelTimes('a board', 0.02, 0.6))


def test_times_may_come_from_the_profiles_of_models(write):
    path = write(lambda tree: (tree.pop('device'), put('models', 'net', 'variants', [
        named(0), named(1)])(tree)))
    times = {'net_0': ModelTimes('a board', 0.02, 0.6), 'net_1': ModelTimes('a board', 0.01, 0.4)}
    workload = load_workload(path, lambda model, *_: times[model])
    assert workload.device == 'a board'
    assert [(v.model, v.device_s, v.utilization) for v in workload.tasks[0].model.variants] == [
        ('net_0', 0.02, 0.6), ('net_1', 0.01, 0.4)]
    times['net_1'] = ModelTimes('another', 0.01, 0.4)
    with pytest.raises(WorkloadError, match=r"key 'device'.*a board and another"):
        load_workload(path, lambda model, *_: times[model])
    with pytest.raises(WorkloadError, match=r"work.yaml: line \d+: key 'models.net.variants.0."
                                            r"model' is "
                                            r"'net_0'; .* has no profile"):
        load_workload(path, nobody)


def here(model, table, images):
    return ModelTimes('here', 0.5, 0.25, 0.125, 0.0625)


def test_anew_all_times_and_the_device_are_measured(write):
    given = {'device_ms': 7.0, 'utilization': 0.5}
    path = write(put('models', 'net', 'variants', [named(0, **given)]))
    workload = load_workload(path, here, anew=True)
    [variant] = workload.tasks[0].model.variants
    assert (variant.before_s, variant.device_s, variant.behind_s, variant.utilization) == (
        0.125, 0.5, 0.0625, 0.25)
    assert workload.device == 'here' and load_workload(path, here).device == 'a board'
    left_out = {key: value for key, value in named(0).items() if not key.endswith('_ms')}
    assert load_workload(write(put('models', 'net', 'variants', [left_out])), here,
                         anew=True) == workload
    with pytest.raises(WorkloadError, match=r'lacks the key .models.net.variants.0.model'):
        load_workload(write(), here, anew=True)


def test_a_table_of_scaled_variants_needs_no_times_where_all_are_measured(write, tmp_path):
    (tmp_path / 'net_scaled.json').write_text(json.dumps(scaled()), encoding='utf-8')
    workload = load_workload(write(put('models', 'net', {'table': 'net_scaled.json'})), here,
                             anew=True)
    [variant] = workload.tasks[0].model.variants
    assert (variant.model, variant.before_s) == (str(tmp_path / 'net_0.yaml'), 0.125)


ON_CPU = CpuTimes('640x480', 3.0, 1.0, 0.5)


@pytest.fixture
def profile(tmp_path):
    """Return a function that writes net_0.json, the profile of a model; returns its path."""
    def save(cpu=ON_CPU):
        path = tmp_path / 'net_0.json'
        ProfileTable('net_0', 'ab', 'torch', 'a board', 'default', {}, (
            ProfileRow(0, 1, 12.0, 13.0, 14.0, 0.5, 0.8),
            ProfileRow(1, 1, 8.0, 9.0, 10.0, 0.5, 0.3)), cpu=cpu).save(path)
        return path
    return save


LEFT_OUT = {key: value for key, value in named(0).items() if key not in ('before_ms', 'behind_ms')}


@pytest.mark.parametrize('images, before_s', [(None, 0.003), ('compressed', 0.003),
                                              ('raw', 0.001)])
def test_all_times_of_a_variant_may_come_from_a_table(write, profile, images, before_s):
    profile()
    path = write(lambda tree: (put('models', 'net', 'variants', [
        {**LEFT_OUT, 'table': 'net_0.json'}])(tree), images and put('images', images)(tree)))
    [variant] = load_workload(path).tasks[0].model.variants
    assert (variant.before_s, variant.device_s, variant.behind_s) == pytest.approx(
        (before_s, 0.02, 0.0005))
    assert variant.utilization == pytest.approx(0.6) and variant.model == 'net_0'
    # what the workload says goes before what was measured
    path = write(put('models', 'net', 'variants', [named(0, table='net_0.json', before_ms=7)]))
    assert load_workload(path).tasks[0].model.variants[0].before_s == pytest.approx(0.007)


@pytest.mark.parametrize('changes, said', [
    ({'table': 'other.json'}, r"table' is 'other.json'.* cannot be read"),
    ({'table': 'work.yaml'}, r"table' is 'work.yaml'.*profile"),
    ({'table': 'net_0.json', 'model': 'net_1'}, r"is of the model 'net_0'; name one of 'net_1'"),
    ({'table': 'net_0.json', 'device_ms': 3}, r'no profile where device_ms are given'),
    ({'table': 3}, r"variants.0.table' is 3; expected text")])
def test_a_table_that_does_not_fit_is_told(write, profile, changes, said):
    profile()
    path = write(put('models', 'net', 'variants', [{**LEFT_OUT, **changes}]))
    with pytest.raises(WorkloadError, match=said) as caught:
        load_workload(path)
    assert str(caught.value).startswith(f'{path}: line ') and '\n' not in str(caught.value)


def test_a_table_of_an_earlier_version_lacks_the_work_on_the_cpu(write, profile):
    profile(cpu=None)
    path = write(put('models', 'net', 'variants', [{**LEFT_OUT, 'table': 'net_0.json'}]))
    with pytest.raises(WorkloadError, match=r"lacks the key 'models.net.variants.0.before_ms'.*"
                                            r's3dnn profile net_0` again'):
        load_workload(path)


def test_a_model_without_a_profile_is_told_with_what_to_run(write, tmp_path, monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path))
    path = write(put('models', 'net', 'variants', [named(0, model='squeezenet_1_1')]))
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
    (put('models', 3, None), r"key 'models' is .*; expected .*; 3 is no text"),
    (put('tasks', 0, 'name', 'a b'), r"key 'tasks.0.name' is 'a b'; expected the name of"),
    (put('device', 7), "key 'device'"),
    (put('images', 'video'), "key 'images' is 'video'; expected compressed or raw"),
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
