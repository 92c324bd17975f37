"""Thread blocks over those the GPU can host, as CUDA's occupancy calculator counts them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.engines.torch.occupancy import Kernel, Multiprocessors, kernels_of, tb_ratio

# one multiprocessor of compute capability 9.0, and the 132 of an H200
ONE = Multiprocessors(1, 2048, 65536, 228 * 1024, 32)
H200 = Multiprocessors(132, 2048, 65536, 228 * 1024, 32)

kernels = st.builds(Kernel, st.floats(0.1, 1e3), st.integers(1, 100_000), st.integers(1, 1024),
                    st.integers(0, 255), st.integers(0, 227 * 1024))


def kernel(blocks=1, threads=128, registers=0, shared_bytes=0, time_us=1.0):
    return Kernel(time_us, blocks, threads, registers, shared_bytes)


@pytest.mark.parametrize('threads, registers, shared_bytes, resident', [
    (32, 0, 0, 32),                 # the most blocks
    (128, 0, 0, 16),                # threads: 2048 / 128
    (1024, 0, 0, 2),
    (768, 0, 0, 2),
    (33, 0, 0, 32),                 # two whole warps
    (130, 0, 0, 12),                # five whole warps, 160 threads
    (256, 32, 0, 8),                # registers: 32 · 32 of 65536 in each warp, 64 warps
    (256, 64, 0, 4),
    (256, 255, 0, 1),
    (1024, 64, 0, 1),
    (128, 33, 0, 12),               # 33 take the room of 40: 51 warps, of them 48
    (96, 33, 0, 16),
    (64, 0, 0, 32),
    (64, 0, 8 * 1024, 25),          # shared memory: 228 KiB / 9 KiB
    (64, 0, 100 * 1024, 2),
    (64, 0, 227 * 1024, 1),
    (256, 64, 100 * 1024, 2),       # the least of all limits
])
def test_as_many_blocks_are_resident_as_the_scarcest_resource_allows(
        threads, registers, shared_bytes, resident):
    found = kernel(1, threads, registers, shared_bytes)
    assert found.resident_blocks(ONE) == resident
    assert found.resident_blocks(H200) == 132 * resident
    assert kernel(66 * resident, threads, registers, shared_bytes).tb_ratio(H200) == 0.5


def test_a_kernel_that_ran_fits_at_least_once():
    assert kernel(threads=1024, registers=255, shared_bytes=2**20).resident_blocks(ONE) == 1


@given(kernels, st.integers(1, 200))
def test_more_of_a_resource_never_hosts_fewer_blocks(found, count):
    larger = Multiprocessors(count, 4096, 2 * 65536, 2 * 228 * 1024, 64)
    assert 0 < found.resident_blocks(ONE) * count <= found.resident_blocks(larger)
    assert found.tb_ratio(ONE) == found.blocks / found.resident_blocks(ONE)


def test_ratios_are_weighted_by_time():
    # 8 of 16 and 4 of 16 blocks
    ratio = tb_ratio([kernel(8, time_us=30.0), kernel(4, time_us=10.0)], ONE)
    assert ratio == pytest.approx((0.5 * 30 + 0.25 * 10) / 40)


def test_no_kernel_counts_for_more_than_a_full_device():
    assert tb_ratio([kernel(1600)], ONE) == 1.0
    assert tb_ratio([kernel(1600), kernel(8)], ONE) == pytest.approx(0.75)


def test_without_kernels_the_device_counts_as_full():
    assert tb_ratio([], ONE) == tb_ratio([kernel(time_us=0.0)], ONE) == 1.0
    assert tb_ratio(iter([kernel(8)]), ONE) == 0.5


@given(st.lists(kernels, min_size=1, max_size=6))
def test_the_ratio_lies_between_those_of_the_kernels(found):
    ratios = [min(1.0, item.tb_ratio(H200)) for item in found]
    assert min(ratios) * (1 - 1e-9) <= tb_ratio(found, H200) <= max(ratios) * (1 + 1e-9)


def event(name, start_us, time_us, grid, block, **arguments):
    return {'ph': 'X', 'cat': 'kernel', 'name': name, 'ts': start_us, 'dur': time_us,
            'args': {'grid': grid, 'block': block, **arguments}}


def test_the_kernels_of_a_trace_come_in_the_order_of_their_time(tmp_path):
    path = tmp_path / 'trace.json'
    events = [
        {'ph': 'M', 'name': 'process_name', 'args': {'name': 'python'}},
        {'ph': 'X', 'cat': 'cuda_runtime', 'name': 'cudaLaunchKernel', 'ts': 1, 'dur': 5,
         'args': {}},
        event('relu', 30.5, 2.25, [8, 1, 1], [256, 1, 1]),
        {'ph': 'X', 'cat': 'gpu_memcpy', 'name': 'Memcpy HtoD', 'ts': 5, 'dur': 3, 'args': {}},
        event('gemm', 10.0, 20, [4, 3, 2], [16, 8, 1],
              **{'registers per thread': 64, 'shared memory': 49152}),
    ]
    path.write_text(json.dumps({'schemaVersion': 1, 'traceEvents': events}))
    assert kernels_of(path) == kernels_of(str(path)) == (
        Kernel(20.0, 24, 128, 64, 49152), Kernel(2.25, 8, 256, 0, 0))


def test_a_trace_without_kernels_has_none(tmp_path):
    path = tmp_path / 'trace.json'
    path.write_text('{"traceEvents": []}')
    assert kernels_of(path) == ()
