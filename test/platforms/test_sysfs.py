"""Small files are read and written below a root, and say what is wrong with them."""

import errno
import os
from pathlib import Path

import pytest

from s3dnn_ros.errors import PlatformError
from s3dnn_ros.platforms.knobs import EMC, DevfreqKnob
from s3dnn_ros.platforms.sysfs import RULES, SERVICE, Sysfs

GPU = 'sys/class/devfreq/17000000.gp10b'


def refuse(monkeypatch, number):
    def failing(*_):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(os, 'write', failing)


def test_names_are_below_the_root(tmp_path, kit):
    kit.write(tmp_path, 'sys/a', ' 12 \n\0')
    kit.write(tmp_path, 'sys/b', '3 1 2\n')
    files = Sysfs(tmp_path)
    assert files.integer('sys/a') == 12
    assert files.integers('sys/b') == (3, 1, 2)
    assert files.find('sys/*') == ['sys/a', 'sys/b']


def test_a_value_that_is_there_is_not_written(tmp_path, kit):
    files = kit.FakeKernel(tmp_path)
    kit.write(tmp_path, 'sys/a', '12\n')
    files.write('sys/a', 12)
    files.write_back('sys/a', '12\n')
    assert files.writes == []
    files.write_back('sys/a', '12')
    files.write('sys/a', 13)
    assert files.writes == [('sys/a', '12'), ('sys/a', '13')]
    assert files.read('sys/a') == '13\n'


@pytest.mark.parametrize('call', ['read', 'text', 'integer', 'integers'])
def test_a_missing_file_is_not_read(tmp_path, call):
    with pytest.raises(PlatformError, match='sys/a: there is no such file; leave its knob out'):
        getattr(Sysfs(tmp_path), call)('sys/a')


def test_a_missing_file_is_not_made(tmp_path):
    with pytest.raises(PlatformError, match='there is no such file'):
        Sysfs(tmp_path).put('a', '1')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('number', [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_file_that_this_user_may_not_write(tmp_path, kit, monkeypatch, number):
    kit.write(tmp_path, f'{GPU}/governor', 'a\n')
    kit.write(tmp_path, f'{EMC}/rate', '1\n')
    refuse(monkeypatch, number)
    with pytest.raises(PlatformError, match='governor: cannot be written by this user') as raised:
        Sysfs(tmp_path).put(f'{GPU}/governor', 'b')
    assert f'sudo cp {RULES}' in str(raised.value)
    with pytest.raises(PlatformError, match='rate: cannot be written by this user') as raised:
        Sysfs(tmp_path).put(f'{EMC}/rate', '2')
    assert f'sudo cp {SERVICE}' in str(raised.value)


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / 'a').mkdir()
    with pytest.raises(PlatformError, match='cannot be read by this user'):
        Sysfs(tmp_path).read('a')
    with pytest.raises(PlatformError, match='cannot be written by this user'):
        Sysfs(tmp_path).put('a', '1')


@pytest.mark.parametrize('number', [errno.EINVAL, errno.EBUSY])
def test_a_write_that_the_kernel_refuses(tmp_path, kit, monkeypatch, number):
    kit.write(tmp_path, 'a', '1\n')
    refuse(monkeypatch, number)
    with pytest.raises(PlatformError, match="the kernel refused '25'"):
        Sysfs(tmp_path).put('a', '25\n')


@pytest.mark.parametrize('text', ['', 'abc', '1.5', '<unsupported>'])
def test_a_value_that_is_no_number(tmp_path, kit, text):
    kit.write(tmp_path, 'a', f'{text}\n')
    with pytest.raises(PlatformError, match='is no whole number'):
        Sysfs(tmp_path).integer('a')


def test_the_knob_passes_the_sentence_on(make_board):
    root = make_board('tx2')
    governor = root / GPU / 'governor'
    governor.unlink()
    governor.mkdir()
    with pytest.raises(PlatformError, match='udevadm'):
        DevfreqKnob(Sysfs(root), GPU).set(497250000)


def test_the_files_that_the_sentences_name_are_there():
    config = Path(__file__).resolve().parents[2] / 'config'
    assert (config.parent / RULES).is_file()
    assert (config.parent / SERVICE).is_file()
