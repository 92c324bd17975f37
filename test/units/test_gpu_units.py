"""Units on GPUs of NVIDIA: parts of one side by side, several of them, and the CPU beside them."""

import numpy as np
import pytest

from s3dnn_ros.base.clock import SystemClock
from s3dnn_ros.models.cut_network import whole
from s3dnn_ros.units.open import open_units
from s3dnn_ros.units.split_network import SplitNetwork

torch = pytest.importorskip('torch')
if not torch.cuda.is_available():
    pytest.skip('there is no CUDA device', allow_module_level=True)
pytest.importorskip('onnxruntime')

CPU = 'onnxruntime:cpu,threads=1'
TOLERANCE = 2e-3        # of float16


@pytest.mark.parametrize('names', [
    ('torch:cuda:0', CPU),
    ('torch:cuda:0,sms=16', 'torch:cuda:0,sms=8', CPU),
    pytest.param(('torch:cuda:0', 'torch:cuda:1'), marks=pytest.mark.skipif(
        torch.cuda.device_count() < 2, reason='there is one GPU'))])
def test_all_units_give_the_results_of_the_cpu(tiny_onnx, make_spec, names):
    clock, cut = SystemClock(), whole(make_spec(onnx=tiny_onnx))
    cpu, *units = open_units((CPU + ',copy=9', *names), clock)
    network = SplitNetwork(units, lambda unit: cut.load(unit, max_batch=8), clock)
    pixels = np.random.default_rng(0).integers(0, 256, (3 * len(names), 4, 4, 3), np.uint8)
    wanted = cut.load(cpu, max_batch=9).run(pixels)['scores']
    for _ in range(3):
        answer = network.run(pixels)
        assert not network.left_out and len(answer.parts) == len(names)
        np.testing.assert_allclose(answer.outputs['scores'].reshape(wanted.shape), wanted,
                                   atol=TOLERANCE * np.abs(wanted).max())
    for unit in (cpu, *units):
        unit.close()
