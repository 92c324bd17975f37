"""Memory that something takes, and leaves out what was there before and is gone."""

import array

import pytest

from s3dnn_ros.bench.memory import memory_kb


def test_what_stays_counts():
    def make():
        array.array('d', bytes(8 * 100_000))        # gone at once
        return array.array('d', bytes(8 * 1000))

    kilobytes, made = memory_kb(make)
    assert len(made) == 1000 and kilobytes == pytest.approx(8.0, rel=0.2)
