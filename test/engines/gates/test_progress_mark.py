"""A mark passes with its word, and tells an error of the device."""

import pytest

from s3dnn_ros.engines.gates import progress_mark
from s3dnn_ros.engines.gates.progress_mark import ProgressMark


def test_a_mark_passes_with_its_word():
    words = [9, 0]
    mark = ProgressMark(words, 1, 2, lambda: None)
    assert not mark.query()
    words[1] = 2
    assert mark.query()
    mark.synchronize()


def test_an_error_of_the_device_is_seen_although_no_word_changes():
    def look():
        raise RuntimeError('an illegal address')

    mark = ProgressMark([0], 0, 1, look)
    with pytest.raises(RuntimeError, match='illegal'):
        mark.synchronize()


def test_nobody_waits_for_ever(monkeypatch):
    monkeypatch.setattr(progress_mark, 'MOST_LOOKS', 3)
    with pytest.raises(RuntimeError, match='has not ended'):
        ProgressMark([0], 0, 1, lambda: None).synchronize()
