"""The fake engine, a core that runs on it, and times as a profile has them."""

import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.profiling.table import ProfileRow, ProfileTable
from s3dnn_ros.runtime.executor import ALONE

# importlib mode leaves the tests' directories off sys.path; the builders lie here
sys.path.insert(0, str(Path(__file__).parent))

from core_bench import LEAD_S, CoreBench
from executor_bench import NOW_S, Bench, Cuttable
from fake_engine import FakeEngine


@pytest.fixture(scope='session')
def fake_engine():
    """Return the engine's class."""
    return FakeEngine


@pytest.fixture(scope='session')
def make_profile():
    """Return a builder of profiles: a run of n images takes `base_s` + n · `each_s`."""
    def build(base_s, each_s, segments=1, tb_ratio=1.0):
        rows = []
        for segment in range(segments):
            for batch in (1, 64):
                time_ms = 1e3 * (base_s + batch * each_s) / segments
                rows.append(ProfileRow(segment, batch, time_ms, time_ms, time_ms, tb_ratio))
        return ProfileTable('tiny', '', 'fake', 'none', 'default', {}, tuple(rows))
    return build


@pytest.fixture
def bench(make_batch, make_frame):
    """Return a builder of benches; they are stopped at the end."""
    built = []

    def build(networks=None, **options):
        bench = CoreBench(make_batch, make_frame, networks, **options)
        built.append(bench)
        bench.step()
        return bench

    yield build
    for bench in built:
        bench.stop()
        assert bench.free()


@pytest.fixture
def leading(bench, make_profile):
    """Return a builder of benches where `net` and `other` have segments of 0.1 s, and a lead."""
    def build(scheduler='edf', segments=3, lead_s=LEAD_S, levels=1, poll_s=None, gated=False,
              **options):
        network = {'segments': segments, 'profile': make_profile(0.1 * segments, 0.0, segments)}
        device = {'lead_s': lead_s, 'levels': levels, 'poll_s': poll_s, 'gated': gated}
        return bench({'net': network, 'other': network}, scheduler=scheduler, device=device,
                     **options)
    return build


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    """Keep the user's plans and profiles out of the tests."""
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))


@pytest.fixture
def make_executor(fake_engine, executor_settings, make_spec, tiny_onnx, sentences):
    """Return a builder of benches; they are closed at the end."""
    built = []

    def build(instances=('net',), engine=None, clock=None, spec=None, specs=None, network=None,
              board_context=ALONE, **values):
        clock = clock or VirtualClock(NOW_S)
        spec = spec or make_spec(onnx=tiny_onnx, decoder_options={'top_k': 3})
        built.append(Bench(engine or fake_engine(clock, **network or {}), clock,
                           executor_settings(instances, **{'late_policy': 'run', **values}),
                           specs or dict.fromkeys(instances, spec), board_context))
        sentences.callbacks.append(built[-1].complain)
        return built[-1]

    yield build
    for bench in built:
        bench.close()


@pytest.fixture
def cuttable(make_spec, tmp_path):
    """Return a network that can be cut behind 'a', 'b' and 'c'; planned are two segments."""
    names = ['x', 'a', 'b', 'c']
    nodes = [helper.make_node('Neg', [before], [after])
             for before, after in zip(names, names[1:])]
    graph = helper.make_graph(
        [*nodes, helper.make_node('GlobalAveragePool', ['c'], ['scores'])], 'chain',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', 3, 4, 4])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', 3, 1, 1])])
    path = tmp_path / 'chain.onnx'
    onnx.save(helper.make_model(graph, ir_version=8,
                                opset_imports=[helper.make_opsetid('', 13)]), str(path))
    found = Cuttable(make_spec(name='chain', onnx=path))
    found.plan(('b',))
    return found
