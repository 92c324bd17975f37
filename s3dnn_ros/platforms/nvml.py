"""What a discrete GPU draws, by NVIDIA's management library."""

from __future__ import annotations

from s3dnn_ros.errors import PlatformError


class NvmlMeter:
    """Reads the GPU's own energy counter, which runs from when the meter was made.

    Parameters
    ----------
    gpu : int or str
        Its number, or its UUID.

    Raises
    ------
    PlatformError
        The library is not there, or knows no such GPU, or the GPU has no counter.

    """

    period_s = 1.0      # the driver takes 3.4 ms to tell, of an H200, and misses nothing

    def __init__(self, gpu=0):
        try:
            import pynvml
        except ImportError:
            raise PlatformError('pynvml', 'the library for the power of an NVIDIA GPU is '
                                'missing; run: pip install nvidia-ml-py') from None
        self._nvml = pynvml
        self._gpu = gpu
        self._call(pynvml.nvmlInit)
        try:
            find = (pynvml.nvmlDeviceGetHandleByIndex if isinstance(gpu, int)
                    else pynvml.nvmlDeviceGetHandleByUUID)
            self._handle = self._call(find, gpu)
            self._begin_mj = self._counter_mj()
        except PlatformError:
            pynvml.nvmlShutdown()
            raise

    def power_mw(self) -> float:
        """Return what the GPU draws, as the driver averages it."""
        return float(self._call(self._nvml.nvmlDeviceGetPowerUsage, self._handle))

    def energy_mj(self) -> float:
        """Return what the GPU has used since the meter was made."""
        return self._counter_mj() - self._begin_mj

    def close(self):
        """Give the library back."""
        self._nvml.nvmlShutdown()

    def _counter_mj(self):
        return float(self._call(self._nvml.nvmlDeviceGetTotalEnergyConsumption, self._handle))

    def _call(self, function, *arguments):
        try:
            return function(*arguments)
        except self._nvml.NVMLError as error:
            raise PlatformError(f'GPU {self._gpu}', f'its power cannot be read ({error}); see '
                                'what nvidia-smi says of it') from error
