"""One process sets a board; the next one gets it when the first has gone."""

import os
import tempfile

import pytest

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms import JetsonPlatform
from s3dnn_ros.platforms.owner import Owner, state_directory


def test_the_second_owner_is_told_who_the_first_is(tmp_path):
    owner = Owner(tmp_path, 'the executor', 12.5)
    with pytest.raises(PlatformError, match=rf"'the executor' \(process {os.getpid()}\)"):
        Owner(tmp_path, 'another', 13.0)
    owner.release()
    owner.release()
    Owner(tmp_path, 'another', 13.0).release()


def test_an_owner_in_another_process_that_dies(make_board, start, kit):
    root = make_board('tx2')
    child = start(root, 'time.sleep(60)')
    with pytest.raises(PlatformError, match=rf"'s3dnn on quill' \(process {child.pid}\)"):
        JetsonPlatform(root)
    child.kill()
    child.wait()
    JetsonPlatform(root).close()


def test_a_lock_that_nobody_described(tmp_path):
    owner = Owner(tmp_path, 'the executor', 0.0)
    (tmp_path / 'owner.lock').write_text('')
    with pytest.raises(PlatformError, match='another process sets this board already'):
        Owner(tmp_path, 'another', 0.0)
    owner.release()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(PlatformError, match='state_dir'):
        Owner(tmp_path / 'nowhere', 'me', 0.0)


def test_the_folder_is_run_where_it_can_be_written(tmp_path, monkeypatch):
    (tmp_path / 'run').mkdir()
    assert state_directory(tmp_path) == tmp_path / 'run' / 's3dnn'
    own = tmp_path / 'tmp'
    own.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(own))
    folders = [state_directory(tmp_path / name) for name in ('nowhere', 'elsewhere', 'nowhere')]
    assert all(folder.parent == own for folder in folders)
    assert folders[0] == folders[2] != folders[1]


def test_a_folder_of_somebody_else_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    ours = state_directory(tmp_path / 'nowhere')
    ours.rmdir()
    (tmp_path / 'elsewhere').mkdir()
    ours.symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(PlatformError, match='belongs to somebody else'):
        state_directory(tmp_path / 'nowhere')
