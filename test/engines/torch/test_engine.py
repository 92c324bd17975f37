"""The torch engine on a CUDA device: results, batches, lanes, segments, levels, errors."""

import gc
import itertools
import time
import weakref

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='PyTorch is not here')
if not torch.cuda.is_available():
    pytest.skip('there is no CUDA device', allow_module_level=True)

import onnxruntime

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.engines import make_engine
from s3dnn_ros.engines.base import BuildOptions
from s3dnn_ros.engines.gates.gates import Gates
from s3dnn_ros.models.graph import with_image_input
from s3dnn_ros.models.segmentation import cut_points, split

TOLERANCE = 0.02       # of float16, relative to the largest output
WAIT_S = 30.0
SIDE = 32


@pytest.fixture(scope='module', params=['launched', 'gated', 'windows'])
def engine(request):
    with pytest.MonkeyPatch.context() as patch:
        if request.param == 'windows':
            patch.setattr(Gates, '_graphs', no_graphs)
        engine, _ = make_engine('torch', SystemClock(), gates=request.param != 'launched')
    if request.param != 'launched' and not engine.gated:
        pytest.skip(engine.gates_note)
    assert bool(engine.gates_note) == (request.param == 'windows')
    yield engine
    engine.close()


def no_graphs(gates):
    raise RuntimeError('graphs are not wanted')


@pytest.fixture(scope='module')
def spec(make_spec):
    return make_spec(width=SIDE, height=SIDE)


