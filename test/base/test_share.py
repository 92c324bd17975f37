"""The package finds its own files wherever it is installed."""

import pytest

from s3dnn_ros.base.share import share_directory


@pytest.mark.parametrize(('prefix', 'expected'), [
    ('ros', 'ros/share/s3dnn_ros/config/models'),
    ('wheel', 'wheel/lib/python3/site-packages/s3dnn_ros/config/models'),
])
def test_an_installed_package_looks_in_its_share_or_in_itself(
        tmp_path, monkeypatch, prefix, expected):
    (tmp_path / expected).mkdir(parents=True)
    monkeypatch.setattr(
        's3dnn_ros.base.share.__file__',
        str(tmp_path / prefix / 'lib/python3/site-packages/s3dnn_ros/base/share.py'))
    assert share_directory() == tmp_path / expected
