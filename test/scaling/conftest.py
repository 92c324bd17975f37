"""Small networks, and what runs them."""

import sys
from pathlib import Path

import pytest

# importlib mode leaves the tests' directories off sys.path
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep the user's cache and model path out of the tests."""
    monkeypatch.setenv('S3DNN_CACHE', str(tmp_path / 'cache'))
    monkeypatch.delenv('S3DNN_MODEL_PATH', raising=False)
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
