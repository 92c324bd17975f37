"""Locks are opened as they lie there: no link is followed, and nothing is lost."""

import os
import threading

import pytest

from s3dnn_ros.base.cache import locked, write_whole
from s3dnn_ros.base.lock_file import open_lock


def test_what_is_in_the_file_stays_there(tmp_path):
    path = tmp_path / '.lock'
    path.write_text('who has it')
    with locked(tmp_path):
        assert path.read_text() == 'who has it'
    with open_lock(path) as file:
        assert file.read() == b'who has it'


@pytest.mark.parametrize('there', [True, False])
def test_no_link_is_followed(tmp_path, there):
    secret = tmp_path / 'secret'
    if there:
        secret.write_text('secret')
    (tmp_path / '.lock').symlink_to(secret)
    with pytest.raises(OSError, match='symbolic links'), locked(tmp_path):
        pass
    assert secret.exists() == there
    assert not there or secret.read_text() == 'secret'


def test_nobody_waits_for_the_other_end_of_a_pipe(tmp_path):
    os.mkfifo(tmp_path / '.lock')
    with locked(tmp_path):
        pass


def test_a_second_one_waits(tmp_path):
    entered = threading.Event()

    def enter():
        with locked(tmp_path):
            entered.set()

    with locked(tmp_path):
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.05)
    thread.join()
    assert entered.is_set()


def test_a_file_that_is_written_replaces_a_link(tmp_path):
    secret, path = tmp_path / 'secret', tmp_path / 'cache' / 'file'
    secret.write_text('secret')
    path.parent.mkdir()
    path.symlink_to(secret)
    write_whole(path, b'new')
    assert secret.read_text() == 'secret'
    assert path.read_bytes() == b'new' and not path.is_symlink()
    assert os.listdir(path.parent) == ['file']
