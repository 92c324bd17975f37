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


@pytest.fixture
def two_users(make_board, tmp_path, monkeypatch):
    """Return a root, and a function that says whether this user may write /run/s3dnn."""
    root, temporary = make_board('tx2'), tmp_path / 'tmp'
    temporary.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(temporary))
    shared, access = root / 'run' / 's3dnn', os.access

    def may_share(may):
        monkeypatch.setattr(os, 'access', lambda path, mode: (
            may if path == shared else access(path, mode)))

    return root, may_share


@pytest.mark.parametrize('first_shares', [True, False])
def test_owners_that_use_different_folders_see_each_other(two_users, first_shares):
    root, may_share = two_users
    may_share(first_shares)
    with JetsonPlatform(root) as first:
        may_share(not first_shares)
        with pytest.raises(PlatformError, match=rf"'s3dnn on quill' \(process {os.getpid()}\)"):
            JetsonPlatform(root)
        first.apply(0)
    JetsonPlatform(root).close()


def test_two_users_without_a_common_folder_see_each_other(two_users):
    root, may_share = two_users
    may_share(False)
    own = state_directory(root)
    assert own.stat().st_mode & 0o777 == 0o755
    theirs = own.with_name(own.name.replace(f's3dnn-{os.getuid()}', 's3dnn-424242'))
    theirs.mkdir()
    owner = Owner(theirs, 'their executor', 0.0)
    with pytest.raises(PlatformError, match=r"s3dnn-424242.*'their executor'"):
        JetsonPlatform(root)
    owner.release()
    JetsonPlatform(root).close()


def test_an_owner_of_another_root_is_no_matter(two_users, kit, tmp_path):
    root, may_share = two_users
    may_share(False)
    elsewhere = state_directory(tmp_path / 'elsewhere')
    owner = Owner(elsewhere, 'elsewhere', 0.0)
    assert elsewhere != state_directory(root)
    JetsonPlatform(root).close()
    owner.release()


def test_what_lies_in_the_folder_of_somebody_else_does_no_harm(two_users, tmp_path):
    root, may_share = two_users
    may_share(False)
    for number, make in enumerate((os.mkfifo, os.mkdir, lambda path: os.symlink('/', path))):
        own = state_directory(root)
        theirs = own.with_name(own.name.replace(f's3dnn-{os.getuid()}', f's3dnn-4242{number}'))
        theirs.mkdir()
        make(theirs / 'owner.lock')
    JetsonPlatform(root).close()


def test_a_lock_is_not_opened_through_a_link(tmp_path):
    (tmp_path / 'mine').write_text('mine')
    (tmp_path / 'owner.lock').symlink_to(tmp_path / 'mine')
    with pytest.raises(PlatformError, match='cannot be opened'):
        Owner(tmp_path, 'me', 0.0)
    assert (tmp_path / 'mine').read_text() == 'mine'


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


def test_where_there_is_no_folder_one_is_asked_for(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'file'))
    with pytest.raises(PlatformError, match=r'the folder cannot be made .*state_dir'):
        state_directory(tmp_path / 'nowhere')


def test_a_folder_of_somebody_else_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    ours = state_directory(tmp_path / 'nowhere')
    ours.rmdir()
    (tmp_path / 'elsewhere').mkdir()
    ours.symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(PlatformError, match='belongs to somebody else'):
        state_directory(tmp_path / 'nowhere')
