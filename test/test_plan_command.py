"""The command `s3dnn plan`: a strategy file, pictures and a report, or a sentence."""

import json

import pytest
import yaml

from s3dnn_ros.bench import task_run
from s3dnn_ros.cli import main
from s3dnn_ros.lab.strategy_trial import Trial
from s3dnn_ros.strategy.plan_file import load_plan
from s3dnn_ros.strategy.strategy import Measurement, Strategy
from s3dnn_ros.strategy.workload import load_workload

QUICK = ['--budget', '60', '--seconds', '1', '--jobs', '1']


@pytest.fixture(autouse=True)
def with_libraries():
    pytest.importorskip('pymoo')
    pytest.importorskip('sklearn')


@pytest.fixture
def workload(tmp_path):
    """Return a function that writes a workload of two tasks; exact, they ask for `load`."""
    def write(load):
        variants = [{'before_ms': 1.0, 'device_ms': device_ms, 'behind_ms': 0.5,
                     'utilization': 0.8, 'loss': loss, 'storage_mb': 30.0}
                    for device_ms, loss in ((50.0 * load, 0.0), (35.0 * load, 1.0),
                                            (22.0 * load, 4.0))]
        tree = {'device': 'a board', 'storage_limit_mb': 200.0,
                'models': {'net': {'accuracy': 80.0, 'variants': variants}},
                'tasks': [{'name': name, 'model': 'net', 'period_ms': 100.0,
                           'deadline_ms': 100.0, 'tolerated_miss_rate': 0.05}
                          for name in ('left', 'right')]}
        path = tmp_path / 'two.yaml'
        path.write_text(yaml.safe_dump(tree), encoding='utf-8')
        return path
    return write


def test_the_strategy_is_written_as_it_was_confirmed(workload, tmp_path, capsys):
    path, out = workload(1.3), tmp_path / 'new' / 'strategy.yaml'
    assert main(['plan', str(path), *QUICK, '--out', str(out)]) == 0
    plan = load_plan(out)
    assert plan.feasible and plan.loss > 0.0 and plan.device == 'a board'
    strategy = Strategy(tuple(task.variant for task in plan.tasks),
                        tuple(task.priority for task in plan.tasks))
    confirmed = Trial(load_workload(path), seconds=1.0).confirming(4)(strategy)
    assert confirmed.missed == tuple(task.missed for task in plan.tasks)
    assert plan.measured['seconds'] == 4.0 and {'pymoo', 'python'} <= set(plan.versions)
    assert 0.0 < plan.measured['proxy_error'] < 1.0
    said = capsys.readouterr().out
    off = f"off by {1e2 * plan.measured['proxy_error']:.2f} points on average, on held-out"
    assert 'left' in said and off in said and f'written to {out}' in said


def test_pictures_are_drawn(workload, tmp_path, capsys):
    pytest.importorskip('matplotlib')
    plots = tmp_path / 'plots'
    assert main(['plan', str(workload(1.3)), *QUICK, '--out', str(tmp_path / 's.yaml'),
                 '--plots', str(plots)]) == 0
    assert sorted(path.name for path in plots.iterdir()) == ['front.png', 'proxy.png']
    assert str(plots / 'front.png') in capsys.readouterr().out


def test_a_search_goes_on_from_what_was_measured(workload, tmp_path, capsys, monkeypatch):
    command = ['plan', str(workload(1.3)), *QUICK, '--out', str(tmp_path / 's.yaml'),
               '--measured', str(tmp_path / 'measured.json')]
    assert main(command) == 0
    first = (tmp_path / 's.yaml').read_text()
    # 2 tasks of 3 variants in 2 orders: no more are there
    assert len(json.loads((tmp_path / 'measured.json').read_text())['strategies']) == 18
    tried = []
    monkeypatch.setattr('s3dnn_ros.lab.strategy_trial.Trial.__call__', tried.append)
    monkeypatch.setattr('s3dnn_ros.strategy.search.confirmed', lambda *_: pytest.fail('reached'))
    with pytest.raises(pytest.fail.Exception, match='reached'):
        main(command)
    assert not tried and (tmp_path / 's.yaml').read_text() == first
    capsys.readouterr()
    assert main([*command, '--cpus', '2']) == 1
    assert 'with other options' in capsys.readouterr().err


