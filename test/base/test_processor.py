"""The processor has a name."""

from pathlib import Path

import pytest

from s3dnn_ros.base.processor import processor


@pytest.mark.parametrize('content, name', [
    ('processor\t: 0\nmodel name\t: A CPU: 2 GHz\nflags : fpu\n', 'A CPU: 2 GHz'),
    ('processor\t: 0\nHardware\t: Tegra\n', 'Tegra'), ('', 'armv9')])
def test_it_is_what_linux_says_or_the_architecture(content, name, monkeypatch):
    monkeypatch.setattr(Path, 'read_text', lambda path: content)
    monkeypatch.setattr('platform.machine', lambda: 'armv9')
    assert processor() == name
