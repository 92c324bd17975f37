"""The fake engine, a core that runs on it, and times as a profile has them."""

import sys
from pathlib import Path

import pytest

from s3dnn_ros.profiling.table import ProfileRow, ProfileTable

# importlib mode leaves the tests' directories off sys.path; core_bench and fake_engine are here
sys.path.insert(0, str(Path(__file__).parent))

from core_bench import LEAD_S, CoreBench
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
    def build(scheduler='edf', segments=3, lead_s=LEAD_S, levels=1, poll_s=None, **options):
        network = {'segments': segments, 'profile': make_profile(0.1 * segments, 0.0, segments)}
        device = {'lead_s': lead_s, 'levels': levels, 'poll_s': poll_s}
        return bench({'net': network, 'other': network}, scheduler=scheduler, device=device,
                     **options)
    return build