@pytest.fixture(scope='module')
def model(spec, tmp_path_factory):
    """Return a small network with a branch, exported, with the image input."""
    torch.manual_seed(0)

    class Small(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(3, 16, 3, padding=1)
            self.second = torch.nn.Conv2d(16, 16, 3, padding=1)
            self.third = torch.nn.Conv2d(16, 32, 3, stride=2)
            self.last = torch.nn.Linear(32, 10)

        def forward(self, x):
            x = torch.relu(self.first(x))
            x = torch.relu(x + self.second(x))
            return self.last(self.third(x).mean((2, 3)))

    return exported(Small(), spec, tmp_path_factory.mktemp('torch') / 'small.onnx')


@pytest.fixture(scope='module')
def wide_model(spec, tmp_path_factory):
    """Return a network whose layers fill any device at batch 8."""
    layers = [torch.nn.Conv2d(3, 512, 1)]
    layers += [torch.nn.Conv2d(512, 512, 3, padding=1) for _ in range(4)]
    layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    return exported(torch.nn.Sequential(*layers), spec,
                    tmp_path_factory.mktemp('torch') / 'wide.onnx')


def exported(module, spec, path):
    import onnx

    torch.onnx.export(module.eval(), (torch.zeros(1, 3, SIDE, SIDE),), str(path),
                      input_names=['input'], output_names=['scores'], dynamo=False,
                      dynamic_axes={'input': {0: 'N'}, 'scores': {0: 'N'}})
    return with_image_input(onnx.load(str(path)), spec)


@pytest.fixture(scope='module')
def expected(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=['CPUExecutionProvider'])

    def run(pixels):
        return session.run(['scores'], {session.get_inputs()[0].name: pixels})[0]
    return run


@pytest.fixture(scope='module')
def load(engine, model, spec):
    def build(cut=True, **options):
        segments = [segment.model for segment in split(model, cut_points(model))] \
            if cut else [model]
        return engine.load('net', segments, ['scores'], spec, **options)
    return build


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def assert_close(found, wanted):
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize('cut', [False, True])
@pytest.mark.parametrize('count', [1, 2, 3, 5, 8])
def test_results_are_those_of_onnxruntime_at_any_batch(load, expected, cut, count):
    network = load(cut, max_batch=8)
    assert network.segments > 1 or not cut
    assert network.batches == (1, 2, 4, 8)
    pixels = images(count)
    assert_close(network.run(pixels)['scores'], expected(pixels))


def test_in_single_precision_results_are_as_exact_as_on_the_cpu(model, spec, expected):
    engine, _ = make_engine('torch', SystemClock(), build=BuildOptions('fp32'))
    try:
        assert engine.precision == 'fp32' and engine.device.endswith(', fp32')
        pixels = images(3)
        found, wanted = engine.load('net', [model], ['scores'], spec, max_batch=4).run(
            pixels)['scores'], expected(pixels)
        assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
    finally:
        engine.close()


def test_int8_is_not_for_pytorch_and_that_is_said():
    engine, reason = make_engine('torch', SystemClock(), build=BuildOptions('int8'))
    engine.close()
    assert engine.precision == 'fp16' and 'in fp16, not in int8' in reason


def test_staged_requests_run_together_in_their_order(load, expected):
    network = load(max_batch=8)
    parts = [images(count, seed) for seed, count in enumerate((1, 3, 2))]
    flight = network.open([network.stage(part) for part in parts])
    for segment in range(network.segments):
        flight.launch(segment).synchronize()
    assert_close(flight.outputs()['scores'], expected(np.concatenate(parts)))
    flight.close()


def test_lanes_run_side_by_side_and_keep_apart(engine, load, expected):
    network = load(lanes=4, max_batch=2)
    for turn in range(20):
        runs, flights, batches = [], [], []
        for lane in range(4):
            batches.append(images(1 + lane % 2, seed=turn * 4 + lane))
            flights.append(network.open([network.stage(batches[-1])]))
        for segment in range(network.segments):
            for flight in flights:
                flight.submit(segment, runs.append)
        wait(engine, runs, 4 * network.segments)
        assert not any(run.error for run in runs)
        for flight, batch in zip(flights, batches):
            assert_close(flight.outputs()['scores'], expected(batch))
            flight.close()


def test_outputs_stay_valid_when_the_lane_runs_again(load, expected):
    network = load(max_batch=1)
    first, second = images(1, 1), images(1, 2)
    outputs = network.run(first)['scores']
    network.run(second)
    assert_close(outputs, expected(first))


@pytest.mark.parametrize('raw', [True, False])
def test_outputs_come_whole_however_they_lie_in_memory(monkeypatch, spec, raw):
    """A feature map is channels last on the device, and its half is a part of another tensor."""
    import onnx
    from onnx import TensorProto, helper

    if not raw:
        monkeypatch.setattr('s3dnn_ros.engines.torch.engine._cuda', lambda torch: None)
    weights = np.random.default_rng(0).normal(0.0, 0.1, (16, 3, 3, 3)).astype(np.float32)
    model = with_image_input(helper.make_model(helper.make_graph(
        [helper.make_node('Conv', ['input', 'weights'], ['map'], pads=[1, 1, 1, 1]),
         helper.make_node('Split', ['map'], ['half', 'other'], axis=1),
         helper.make_node('Transpose', ['other'], ['turned'], perm=[0, 2, 3, 1])], 'maps',
        [helper.make_tensor_value_info('input', TensorProto.FLOAT, ['N', 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
         for name in ('map', 'half', 'turned')],
        [onnx.numpy_helper.from_array(weights, 'weights')]),
        opset_imports=[helper.make_opsetid('', 13)], ir_version=8), spec)
    pixels = images(3)
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=['CPUExecutionProvider'])
    names = ['map', 'half', 'turned']
    wanted = dict(zip(names, session.run(names, {session.get_inputs()[0].name: pixels})))
    engine, _ = make_engine('torch', SystemClock())
    network = engine.load('net', [model], names, spec, max_batch=4)
    found = network.run(pixels)
    for name in names:
        assert_close(found[name], wanted[name])
    engine.close()


def test_a_network_that_is_gone_takes_its_lanes_along(engine, load):
    network = load(lanes=2, max_batch=2)
    network.run(images(1))
    lanes = [weakref.ref(lane) for lane in network._lanes]
    del network
    gc.collect()
    assert not any(lane() for lane in lanes)


def test_done_is_called_by_poll_after_the_work(engine, load):
    network = load()
    flight = network.open([network.stage(images(1))])
    runs = []
    flight.submit(0, runs.append)
    assert not runs
    wait(engine, runs, 1)
    assert runs[0].ended_s >= runs[0].started_s
    for segment in range(1, network.segments):
        flight.submit(segment, runs.append)
    wait(engine, runs, network.segments)
    flight.close()


def levels_of(engine, count, start=0):
    """Return so many levels, no two of the same in a row where there are two."""
    # the most urgent and the least in turn, and all that lie between
    order = [level for pair in zip(range(engine.levels), reversed(range(engine.levels)))
             for level in pair][:engine.levels]
    return [order[(start + index) % engine.levels] for index in range(count)]


def test_with_cuda_bindings_there_are_levels_of_urgency(engine):
    pytest.importorskip('cuda.bindings', reason='cuda-bindings are not here')
    if not hasattr(torch.cuda.CUDAGraph, 'raw_cuda_graph'):
        pytest.skip('this PyTorch keeps its graphs to itself')
    assert (engine.levels == 1) if engine.gated else (engine.levels >= 2)


def test_without_a_way_to_priorities_there_is_one_level(monkeypatch, model, spec, expected):
    monkeypatch.setattr('s3dnn_ros.engines.torch.engine._cuda', lambda torch: None)
    engine, _ = make_engine('torch', SystemClock())
    assert engine.levels == 1
    network = engine.load('net', [model], ['scores'], spec)
    pixels = images(1)
    assert_close(network.run(pixels)['scores'], expected(pixels))
    engine.close()


@pytest.mark.parametrize('count', [1, 3])
def test_results_are_the_same_whatever_level_each_segment_is_launched_on(
        engine, load, expected, count):
    network = load(max_batch=4)
    pixels = images(count)
    wanted = network.run(pixels)['scores'].copy()
    assert_close(wanted, expected(pixels))
    for start in range(engine.levels):
        flight = network.open([network.stage(pixels)])
        for segment, level in enumerate(levels_of(engine, network.segments, start)):
            flight.launch(segment, level).synchronize()
        assert_close(flight.outputs()['scores'], wanted)
        flight.close()


def test_segments_keep_their_order_though_each_is_on_another_level(engine, load, expected):
    network = load(lanes=2, max_batch=4)
    assert network.segments > 1
    for turn in range(20):
        flights, batches, last = [], [], []
        for lane in range(2):
            batches.append(images(1 + (turn + lane) % 4, seed=turn * 2 + lane))
            flights.append(network.open([network.stage(batches[-1])]))
        # nothing waits in between: only the device keeps the order
        for flight in flights:
            for segment, level in enumerate(levels_of(engine, network.segments, turn)):
                event = flight.launch(segment, level)
            last.append(event)
        for flight, batch, event in zip(flights, batches, last):
            event.synchronize()
            assert_close(flight.outputs()['scores'], expected(batch))
            flight.close()


def test_the_next_flight_of_a_lane_may_begin_on_another_level(engine, load, expected):
    network = load(max_batch=1)
    for turn in range(2 * engine.levels):
        pixels, runs = images(1, turn), []
        flight = network.open([network.stage(pixels)])
        for segment in range(network.segments):
            flight.submit(segment, runs.append, turn % engine.levels)
        wait(engine, runs, network.segments)
        assert not any(run.error for run in runs)
        assert_close(flight.outputs()['scores'], expected(pixels))
        flight.close()


def test_a_gated_job_waits_before_every_segment_and_lets_others_pass(engine, load, expected):
    if not engine.gated:
        pytest.skip('nothing waits on the device')
    network = load(lanes=2, max_batch=2)
    pixels = [images(1, 1), images(2, 2)]
    first, second = (network.open([network.stage(part)]) for part in pixels)
    marks = [first.launch(0)]
    marks[0].synchronize()
    for segment in range(network.segments):
        second.launch(segment).synchronize()
        assert marks[0].query() and first.progress() == 1
    assert_close(second.outputs()['scores'], expected(pixels[1]))
    for segment in range(1, network.segments):
        first.launch(segment).synchronize()
    assert_close(first.outputs()['scores'], expected(pixels[0]))
    first.close()
    second.close()


def test_a_gated_job_that_is_held_lets_others_pass(engine, load, expected):
    if not engine.gated:
        pytest.skip('nothing waits on the device')
    network = load(lanes=2, max_batch=1)
    pixels, runs = [images(1, 1), images(1, 2)], []
    held, other = (network.open([network.stage(part)]) for part in pixels)
    held.submit(0, runs.append)
    assert held.hold()
    for flight, first in ((held, 1), (other, 0)):
        for segment in range(first, network.segments):
            flight.submit(segment, runs.append)
    wait(engine, runs, 1 + network.segments)
    assert (held.progress(), other.progress()) == (1, network.segments)
    held.resume()
    wait(engine, runs, 2 * network.segments)
    for flight, part in zip((held, other), pixels):
        assert_close(flight.outputs()['scores'], expected(part))
        flight.close()


def test_jobs_that_were_armed_give_the_same_results_and_what_is_armed_can_be_let_go(
        engine, load, expected):
    if not engine.gated:
        pytest.skip('nothing waits on the device')
    network = load(lanes=3, max_batch=2)
    jobs = [lane._jobs for lane in network._lanes]
    for _ in range(2):
        engine.allow_arming(True)
        for turn in range(40):
            if turn % 4 == 0:
                until(lambda: all(job.armed for job in jobs))
            # mostly of the batch that is armed
            pixels, runs = images(1 + (turn % 8 == 5), turn), []
            flight = network.open([network.stage(pixels)])
            for segment in range(network.segments):
                flight.submit(segment, runs.append, level=turn % engine.levels)
            wait(engine, runs, network.segments)
            assert not any(run.error for run in runs)
            assert_close(flight.outputs()['scores'], expected(pixels))
            flight.close()
        engine.allow_arming(False)
        engine.synchronize()
        assert not any(job.armed for job in jobs)
    # memory can be freed, and kernels run for the first time
    assert_close(load(max_batch=1).run(images(1))['scores'], expected(images(1)))


def test_what_is_armed_and_not_used_is_let_go_after_a_while(engine, load, expected):
    if not engine.gated:
        pytest.skip('nothing waits on the device')
    network = load(lanes=3, max_batch=1)
    jobs = [lane._jobs for lane in network._lanes]
    engine.allow_arming(True)
    until(lambda: all(job.armed for job in jobs))
    until(lambda: not any(job.armed for job in jobs))
    # memory can be freed, and kernels run for the first time, although arming is allowed
    assert_close(load(max_batch=1).run(images(1))['scores'], expected(images(1)))
    assert_close(network.run(images(1))['scores'], expected(images(1)))
    engine.allow_arming(False)


def test_pixels_in_the_engines_memory_are_not_copied(engine, load, expected):
    network = load(lanes=1, max_batch=2)
    memory, pixels = engine.frame_memory(1 << 16), images(2, 5)
    placed = memory[:pixels.size].reshape(pixels.shape)
    placed[:] = pixels
    assert network.stage(placed).data_ptr() == placed.ctypes.data
    assert network.stage(pixels).data_ptr() != pixels.ctypes.data
    assert_close(network.run(placed)['scores'], expected(pixels))


def test_segments_that_are_submitted_together_give_the_same_results(engine, load, expected):
    network = load(lanes=1, max_batch=2)
    for turn in range(3):
        pixels, runs = images(2, turn), []
        flight = network.open([network.stage(pixels)])
        flight.submit(0, runs.append, last=network.segments - 1)
        wait(engine, runs, 1)
        assert not runs[0].error
        assert_close(flight.outputs()['scores'], expected(pixels))
        flight.close()


def until(condition):
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(1e-4)


def test_a_gated_job_that_is_given_up_does_not_keep_its_lane(engine, load, expected):
    network = load(lanes=1, max_batch=1)
    pixels = images(1, 3)
    for _ in range(3):
        flight = network.open([network.stage(images(1, 4))])
        flight.launch(0)
        flight.close()
        assert_close(network.run(pixels)['scores'], expected(pixels))


def test_a_network_tells_its_times_its_share_of_the_device_and_its_memory(load):
    network = load(max_batch=2)
    rows = network.measure(2, 5)
    assert len(rows) == 5
    assert all(len(row) == network.segments and min(row) > 0 for row in rows)
    ratios = network.tb_ratios(2)
    assert len(ratios) == network.segments
    assert all(0 < ratio <= 1 for ratio in ratios)
    assert network.memory_mb(2) >= 0


def test_another_partition_from_one_segment_to_the_next_gives_the_same_results(
        model, spec, expected):
    engine, _ = make_engine('torch', SystemClock(), sms=[8, 16, 0])
    assert engine.partitions[:2] == (8, 16) and engine.partition == 2
    segments = [segment.model for segment in split(model, cut_points(model))]
    network = engine.load('net', segments, ['scores'], spec, max_batch=2)
    for turn in range(6):
        pixels = images(1 + turn % 2, turn)
        flight = network.open([network.stage(pixels)])
        for segment in range(network.segments):
            engine.use((turn + segment) % 3)
            event = flight.launch(segment, level=segment % engine.levels)
        event.synchronize()
        assert_close(flight.outputs()['scores'], expected(pixels))
        flight.close()
    with pytest.raises(IndexError):
        engine.use(3)
    engine.close()


def test_a_part_of_the_device_takes_longer_than_all_of_it(wide_model, spec):
    engine, _ = make_engine('torch', SystemClock(), sms=[8, 0])
    network = engine.load('net', [wide_model], ['scores'], spec, max_batch=8)
    times_s = []
    for partition in range(2):
        engine.use(partition)
        network.measure(8, 3)
        times_s.append(min(sum(row) for row in network.measure(8, 5)))
    assert times_s[0] > 3.0 * times_s[1]
    engine.close()


def test_a_partition_gives_the_same_results(model, spec, expected):
    engine, _ = make_engine('torch', SystemClock(), sms=8)
    network = engine.load('net', [model], ['scores'], spec)
    assert '8 SMs' in engine.device
    pixels = images(1)
    assert_close(network.run(pixels)['scores'], expected(pixels))
    engine.close()


@pytest.mark.parametrize('variants', list(itertools.product(range(3), range(2))))
def test_every_segment_runs_in_the_variant_that_it_is_told(engine, in_variants, variants):
    network = in_variants.load(engine, max_batch=2)
    assert list(network.variants) == [3, 2]
    pixels = in_variants.images(3, 5)
    factor, addend = in_variants.factors[variants[0]], in_variants.addends[variants[1]]
    wanted = np.array([3.0, 5.0]) * factor + addend
    assert network.run(pixels, variants)['score'] == pytest.approx(wanted)
    if engine.gated:
        engine.allow_arming(True)       # or nobody waits to be told the second variant
    flight = network.open([network.stage(pixels)])
    for segment, variant in enumerate(variants):
        event = flight.launch(segment, level=segment % engine.levels, variants=[variant])
    event.synchronize()
    assert flight.outputs()['score'] == pytest.approx(wanted)
    flight.close()
    if engine.gated:
        engine.allow_arming(False)
    # and what ran before leaves nothing behind
    assert network.run(pixels)['score'] == pytest.approx([3.0, 5.0])


def test_variants_are_measured_where_a_segment_has_them(engine, in_variants):
    network = in_variants.load(engine)
    for variant in range(3):
        rows = network.measure(1, 2, variant)
        assert len(rows) == 2 and all(len(row) == 2 and min(row) > 0.0 for row in rows)


def wait(engine, runs, count):
    end_s = time.monotonic() + WAIT_S
    while len(runs) < count:
        assert time.monotonic() < end_s
        engine.poll()
