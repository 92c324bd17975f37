"""Small networks, and what runs them."""

import sys
from pathlib import Path

import pytest

from s3dnn_ros.models.spec import ModelSpec

# importlib mode leaves the tests' directories off sys.path
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep the user's cache and model path out of the tests."""
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    monkeypatch.delenv('S3DNN_MODEL_PATH', raising=False)
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)


@pytest.fixture
def spec(tmp_path):
    """Return the description of a small classifier; nobody has written its file."""
    from networks import SIDE

    return ModelSpec(
        name='net', onnx=tmp_path / 'net.onnx', width=SIDE, height=SIDE, colour='bgr',
        mean=(0, 0, 0), std=(255, 255, 255), resize='stretch', decoder='classification',
        decoder_options={'softmax': True})


@pytest.fixture
def one_thread():
    """Keep torch's threads from waiting for each other where other tests run as well."""
    torch = pytest.importorskip('torch')
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
