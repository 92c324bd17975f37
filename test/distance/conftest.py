"""Builders of the messages of depth cameras."""

import sys
from pathlib import Path

import pytest

from s3dnn_ros.distance.camera import PinholeCamera

# importlib mode leaves the tests' directories off sys.path
sys.path.insert(0, str(Path(__file__).parent))
from depth_messages import camera_info, compressed_depth, depth_image, point_cloud


@pytest.fixture(scope='session')
def camera():
    """Return a camera of 64x48 pixels whose pixels are 1/50 m apart at 1 m."""
    return PinholeCamera(50.0, 50.0, 31.5, 23.5, 64, 48)


@pytest.fixture(scope='session')
def make_depth():
    """Return `depth_image`."""
    return depth_image


@pytest.fixture(scope='session')
def make_compressed():
    """Return `compressed_depth`."""
    return compressed_depth


@pytest.fixture(scope='session')
def make_cloud():
    """Return `point_cloud`."""
    return point_cloud


@pytest.fixture(scope='session')
def make_info():
    """Return `camera_info`."""
    return camera_info
