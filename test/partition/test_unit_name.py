"""Names of units are read in their short forms, written in full, or refused in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.partition import UnitName

DEVICES = {'onnxruntime': ['cpu', 'openvino:gpu'], 'torch': ['cuda:0', 'cuda:7'],
           'tensorrt': ['gpu:0', 'gpu:1', 'dla:1']}


@st.composite
def names(draw):
    engine = draw(st.sampled_from(sorted(DEVICES)))
    device = draw(st.sampled_from(DEVICES[engine]))
    threads = draw(st.integers(0, 64)) if engine == 'onnxruntime' else 0
    sms = draw(st.integers(0, 132)) if device[0] in 'cg' and engine != 'onnxruntime' else 0
    return UnitName(engine, device, threads, sms, draw(st.integers(1, 4)))


@given(name=names())
def test_what_is_written_is_read_again(name):
    assert UnitName.parse(str(name)) == name


@pytest.mark.parametrize('text, full, number', [
    ('onnxruntime', 'onnxruntime:cpu', 0), ('onnxruntime:cpu,threads=2', None, 0),
    ('onnxruntime:openvino', 'onnxruntime:openvino:gpu', 0), ('torch', 'torch:cuda:0', 0),
    ('torch:cuda', 'torch:cuda:0', 0), ('torch:cuda:1,sms=64,copy=2', None, 1),
    ('tensorrt:gpu', 'tensorrt:gpu:0', 0), ('tensorrt:gpu1', 'tensorrt:gpu:1', 1),
    ('tensorrt:dla1', 'tensorrt:dla:1', 1), (' tensorrt ', 'tensorrt:gpu:0', 0)])
def test_short_forms_are_written_in_full(text, full, number):
    name = UnitName.parse(text)
    assert str(name) == (full or text) and name.number == number


@pytest.mark.parametrize('text, sentence', [
    ('', 'expected ENGINE:DEVICE such as onnxruntime:cpu'), ('cpu', 'expected ENGINE:DEVICE'),
    ('tvm:cpu', 'expected ENGINE:DEVICE'), ('torch:cpu', 'expected ENGINE:DEVICE'),
    ('torch:cuda:٢', 'expected ENGINE:DEVICE'), ('torch:cuda:01', 'expected ENGINE:DEVICE'),
    ('torch:cuda:-1', 'expected ENGINE:DEVICE'), ('tensorrt:dla12', 'expected ENGINE:DEVICE'),
    ('onnxruntime:openvino:tpu', 'expected ENGINE:DEVICE'),
    ('onnxruntime:cpu,threads', "'threads' is none of its options; expected threads, sms, copy"),
    ('onnxruntime:cpu,threads=0', "'threads=0' is none of its options"),
    ('onnxruntime:cpu,threads=٢', 'is none of its options'),
    ('onnxruntime:cpu,threads=1,threads=2', "'threads=2' is none of its options"),
    ('onnxruntime:cpu,', "'' is none of its options"),
    ('torch:cuda:0,sms=5000', 'from 1 to 4096'),
    ('torch:cuda:0,threads=2', 'threads are for units on the CPU'),
    ('onnxruntime:cpu,sms=8', 'sms are for units on a GPU'),
    ('tensorrt:dla0,sms=8', 'sms are for units on a GPU')])
def test_what_is_no_unit_is_refused(text, sentence):
    with pytest.raises(ParameterError) as caught:
        UnitName.parse(text)
    assert sentence in str(caught.value)
