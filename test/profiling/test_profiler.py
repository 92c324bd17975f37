"""Profiling: cuts, measured times and shares become a table that loads again."""

import math
import types

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from s3dnn_ros.base.cache import sha256_of
from s3dnn_ros.base.clock import SystemClock, VirtualClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.errors import PlatformError, ProfileError
from s3dnn_ros.models.cut_network import planned
from s3dnn_ros.models.segment_plan import SegmentPlan
from s3dnn_ros.profiling.find import find_table
from s3dnn_ros.profiling.profiler import (
    PLAN_RUNS,
    WARM_UP_RUNS,
    check_segments,
    make_plan,
    measure_configurations,
    profile,
    read_configurations,
)
from s3dnn_ros.profiling.table import ConfigurationRow, load_table, profile_path


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))


@pytest.fixture(name='chain_spec')
def _chain_spec(make_spec, tmp_path):
    """Return the description of a network of three convolutions and a mean."""
    rng = np.random.default_rng(0)
    names = ['x', 'a', 'b', 'c']
    nodes = [helper.make_node('Conv', [before, f'w{index}'], [after], pads=[1] * 4)
             for index, (before, after) in enumerate(zip(names, names[1:]))]
    graph = helper.make_graph(
        [*nodes, helper.make_node('GlobalAveragePool', ['c'], ['scores'])], 'chain',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, 4, 4])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', 3, 1, 1])],
        [numpy_helper.from_array(rng.normal(size=(3, 3, 3, 3)).astype(np.float32), f'w{index}')
         for index in range(3)])
    path = tmp_path / 'chain.onnx'
    onnx.save(helper.make_model(graph, ir_version=8,
                                opset_imports=[helper.make_opsetid('', 13)]), str(path))
    return make_spec(name='chain', onnx=path)


@pytest.fixture
def engine():
    pytest.importorskip('onnxruntime')
    engine, _ = make_engine('onnxruntime', SystemClock(), 1)
    yield engine
    engine.close()


class FakeNetwork:
    """Two segments; the n-th of its runs takes 1 + n/1000 ms for each image, and twice that."""

    segments = 2
    note = ''

    def __init__(self, shared_ms=1.0, padded=lambda frames: frames):
        self.padded = padded
        self.measured = []
        self.shared = []
        self._shared_ms = shared_ms

    def measure(self, batch, repeats, variant=0):
        self.measured.append((batch, repeats))
        times_s = [1e-3 * (1.0 + run / 1000) * batch for run in range(1, repeats + 1)]
        return [[time_s, 2 * time_s] for time_s in times_s]

    def measure_shared(self, batch, repeats):
        self.shared.append((batch, repeats))
        return 1e-3 * self._shared_ms

    def tb_ratios(self, batch):
        return [np.float32(0.25), min(1.0, 0.5 * batch)]

    def memory_mb(self, batch):
        return 10.0 * batch


class FakeEngine:
    """Loads networks each of whose segments takes 1 ms, but for `slow` runs at first."""

    name, device, versions = 'fake', 'none', {'fake': '1'}
    parallel = True

    def __init__(self, slow=0):
        self.loads = []
        self.runs = 0
        self._slow = slow

    def load(self, instance, segments, outputs, spec, *, lanes=1, max_batch=1, keep=True):
        self.loads.append((instance, len(segments), outputs, lanes, max_batch))
        before = self.runs

        def measure(batch, repeats):
            rows = []
            for _ in range(repeats):
                slow = self.runs - before < self._slow
                rows.append([9.0 if slow else 1e-3] * len(segments))
                self.runs += 1
            return rows

        return types.SimpleNamespace(measure=measure)


PLAN = SegmentPlan('tiny', 'ab12', 1, 5.0, 'fake', 'none', (('middle',),), (1.0, 2.0))


