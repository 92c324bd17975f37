"""Files of the cache are whole, and its locks are nobody else's files."""

import fcntl

import pytest

from s3dnn_ros.base.cache import cache_dir, locked, write_whole
from s3dnn_ros.errors import DocumentError


def test_the_cache_of_a_user_who_is_not_here_is_told(monkeypatch):
    monkeypatch.setenv('S3DNN_CACHE', '~nobody_of_this_name/cache')
    with pytest.raises(DocumentError, match='of a user who is not here'):
        cache_dir()


def test_a_lock_follows_no_link(tmp_path):
    (tmp_path / 'precious').write_text('text')
    (tmp_path / '.lock').symlink_to(tmp_path / 'precious')
    with pytest.raises(OSError), locked(tmp_path):
        pass
    assert (tmp_path / 'precious').read_text() == 'text'


def test_a_lock_leaves_what_is_there_as_it_is_and_is_held(tmp_path):
    (tmp_path / '.lock').write_text('text')
    with locked(tmp_path), (tmp_path / '.lock').open() as other, pytest.raises(OSError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert (tmp_path / '.lock').read_text() == 'text'


def test_a_file_that_is_written_replaces_a_link(tmp_path):
    (tmp_path / 'precious').write_text('text')
    (tmp_path / 'x').symlink_to(tmp_path / 'precious')
    write_whole(tmp_path / 'x', b'other')
    assert (tmp_path / 'precious').read_text() == 'text'
    assert (tmp_path / 'x').read_bytes() == b'other' and not (tmp_path / 'x').is_symlink()
