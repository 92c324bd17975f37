"""The demonstration, end to end, as a user starts it."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from s3dnn_ros.base.cache import cache_dir, exported_path
from s3dnn_ros.bench.demo import demo_parameters
from s3dnn_ros.errors import ParameterError
from s3dnn_ros.settings import NODES

# The machine may be busy with others.
TIMEOUT_S = 120.0


def test_the_first_cameras_are_those_of_the_file():
    parameters = demo_parameters(2)
    assert parameters['camera_names'] == ['street', 'street_later']
    assert list(parameters['sources']) == list(parameters['cameras']) == ['street', 'street_later']


def test_more_cameras_are_the_same_ones_again():
    parameters = demo_parameters(9)
    names = parameters['camera_names']
    assert len(names) == len(set(names)) == 9
    assert names[4] == 'street_2' and names[8] == 'street_3'
    shifts = [parameters['sources'][name].get('time_shift_s', 0.0)
              for name in ('street', 'street_2', 'street_3')]
    assert len(set(shifts)) == 3
    assert parameters['cameras']['street_later_2'] == parameters['cameras']['street_later']


@pytest.mark.parametrize('cameras', [1, 4, 16])
def test_every_node_accepts_the_parameters(cameras):
    from s3dnn_ros.settings.parameters import read

    flat = _flatten(demo_parameters(cameras))
    for kind in NODES.values():
        read(kind, flat)


def test_the_parameter_file_has_no_aliases_which_ros_cannot_read():
    assert '&' not in yaml.safe_dump(demo_parameters(9))


@pytest.mark.parametrize('cameras', [0, 17, -1])
def test_too_few_or_too_many(cameras):
    with pytest.raises(ParameterError, match=r'--cameras.*from 1 to 16'):
        demo_parameters(cameras)


@pytest.mark.ros
@pytest.mark.parametrize('composed', [False, True])
def test_the_whole_demonstration(tmp_path, composed):
    pytest.importorskip('rclpy', reason='ROS 2 is not here')
    pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')
    pytest.importorskip('onnxruntime')
    if not exported_path('nanodet_g').is_file() \
            or not (cache_dir() / 'assets' / 'bikes.mp4').is_file():
        pytest.skip('NanoDet-g or the video is not in $S3DNN_CACHE; run `s3dnn models fetch` and '
                    '`s3dnn models export nanodet_g`')
    before = _segments()
    out = tmp_path / 'out'
    done = subprocess.run(
        [sys.executable, '-c', 'import sys; from s3dnn_ros.cli import main; sys.exit(main())',
         'demo', '--seconds', '4', '--cameras', '2', '--out', str(out)]
        + ['--composed'] * composed,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S,
        cwd=str(tmp_path), env=dict(os.environ, ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST'))
    assert done.returncode == 0, done.stdout
    assert str(out / 'summary.json') in done.stdout.replace('\n', '')
    summary = json.loads((out / 'summary.json').read_text())
    assert set(summary['cameras']) == {'street', 'street_later'}
    assert summary['models'] == ['nanodet_g'] and summary['engine'] == 'onnxruntime'
    for name, entry in summary['cameras'].items():
        assert entry['frames'] == entry['published'] + entry['dropped']
        assert entry['published'] > 0, summary
        assert (out / f'{name}.png').is_file(), os.listdir(str(out))
    assert summary['classes'], 'nothing was seen in the street'
    # others may run on this machine: only what was not there before counts
    assert not _segments() - before


def test_a_directory_that_cannot_be_written(tmp_path):
    from s3dnn_ros.bench.demo import run

    (tmp_path / 'file').write_text('')
    with pytest.raises(ParameterError, match=r'--out.*a directory to write to'):
        run(seconds=1.0, cameras=1, fps=1.0, engine='auto', composed=False,
            out=tmp_path / 'file' / 'out')


def _segments():
    return {name for name in os.listdir('/dev/shm') if name.startswith('s3dnn.governor_detector.')}


def _flatten(values, prefix=''):
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f'{prefix}{name}.'))
        else:
            flat[prefix + name] = value
    return flat