def test_rows_hold_median_tail_and_share_of_every_segment_at_every_batch(make_spec):
    network, asked = FakeNetwork(shared_ms=1.575), []
    table = profile(FakeEngine(), make_spec(), PLAN, network, batches=(2, 1), repeats=99,
                    progress=asked.append)
    assert list(dict.fromkeys(step.batch for step in asked)) == [1, 2]
    assert (table.batches, table.segments, table.cuts) == ((1, 2), 2, PLAN.cuts)
    assert (table.model, table.model_sha256) == ('tiny', 'ab12')
    assert (table.engine, table.device, table.versions) == ('fake', 'none', {'fake': '1'})
    row = table.row(1, 2)
    assert (row.median_ms, row.worst_ms) == pytest.approx((4.2, 4.396))
    assert row.p99_ms == pytest.approx(4.0 + 0.004 * np.percentile(np.arange(1, 100), 99))
    assert (row.tb_ratio, row.memory_mb) == (1.0, 20.0)
    assert table.tb_ratio(0, 1) == 0.25
    # 1.575 ms beside others, 1.05 · (1 + 2) ms alone at one image, twice that at two
    assert [table.utilization(segment, 1) for segment in range(2)] == pytest.approx([0.5, 0.5])
    assert table.utilization(0, 2) == pytest.approx(0.25)


def test_where_the_engine_tells_no_thread_blocks_the_share_is_as_measured(make_spec, monkeypatch):
    network = FakeNetwork(shared_ms=1.575)
    monkeypatch.setattr(FakeNetwork, 'tb_ratios', lambda self, batch: None)
    table = profile(FakeEngine(), make_spec(), PLAN, network, batches=(1,), repeats=99)
    assert [table.tb_ratio(segment, 1) for segment in range(2)] == pytest.approx([0.5, 0.5])


def test_each_batch_is_warmed_up_and_the_first_runs_do_not_count(make_spec):
    network = FakeNetwork()
    profile(FakeEngine(), make_spec(), PLAN, network, batches=(1, 2), repeats=7)
    assert network.measured == [(1, WARM_UP_RUNS), (1, 7), (2, WARM_UP_RUNS), (2, 7)]
    assert [batch for batch, _ in network.shared] == [1, 2]


def test_where_nothing_runs_side_by_side_a_run_takes_the_whole_device(make_spec, monkeypatch):
    monkeypatch.setattr(FakeEngine, 'parallel', False)
    network = FakeNetwork()
    table = profile(FakeEngine(), make_spec(), PLAN, network, batches=(1,), repeats=3)
    assert table.utilization(0, 1) == 1.0 and not network.shared


def test_a_batch_that_stays_noisy_is_marked(make_spec, monkeypatch, tmp_path):
    def measure(self, batch, repeats, variant=0):
        slow = [1.0, 4.0] if batch == 2 else [1.0]
        return [[1e-3 * batch * factor] * 2 for factor in np.resize(slow, repeats)]

    monkeypatch.setattr(FakeNetwork, 'measure', measure)
    table = profile(FakeEngine(), make_spec(), PLAN, FakeNetwork(), batches=(1, 2, 4), repeats=8)
    assert table.noisy_batches == (2,)
    assert [table.row(segment, batch).noisy for segment in (0, 1) for batch in (1, 2, 3, 4)] \
        == [False, True, True, False] * 2
    table.save(tmp_path / 'noisy.fake.json')
    assert load_table(tmp_path / 'noisy.fake.json') == table


def test_nothing_takes_more_than_the_whole_device(make_spec):
    table = profile(FakeEngine(), make_spec(), PLAN, FakeNetwork(shared_ms=1e6), batches=(1,),
                    repeats=3)
    assert table.utilization(0, 1) == 1.0


def test_padded_batches_are_measured_once_and_instead(make_spec):
    network = FakeNetwork(padded=lambda frames: 1 if frames == 1 else 4)
    table = profile(FakeEngine(), make_spec(), PLAN, network, batches=range(1, 5), repeats=3)
    assert table.batches == (1, 4)


