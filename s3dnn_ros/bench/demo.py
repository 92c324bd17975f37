"""The demonstration: simulated cameras through the whole pipeline, in real processes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml

from s3dnn_ros.base.share import share_directory
from s3dnn_ros.bench.processes import Processes
from s3dnn_ros.errors import ParameterError

MAX_CAMERAS = 16


def run(*, seconds, cameras, fps, engine, composed, out: Path) -> int:
    """Run the demonstration; returns the monitor's exit status."""
    out = Path(out).absolute()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError('--out', str(out), f'a directory to write to ({error})') from error
    parameters = demo_parameters(cameras)
    parameters.update(fps=float(fps), duration_s=float(seconds), engine=engine,
                      output_directory=str(out))
    with tempfile.TemporaryDirectory(prefix='s3dnn-demo-') as scratch:
        file = Path(scratch) / 'parameters.yaml'
        file.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))
        with Processes(file, out) as nodes:
            for name in (('pipeline',) if composed else ('executor', 'governor')):
                nodes.start(name)
            nodes.start('replay')
            nodes.start('monitor', show=True)
            return nodes.wait('monitor')


def demo_parameters(cameras):
    """Return the parameters of config/demo.yaml for this number of cameras.

    Beyond those that the file describes, its cameras come again under other
    names, further on in their video.
    """
    if not 1 <= cameras <= MAX_CAMERAS:
        raise ParameterError('--cameras', cameras, f'a number from 1 to {MAX_CAMERAS}')
    document = yaml.safe_load((share_directory().parent / 'demo.yaml').read_text())
    parameters = document['/**']['ros__parameters']
    known = parameters['camera_names']
    names = known[:cameras]
    for index in range(len(known), cameras):
        round_, original = index // len(known) + 1, known[index % len(known)]
        name = f'{original}_{round_}'
        names.append(name)
        # copies: ROS cannot read the aliases that YAML makes of things used twice
        parameters['cameras'][name] = dict(parameters['cameras'][original])
        source = dict(parameters['sources'][original])
        source['time_shift_s'] = source.get('time_shift_s', 0.0) + 2.0 * (round_ - 1)
        parameters['sources'][name] = source
    for group in ('cameras', 'sources'):
        parameters[group] = {name: parameters[group][name] for name in names}
    parameters['camera_names'] = names
    return parameters
