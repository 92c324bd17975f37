"""Commands print what the package logs, where users expect it."""

import logging
import re

import pytest

from s3dnn_ros.commands.log_output import Elapsed, logged_lines_printed

LOGGER = logging.getLogger('s3dnn_ros.models.assets')


def test_progress_is_output_and_warnings_are_errors(capsys):
    with logged_lines_printed():
        LOGGER.info('toy: downloading 3 MB')
        LOGGER.warning('toy: damaged')
        LOGGER.debug('nobody wants that')
    out, err = capsys.readouterr()
    assert (out, err) == ('toy: downloading 3 MB\n', 'toy: damaged\n')


def test_afterwards_and_of_others_nothing_is_printed(capsys):
    with logged_lines_printed():
        logging.getLogger('somebody.else').info('not ours')
    LOGGER.info('too late')
    out, err = capsys.readouterr()
    assert not out and not err and not logging.getLogger('s3dnn_ros').handlers


def test_benches_tell_the_seconds_since_the_start(capsys):
    with logged_lines_printed(Elapsed()):
        LOGGER.info('a row')
    assert re.fullmatch(r' *\d+ s  a row\n', capsys.readouterr().out)


def test_a_reader_that_has_gone_ends_the_command(monkeypatch):
    class Gone:
        def write(self, text):
            raise BrokenPipeError(32, 'Broken pipe')

    monkeypatch.setattr('sys.stdout', Gone())
    with pytest.raises(BrokenPipeError), logged_lines_printed():
        LOGGER.info('a row')