def test_a_profile_survives_its_file(make_spec, tmp_path):
    table = profile(FakeEngine(), make_spec(), PLAN, FakeNetwork(), batches=(1, 3), repeats=5)
    path = tmp_path / 'tiny.fake.json'
    table.save(path)
    assert load_table(path) == table


def test_a_plan_has_segments_of_about_the_time_wanted(chain_spec):
    fake = FakeEngine(slow=WARM_UP_RUNS)    # what the first runs took does not count
    plan = make_plan(fake, chain_spec, target_ms=0.5)
    units = fake.loads[1][1]
    assert units >= 4
    assert plan.sha256 == sha256_of(chain_spec.onnx)
    assert (plan.engine, plan.device, plan.target_ms) == ('fake', 'none', 0.5)
    assert len(plan.cuts) + 1 == len(plan.times_ms) == fake.loads[2][1] == units
    assert plan.times_ms == pytest.approx([1.0] * len(plan.times_ms))
    assert all(load[2:] == (['scores'], 1, 1) for load in fake.loads)
    assert fake.runs == 3 * (WARM_UP_RUNS + PLAN_RUNS)


@pytest.mark.parametrize('target_ms, segments', [(1e-6, 2), (1e6, 1)])
def test_a_network_is_cut_measured_and_kept_on_the_engine_itself(
        engine, chain_spec, target_ms, segments):
    plan = make_plan(engine, chain_spec, target_ms=target_ms)
    assert len(plan.cuts) + 1 >= segments
    assert plan.cuts or segments == 1
    network = planned(chain_spec, plan).load(engine, lanes=2, max_batch=3)
    assert (network.segments, network.largest) == (len(plan.cuts) + 1, 3)
    table = profile(engine, chain_spec, plan, network, batches=(1, 2, 3), repeats=3)
    assert (table.batches, table.segments) == ((1, 2, 3), network.segments)
    assert all(0 < row.median_ms <= row.p99_ms <= row.worst_ms for row in table.rows)
    assert all(row.tb_ratio == 1.0 and 0 < row.utilization <= 1 for row in table.rows)
    path = profile_path('chain', engine.name)
    table.save(path)
    assert load_table(path) == table
    assert find_table('auto', chain_spec, engine.name, engine.device)[0] == table


def test_the_cut_network_computes_what_the_whole_one_does(engine, chain_spec):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 4, 4, 3), np.uint8)
    whole, cut = (
        planned(chain_spec, make_plan(engine, chain_spec, target_ms=target_ms)).load(
            engine, max_batch=2) for target_ms in (1e6, 1e-6))
    assert (whole.segments, cut.segments > 1) == (1, True)
    assert cut.run(pixels)['scores'] == pytest.approx(whole.run(pixels)['scores'], rel=1e-5)


def test_a_tiny_network_is_profiled(engine, make_spec, tiny_onnx):
    spec = make_spec(onnx=tiny_onnx)
    plan = make_plan(engine, spec, target_ms=5.0)
    network = planned(spec, plan).load(engine)
    table = profile(engine, spec, plan, network, batches=(1,), repeats=2)
    assert (table.segments, table.batches, table.cuts) == (1, (1,), ())


# configurations

class FakePlatform:
    """Three configurations, each twice as fast as the one before it, at four times the power."""

    board = 'a fake board'

    def __init__(self, blind_from=math.inf, inert_s=0.0):
        self.clock = VirtualClock()
        self.inert_s = inert_s
        self._set_s = 0.0
        self.configurations = [types.SimpleNamespace(name=name)
                               for name in ('slow', 'middle', 'fast')]
        self.applied = []
        self.restored = 0
        self._blind_from = blind_from

    @property
    def speed(self):
        return 2.0**self.applied[-1]

    def apply(self, index):
        self.applied.append(index)
        self._set_s = self.clock.now_s()

    def power_mw(self):
        if self.clock.now_s() < self._set_s + self.inert_s:
            return 1e9
        return 1000.0 * self.speed**2 if len(self.applied) < self._blind_from else None

    def restore(self):
        self.restored += 1


