"""The set-up scripts, on copies: what they say when something is missing, and what they repeat."""

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).absolute().parents[1]
SHELL_SCRIPTS = ('scripts/bootstrap', 'scripts/demo', 'scripts/run', 'scripts/test', '.ci/run')
NODES = ('executor', 'governor', 'locator', 'monitor', 'pipeline', 'replay')
CORE_TOOLS = ('bash', 'cat', 'cut', 'dirname', 'flock', 'head', 'mkdir', 'rm', 'sha256sum',
              'sort', 'tail', 'uname')


@pytest.fixture
def checkout(tmp_path):
    shutil.copytree(ROOT / 'scripts', tmp_path / 'checkout' / 'scripts')
    return tmp_path / 'checkout'


def run(*command, **environment):
    sourced = ('ROS_DISTRO', 'AMENT_PREFIX_PATH', 'S3DNN_DISTRO', 'PYTHON')
    clean = {name: value for name, value in os.environ.items() if name not in sourced}
    return subprocess.run(
        [str(word) for word in command], env={**clean, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)


@pytest.mark.parametrize('script', SHELL_SCRIPTS)
def test_shell_scripts_parse(script):
    assert run('bash', '-n', ROOT / script).returncode == 0


def test_run_without_a_command_says_how_to_call_it():
    result = run('bash', ROOT / 'scripts' / 'run')
    assert result.returncode == 2
    assert result.stderr.startswith('usage: scripts/run COMMAND')


@pytest.mark.parametrize('node', NODES)
def test_every_node_is_executable_and_installed(node):
    assert os.access(str(ROOT / 'scripts' / node), os.X_OK)
    assert f'scripts/{node}\n' in (ROOT / 'CMakeLists.txt').read_text()


def test_missing_tools_are_named_together(checkout, tmp_path):
    tools = tmp_path / 'tools'
    tools.mkdir()
    for tool in CORE_TOOLS:
        (tools / tool).symlink_to(shutil.which(tool))
    # No absolute path: /usr/bin/python3 must not count.
    result = run(tools / 'bash', checkout / 'scripts' / 'demo', PATH=str(tools))
    assert result.returncode == 1
    for name in ('Python 3.10 to 3.13', 'gcc', 'g++', 'make', 'cmake', 'npm'):
        assert name in result.stderr
    assert 'apt install python3-dev python3-venv gcc g++ make cmake npm' in result.stderr


def test_an_interpreter_that_does_not_suit_is_refused(checkout):
    result = run('bash', checkout / 'scripts' / 'demo', PYTHON='/bin/false')
    assert result.returncode == 1
    assert 'Python 3.10 to 3.13' in result.stderr


def test_an_unknown_distribution_is_refused(checkout):
    result = run('bash', checkout / 'scripts' / 'demo', S3DNN_DISTRO='foxy')
    assert result.returncode == 2
    assert "'foxy'" in result.stderr


def test_a_step_repeats_until_it_ends_well(checkout):
    script = f"""
        set -euo pipefail
        source {checkout}/scripts/bootstrap
        python=python3
        work() {{
            echo 'what went wrong'
            [[ -e {checkout}/mended ]]
            echo done >>{checkout}/runs
        }}
        step work {checkout} key 'Some work' work
    """
    first = run('bash', '-c', script)
    assert first.returncode == 1
    assert 'what went wrong' in first.stderr
    assert str(checkout / '.cache' / 'log' / 'work.log') in first.stderr
    (checkout / 'mended').touch()
    for _ in range(2):
        assert run('bash', '-c', script).returncode == 0
    assert run('bash', '-c', script.replace(' key ', ' other_key ')).returncode == 0
    assert (checkout / 'runs').read_text() == 'done\ndone\n'


def test_versions_agree():
    setup = configparser.ConfigParser()
    setup.read(str(ROOT / 'setup.cfg'))
    found = re.search('<version>(.*)</version>', (ROOT / 'package.xml').read_text())
    assert found.group(1) == setup['metadata']['version']
