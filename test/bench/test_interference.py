"""Another program on the device: it comes up, works while it is on, and ends."""

import pytest

from s3dnn_ros.bench.interference import Interference
from s3dnn_ros.bench.processes import ProcessError
from s3dnn_ros.engines.base import DEFAULTS


def test_it_can_be_switched_and_ends(tiny_model):
    pytest.importorskip('onnxruntime')
    with Interference('onnxruntime', DEFAULTS, tiny_model) as interference:
        for on in (True, False, True):
            interference.switch(on)
        process = interference._process
        assert process.is_alive()
    assert not process.is_alive()


def test_one_that_does_not_come_up_is_told(tiny_model):
    with pytest.raises(ProcessError, match='did not come up'):
        Interference('onnxruntime', DEFAULTS, 'no such model')
