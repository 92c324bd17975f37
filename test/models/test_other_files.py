"""A file that is no ONNX file is told by what it is."""

import pytest

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.graph import parse
from s3dnn_ros.models.other_files import what_else


@pytest.mark.parametrize('content, what', [
    (b'version https://git-lfs\noid sha256:0\n', 'git lfs pull'),
    (b'<!DOCTYPE html>', 'page of the web'), (b'<html lang="en">', 'page of the web'),
    (b'<?xml version="1.0"?>', 'OpenVINO'), (b'PK\x03\x04' + bytes(60), 'PyTorch'),
    (b'\x80\x02\x8a\nl\xfc', 'pickled'), (b'\x89HDF\r\n', 'Keras'),
    (b'\x1c\0\0\0TFL3', 'TensorFlow Lite'), (b'ftrt' + bytes(60), 'TensorRT'),
])
def test_what_people_take_for_a_network_is_told(content, what, tmp_path):
    path = tmp_path / 'net.onnx'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f'net.onnx: (is|holds) .*{what}') as caught:
        parse(path, 'copy it again')
    assert 'copy it again' not in str(caught.value)


@pytest.mark.parametrize('content', [b'', b'\x08\x07\x12', b'  <!'])
def test_of_others_nothing_is_said(content, tmp_path):
    (tmp_path / 'net.onnx').write_bytes(content)
    assert what_else(tmp_path / 'net.onnx') == ''