def test_a_dask_cluster_finds_what_processes_find(workload, tmp_path):
    distributed = pytest.importorskip('distributed')
    command, files = ['plan', str(workload(1.3)), *QUICK], [tmp_path / '1.yaml',
                                                           tmp_path / '2.yaml']
    with distributed.LocalCluster(2, processes=False, dashboard_address=None) as cluster:
        assert main([*command, '--out', str(files[0]), '--dask',
                     cluster.scheduler_address]) == 0
    assert main([*command, '--out', str(files[1])]) == 0
    assert files[0].read_text() == files[1].read_text()


def test_an_interrupted_search_goes_on_where_it_was(workload, tmp_path, monkeypatch):
    command = ['plan', str(workload(1.3)), *QUICK, '--out', str(tmp_path / 's.yaml')]
    monkeypatch.setattr('s3dnn_ros.strategy.search.FIRST', 4)
    monkeypatch.setattr('s3dnn_ros.strategy.search.EACH', 4)
    assert main(command) == 0
    whole, calls = (tmp_path / 's.yaml').read_text(), []
    measure = Trial.__call__

    def interrupted(trial, strategy):
        calls.append(strategy)
        if len(calls) > 6:
            raise KeyboardInterrupt
        return measure(trial, strategy)

    command += ['--measured', str(tmp_path / 'measured.json')]
    monkeypatch.setattr(Trial, '__call__', interrupted)
    assert main(command) == 130
    assert len(json.loads((tmp_path / 'measured.json').read_text())['strategies']) == 4
    monkeypatch.setattr(Trial, '__call__', measure)
    assert main(command) == 0
    assert (tmp_path / 's.yaml').read_text() == whole


def test_an_infeasible_workload_says_what_misses_how_much(workload, tmp_path, capsys):
    out = tmp_path / 'strategy.yaml'
    command = ['plan', str(workload(4.0)), *QUICK, '--out', str(out)]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and 'tolerates 5.0 %' in said and '--nearest' in said
    assert not out.exists()
    assert main([*command, '--nearest']) == 1
    assert not load_plan(out).feasible


def test_a_deadline_that_no_variant_meets_alone_is_told(workload, tmp_path, capsys):
    path = workload(1.0)
    path.write_text(path.read_text().replace('deadline_ms: 100.0', 'deadline_ms: 20.0', 1))
    assert main(['plan', str(path), *QUICK, '--out', str(tmp_path / 's.yaml')]) == 1
    assert ("'left' misses 100.0 % of its frames and tolerates 5.0 % (alone, its quickest variant "
            'takes 23.5 ms of the 20 ms until its deadline)') in capsys.readouterr().err


def test_a_budget_too_small_for_the_proxys_error_has_none(workload, tmp_path, capsys):
    assert main(['plan', str(workload(0.3)), *QUICK, '--budget', '1',
                 '--out', str(tmp_path / 's.yaml')]) == 0
    assert 'held-out' not in capsys.readouterr().out


@pytest.mark.parametrize('arguments, said', [
    (['nothing'], 'robot_mix, seed_4_tasks'), (['robot_mix', '--seconds', '0.1'], 'at least')])
def test_what_cannot_be_planned_is_told(arguments, said, capsys):
    assert main(['plan', *arguments]) == 1
    assert said in capsys.readouterr().err


# on an engine

@pytest.fixture
def models(tmp_path, tiny_onnx, monkeypatch):
    """Let `net_0` and `net_1` stand for networks that are done in a moment; runs are short."""
    pytest.importorskip('onnxruntime')
    description = {'onnx': str(tiny_onnx), 'width': 4, 'height': 4, 'colour': 'rgb',
                   'mean': [0, 0, 0], 'std': [255, 255, 255], 'resize': 'stretch',
                   'decoder': 'classification', 'labels': ['r', 'g', 'b']}
    for index in range(2):
        (tmp_path / f'net_{index}.yaml').write_text(yaml.safe_dump(description))
    monkeypatch.setenv('S3DNN_MODEL_PATH', str(tmp_path))
    monkeypatch.setattr('s3dnn_ros.bench.task_run.SETTLE_S', 0.02)
    monkeypatch.setattr('s3dnn_ros.bench.task_models.REPEATS', 3)


