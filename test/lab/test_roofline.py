"""Times by the clocks: nothing is faster than the arithmetic or the memory lets it be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.lab.board import GPU, MEMORY
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.layers import Layer
from s3dnn_ros.lab.roofline import BLOCK, Roofline

BOARD = load_board('agx_xavier')
GPU_MHZ = st.sampled_from(BOARD.clocks[GPU].steps_mhz)
MEMORY_MHZ = st.sampled_from(BOARD.clocks[MEMORY].steps_mhz)
LAYERS = st.lists(st.builds(
    Layer, st.floats(0.0, 1e10), st.floats(1.0, 1e8), st.floats(0.0, 1e8), st.floats(1.0, 1e7),
    st.booleans()), min_size=1, max_size=5)
ROOFLINE = Roofline(BOARD)


def bounds_s(layers, batch, gpu_mhz, memory_mhz):
    """Return the least time by the peaks of arithmetic and memory."""
    flops = sum(batch * layer.flops for layer in layers)
    size = 2.0 * sum(batch * layer.moved + layer.weights for layer in layers)
    return (flops / (1e6 * gpu_mhz * BOARD.flops_per_clock['fp16']),
            size / (1e6 * memory_mhz * BOARD.bytes_per_clock))


@given(LAYERS, st.integers(1, 16), GPU_MHZ, MEMORY_MHZ)
def test_no_peak_is_exceeded(layers, batch, gpu_mhz, memory_mhz):
    run = ROOFLINE.run(layers, batch, gpu_mhz, memory_mhz)
    assert run.time_s > max(bounds_s(layers, batch, gpu_mhz, memory_mhz))
    assert 0.0 < run.utilization <= 1.0 + 1e-9 and 0.0 < run.traffic <= 1.0 + 1e-9


@given(LAYERS, st.integers(1, 16), GPU_MHZ, GPU_MHZ, MEMORY_MHZ, MEMORY_MHZ)
def test_higher_clocks_and_fewer_images_are_never_slower(layers, batch, gpu, more_gpu, memory,
                                                         more_memory):
    gpu, more_gpu = sorted((gpu, more_gpu))
    memory, more_memory = sorted((memory, more_memory))
    slow = ROOFLINE.run(layers, batch + 1, gpu, memory).time_s
    assert ROOFLINE.run(layers, batch + 1, more_gpu, more_memory).time_s <= slow * (1 + 1e-9)
    assert ROOFLINE.run(layers, batch, gpu, memory).time_s <= slow * (1 + 1e-9)


@given(LAYERS, LAYERS, GPU_MHZ, MEMORY_MHZ)
def test_layers_take_their_times_one_behind_the_other(first, second, gpu_mhz, memory_mhz):
    whole = ROOFLINE.run([*first, *second], 1, gpu_mhz, memory_mhz)
    parts = [ROOFLINE.run(each, 1, gpu_mhz, memory_mhz) for each in (first, second)]
    assert whole.time_s == pytest.approx(sum(part.time_s for part in parts))
    assert whole.utilization == pytest.approx(
        sum(part.time_s * part.utilization for part in parts) / whole.time_s)
    assert whole.traffic == pytest.approx(
        sum(part.time_s * part.traffic for part in parts) / whole.time_s)


@pytest.mark.parametrize(('layer', 'gpu_mhz', 'memory_mhz', 'faster'), [
    # arithmetic follows the GPU, traffic the memory
    (Layer(1e10, 1.0, 0.0, 1e6), 2.0, 1.0, 2.0), (Layer(1e10, 1.0, 0.0, 1e6), 1.0, 2.0, 1.0),
    (Layer(1.0, 1e9, 0.0, 1e6), 1.0, 2.0, 2.0), (Layer(1.0, 1e9, 0.0, 1e6), 2.0, 1.0, 1.0)])
def test_each_layer_follows_the_clock_that_limits_it(layer, gpu_mhz, memory_mhz, faster):
    slow = ROOFLINE.run([layer], 1, 400.0, 800.0).time_s
    fast = ROOFLINE.run([layer], 1, 400.0 * gpu_mhz, 800.0 * memory_mhz).time_s
    assert slow / fast == pytest.approx(faster, rel=0.02)


def test_few_thread_blocks_leave_multiprocessors_free_and_a_batch_fills_them():
    small = Layer(1e10, 1.0, 0.0, 2 * BLOCK)
    run = ROOFLINE.run([small], 1, 1377.0, 2133.0)
    assert run.utilization == pytest.approx(2 / 8)
    batch = ROOFLINE.run([small], 4, 1377.0, 2133.0)
    assert batch.utilization == pytest.approx(1.0)
    assert batch.time_s == pytest.approx(run.time_s, rel=1e-3)


def test_weights_are_read_once_for_a_batch():
    layer = Layer(1.0, 10.0, 1e7, 1.0)
    one, eight = (ROOFLINE.run([layer], batch, 1377.0, 2133.0).time_s for batch in (1, 8))
    assert eight == pytest.approx(one, rel=1e-3)
    assert one > 1e7 * 2.0 / (2133e6 * 64)


def test_without_tensor_cores_the_rate_is_that_of_fp32():
    dense, plain = (ROOFLINE.run([Layer(1e11, 1.0, 0.0, 1e6, is_dense)], 1, 1377.0, 2133.0).time_s
                    for is_dense in (True, False))
    assert plain / dense == pytest.approx(8.0, rel=0.01)


def test_a_profile_has_the_times_at_the_highest_clocks():
    segments = [[Layer(1e9, 1e6, 1e5, 1e5)], [Layer(1e8, 1e7, 0.0, 1e5)] * 2]
    table = ROOFLINE.profile('net', segments, (1, 4))
    assert (table.segments, table.batches, table.device) == (2, (1, 4), 'agx_xavier')
    for batch in (1, 4):
        runs = [ROOFLINE.run(layers, batch, 1377.0, 2133.0) for layers in segments]
        assert table.segment_times_s(batch) == pytest.approx([run.time_s for run in runs])
        assert [table.utilization(segment, batch) for segment in range(2)] == [
            run.utilization for run in runs]


def test_a_precision_that_no_board_tells():
    with pytest.raises(ValueError, match="precision is 'int8'; expected one of fp32, fp16"):
        Roofline(BOARD, 'int8')