class NetworkOnPlatform(FakeNetwork):
    """Its segments take 8 and 16 ms in the slowest configuration, on the clock too."""

    def __init__(self, platform):
        super().__init__()
        self._platform = platform
        self.clock = platform.clock

    def measure(self, batch, repeats, variant=0):
        times_s = [8e-3 / self._platform.speed, 16e-3 / self._platform.speed]
        self.clock.advance(repeats * sum(times_s))
        return [times_s for _ in range(repeats)]


def test_every_configuration_is_set_and_measured_and_the_board_restored():
    platform, shown = FakePlatform(inert_s=1.4), []
    rows = measure_configurations(NetworkOnPlatform(platform), platform, platform.clock,
                                  seconds=3.0, progress=shown.append)
    assert platform.applied == shown == [0, 1, 2] and platform.restored == 1
    assert [row.name for row in rows] == ['slow', 'middle', 'fast']
    assert [row.power_mw for row in rows] == pytest.approx([1000.0, 4000.0, 16000.0])
    assert [row.times_ms for row in rows] == [pytest.approx(times) for times in (
        (8.0, 16.0), (4.0, 8.0), (2.0, 4.0))]


def test_a_board_whose_power_nobody_knows_is_no_table_and_is_restored():
    platform = FakePlatform(blind_from=2)
    with pytest.raises(PlatformError, match='CSV'):
        measure_configurations(NetworkOnPlatform(platform), platform, platform.clock,
                               seconds=0.1)
    assert platform.restored == 1


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_configurations_come_from_a_csv_file_as_well(tmp_path, encoding):
    path = tmp_path / 'board.csv'
    path.write_text('configuration,power_mw,note,time_ms_1,time_ms_0\n'
                    'slow,900,,16,8\nfast,3600.5,hot,8,4\n', encoding)
    rows = read_configurations(path)
    assert rows == (
        ConfigurationRow('slow', 900.0, (8.0, 16.0)), ConfigurationRow('fast', 3600.5, (4.0, 8.0)))
    check_segments(path, rows, 2)
    for segments in (1, 3):
        with pytest.raises(ProfileError, match=f'of 2 segments, .* cut into {segments} here'):
            check_segments(path, rows, segments)


@pytest.mark.parametrize('content, said', [
    (None, 'cannot be read'), ('', 'lacks the columns configuration, power_mw, time_ms_0'),
    ('configuration,power_mw\n', 'lacks the columns time_ms_0'),
    ('configuration,power_mw,time_ms_0,time_ms_2\n', 'lacks the columns time_ms_1'),
    ('configuration,power_mw,time_ms_0\n', 'holds no configuration'),
    ('configuration,power_mw,time_ms_0\nslow,much,8\n', 'no table .*much'),
    ('configuration,power_mw,time_ms_0\nslow,1\n', 'no table of configurations'),
    ('configuration,power_mw,time_ms_0\nslow,1,2,3\n', 'line 2 has more values'),
    ('configuration,power_mw,time_ms_0\nslow,1,2\nslow,1,2\n', "'slow' is there twice"),
    ('configuration,power_mw,time_ms_0\n"slow,1,2\n', 'no table .*end of data'),
    pytest.param(f'configuration,power_mw,time_ms_0\n{"a" * 200_000},1,2\n', 'no table .*limit',
                 id='long'),
    ('configuration,power_mw,time_ms_0\nslow,1,-8\n', 'above 0')])
def test_a_csv_file_that_is_none_is_refused(tmp_path, content, said):
    path = tmp_path / 'board.csv'
    if content is not None:
        path.write_text(content)
    with pytest.raises(ProfileError, match=said):
        read_configurations(path)