@pytest.fixture
def on_engine(models, tmp_path):
    """Return the path of a workload whose times nobody knows; frames may come very late."""
    tree = {'storage_limit_mb': 200.0,
            'models': {'net': {'accuracy': 80.0, 'variants': [
                {'model': f'net_{index}', 'loss': index, 'storage_mb': 30.0}
                for index in range(2)]}},
            'tasks': [{'name': name, 'model': 'net', 'period_ms': 50.0, 'deadline_ms': 10000.0,
                       'tolerated_miss_rate': 1.0} for name in ('left', 'right')]}
    path = tmp_path / 'two.yaml'
    path.write_text(yaml.safe_dump(tree), encoding='utf-8')
    return path


def no_waiting(monkeypatch):
    """Let runs end when the last frame came, whatever its deadline."""
    times = task_run.times
    monkeypatch.setattr(task_run, 'times', lambda periods, started_s, until_s: times(
        periods, started_s, started_s + 0.2))


def test_on_an_engine_the_plan_is_of_its_device_and_goes_on(on_engine, tmp_path, monkeypatch):
    no_waiting(monkeypatch)
    out, measured = tmp_path / 'strategy.yaml', tmp_path / 'measured.json'
    command = ['plan', str(on_engine), '--on', 'onnxruntime', '--budget', '3', '--seconds', '0.1',
               '--size', '16x16', '--out', str(out), '--measured', str(measured)]
    assert main(command) == 0
    plan = load_plan(out)
    assert plan.device.startswith('CPU') and 'onnxruntime' in plan.versions
    assert plan.measured['how'] == 'on the engine onnxruntime'
    assert {task.variant_models for task in plan.tasks} == {('net_0', 'net_1')}
    assert plan.loss == 0.0 and plan.feasible
    rows = json.loads(measured.read_text())['strategies']
    assert len(rows) == 3
    known = json.loads((tmp_path / 'strategy.times.json').read_text())['models']
    assert sorted(known) == ['net_0', 'net_1']
    command[command.index('--budget') + 1] = '4'
    assert main(command) == 0
    assert json.loads(measured.read_text())['strategies'][:3] == rows


def test_what_was_measured_on_an_engine_is_kept_when_the_search_ends_early(
        on_engine, tmp_path, monkeypatch):
    from s3dnn_ros.bench.engine_trial import EngineTrial

    calls = []

    def measure(self, strategy):
        calls.append(strategy)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return Measurement((0.0, 0.0), (1.0, 1.0))

    monkeypatch.setattr(EngineTrial, '__call__', measure)
    measured = tmp_path / 'measured.json'
    assert main(['plan', str(on_engine), '--on', 'onnxruntime', '--size', '16x16', '--out',
                 str(tmp_path / 's.yaml'), '--measured', str(measured)]) == 130
    assert [tuple(row['variants']) for row in json.loads(measured.read_text())['strategies']] == [
        strategy.variants for strategy in calls[:2]]


@pytest.mark.parametrize('arguments, said', [
    (['robot_mix', '--on', 'onnxruntime'], "lacks the key 'models.signs_net.variants.0.model'"),
    (['robot_mix', '--on', 'onnxruntime', '--jobs', '2'], 'one strategy at a time'),
    (['robot_mix', '--on', 'onnxruntime', '--sms', '8'], '--sms'),
    (['robot_mix', '--on', 'onnxruntime', '--measure'], 'variants.0.model'),
    (['robot_mix', '--measure'], '--on')])
def test_what_cannot_be_planned_on_an_engine_is_told(arguments, said, capsys):
    pytest.importorskip('onnxruntime')
    assert main(['plan', *arguments]) == 1
    assert said in capsys.readouterr().err
