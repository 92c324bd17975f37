"""Files of a series: read by every reader, shared weights once, as large as is said."""

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import arrays, image, plain, run

from s3dnn_ros.models.graph import parse
from s3dnn_ros.scaling.series import in_equal_steps
from s3dnn_ros.scaling.store import storage_of, write
from s3dnn_ros.scaling.width import Width

WIDTH = Width(plain((16, 40, 24)))
SHARED = 2
MODELS = in_equal_steps(WIDTH, 3, 0.5, SHARED)
NAMES = WIDTH.layers.constants(SHARED)


def sizes(folder):
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def test_storage_is_what_lies_on_the_disk(tmp_path):
    write(MODELS, NAMES, tmp_path, 'net')
    storage, found = storage_of(MODELS, NAMES, 'net'), sizes(tmp_path)
    assert storage.total == sum(found.values())
    assert storage.shared == found['net_shared.bin'] > 0
    assert storage.private == tuple(
        found[f'net_{index}.onnx'] + found[f'net_{index}.bin'] for index in range(len(MODELS)))


def test_shared_weights_are_there_once():
    saved = storage_of(MODELS, frozenset(), 'net').total - storage_of(MODELS, NAMES, 'net').total
    large = sum(array.nbytes for name, array in arrays(MODELS[0]).items()
                if name in NAMES and array.nbytes >= 1024)
    # but for what the graphs say of where their weights are
    assert saved == pytest.approx(large * (len(MODELS) - 1), rel=0.01)


def test_the_ordinary_readers_find_the_weights(tmp_path):
    for model, path in zip(MODELS, write(MODELS, NAMES, tmp_path, 'net')):
        session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
        expected = run(model, image())[0]
        np.testing.assert_array_equal(session.run(None, {'x': image()})[0], expected)
        for name, array in arrays(parse(path, 'again')).items():
            np.testing.assert_array_equal(array, arrays(model)[name])


def test_no_files_are_left_of_what_was_there_before(tmp_path):
    (tmp_path / 'other.onnx').touch()
    write(MODELS, NAMES, tmp_path, 'net')
    write(MODELS[:2], frozenset(), tmp_path, 'net')
    assert set(sizes(tmp_path)) == {'other.onnx', 'net_0.onnx', 'net_0.bin', 'net_1.onnx',
                                    'net_1.bin'}


def test_numbers_that_a_file_holds_as_a_list_are_stored_as_well(tmp_path):
    model = plain((16, 16))
    for tensor in model.graph.initializer:
        values = arrays(model)[tensor.name]
        tensor.CopyFrom(onnx.helper.make_tensor(tensor.name, tensor.data_type, tensor.dims,
                                                values.reshape(-1)))
    path, = write([model], frozenset(), tmp_path, 'net')
    for name, array in arrays(parse(path, 'again')).items():
        np.testing.assert_array_equal(array, arrays(model)[name])
