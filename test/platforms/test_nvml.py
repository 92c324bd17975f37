"""A discrete GPU's energy by NVIDIA's library, or a sentence on why not."""

import sys
import types

import pytest

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.nvml import NvmlMeter


class FakeNvml(types.ModuleType):
    """Two GPUs, of which the second has no energy counter."""

    class NVMLError(Exception):
        pass

    def __init__(self):
        super().__init__('pynvml')
        self.open = 0
        self.energy_mj = 5000

    def nvmlInit(self):
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetHandleByIndex(self, index):
        if index > 1:
            raise self.NVMLError('Invalid Argument')
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return {'GPU-first': 0}[uuid]

    def nvmlDeviceGetPowerUsage(self, handle):
        return 71500

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if handle == 1:
            raise self.NVMLError('Not Supported')
        return self.energy_mj


@pytest.fixture
def fake_nvml(monkeypatch):
    nvml = FakeNvml()
    monkeypatch.setitem(sys.modules, 'pynvml', nvml)
    return nvml


@pytest.mark.parametrize('gpu', [0, 'GPU-first'])
def test_energy_since_it_was_made(fake_nvml, gpu):
    meter = NvmlMeter(gpu)
    fake_nvml.energy_mj += 250
    assert meter.energy_mj() == 250.0
    assert meter.power_mw() == 71500.0
    meter.close()
    assert fake_nvml.open == 0


@pytest.mark.parametrize('gpu, reason', [(7, 'Invalid Argument'), (1, 'Not Supported')])
def test_a_gpu_that_cannot_be_measured(fake_nvml, gpu, reason):
    with pytest.raises(PlatformError, match=rf'GPU {gpu}: its power cannot be read \({reason}\)'):
        NvmlMeter(gpu)
    assert fake_nvml.open == 0


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pynvml', None)
    with pytest.raises(PlatformError, match='pip install nvidia-ml-py'):
        NvmlMeter()
