"""What the pipeline costs: latency on top of inference, copies, CPU and memory.

Every figure comes from the nodes as they are shipped, in processes of their
own, over the middleware; the cameras are a process of their own as well.
"""

from __future__ import annotations

import collections
import json
import os
import statistics
import tempfile
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import yaml

from s3dnn_ros.bench.environment import environment
from s3dnn_ros.bench.networks import ready
from s3dnn_ros.bench.probe import Probe
from s3dnn_ros.bench.processes import Processes
from s3dnn_ros.images.pixels import fit
from s3dnn_ros.images.raw import view_raw

SETTLE_S = 3.0
NETWORK_SIDE = 416
# the figures this bench exists for, in ms
TARGETS = {'separate': {'p50': 6.0, 'p99': 15.0}, 'composed': {'p50': 3.0, 'p99': None}}


def run(*, seconds, runs, memory_seconds, model):
    """Run all parts; returns the results as a dict that JSON can hold."""
    ready([model])
    with tempfile.TemporaryDirectory(prefix='s3dnn-bench-') as scratch:
        scratch = Path(scratch)
        results = {'environment': environment(), 'copies': count_copies()}
        for mode in ('separate', 'composed'):
            results[mode] = [overhead(scratch / f'{mode}-{index}', mode, seconds, model)
                             for index in range(runs)]
        results['governor'] = [governor_alone(scratch / f'governor-{index}', seconds)
                               for index in range(runs)]
        if memory_seconds:
            results['memory'] = governor_alone(scratch / 'memory', memory_seconds)
        return results


def overhead(folder, mode, seconds, model):
    """Latency on top of the engine's own time: 4 cameras 640×480 at 10 fps, not fused.

    Their shutters are a quarter of a period apart, so that frames do not wait
    for each other's inference.
    """
    names = [f'camera_{index}' for index in range(4)]
    parameters = _parameters(folder, names, (640, 480), fps=10.0, seconds=seconds + SETTLE_S,
                             model=model, phases_ms=[25.0 * index for index in range(4)])
    with Processes(parameters, folder) as nodes:
        for name in ('executor', 'governor') if mode == 'separate' else ('pipeline',):
            nodes.start(name)
        summary = _summary_of(nodes, folder)
    cameras = summary['cameras'].values()
    worst = {key: max(camera['overhead_ms'][key] for camera in cameras)
             for key in ('p50', 'p95', 'p99')}
    return {
        'overhead_ms': worst,
        'engine_ms': max(camera['stages_ms']['engine']['p50'] for camera in cameras),
        'stages_p50_ms': {stage: max(camera['stages_ms'][stage]['p50'] for camera in cameras)
                          for stage in next(iter(cameras))['stages_ms']},
        'frames': sum(camera['frames'] for camera in cameras),
        'dropped': sum(camera['dropped'] for camera in cameras),
    }


def governor_alone(folder, seconds):
    """8 cameras 1280×720 bgr8 at 30 fps into a governor on one core.

    On the other cores are the cameras, and instead of the executor a sink that
    gives every batch back at once.
    """
    names = [f'camera_{index}' for index in range(8)]
    parameters = _parameters(folder, names, (1280, 720), fps=30.0, seconds=seconds,
                             model='nanodet_g',
                             phases_ms=[4.0 * index for index in range(8)])
    cores = sorted(os.sched_getaffinity(0))
    others = cores[1:] or cores
    with Processes(parameters, folder) as nodes:
        nodes.start('executor', module='s3dnn_ros.nodes.sink_node', cpus=others)
        nodes.start('governor', cpus=cores[:1])
        probe = Probe({'governor': nodes.pid_of('governor')})
        summary = _summary_of(nodes, folder, cpus=others)
        load = probe.stop(settle_s=min(60.0, seconds / 5.0))
    cameras = summary['cameras'].values()
    reasons = collections.Counter()
    for camera in cameras:
        reasons.update(camera['dropped_by'])
    return {'frames': sum(camera['frames'] for camera in cameras),
            'published': sum(camera['published'] for camera in cameras),
            'dropped_by': dict(reasons), 'seconds': seconds, 'processes': load}


def count_copies():
    """Show what happens to a frame's pixels after rclpy has made the message."""
    width, height = 1280, 720
    data = np.random.default_rng(0).integers(0, 255, height * width * 3, np.uint8)
    slot = np.zeros((NETWORK_SIDE, NETWORK_SIDE, 3), np.uint8)
    fit(view_raw('bgr8', width, height, 3 * width, data), slot)
    tracemalloc.start()
    pixels = view_raw('bgr8', width, height, 3 * width, data)
    fit(pixels, slot)
    allocated = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = cv2.resize(pixels.array, (NETWORK_SIDE, NETWORK_SIDE))
    return {'view_shares_the_message': bool(np.shares_memory(pixels.array, data)),
            'written_straight_into_the_slot': bool(np.array_equal(slot, expected)),
            'bytes_allocated_on_the_way': allocated, 'image_bytes': int(data.size),
            'copies_of_pixels': 1}


def write_picture(path, size):
    """Write an image of (width, height) that shows nothing in particular."""
    noise = np.random.default_rng(1).integers(0, 255, (size[1] // 8, size[0] // 8, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(noise, size))


def report(results):
    """Return the figures as lines of text."""
    lines = []
    for mode, target in TARGETS.items():
        for key in ('p50', 'p99'):
            values = [run_['overhead_ms'][key] for run_ in results[mode]]
            wanted = f'  (wanted ≤ {target[key]:g})' if target[key] else ''
            lines.append(f'{mode:9} over the engine {key}: {_spread(values)} ms{wanted}')
        lines.append(f'{"":9} engine p50: '
                     + _spread([run_['engine_ms'] for run_ in results[mode]]) + ' ms')
    for run_ in results['governor'] + [results[key] for key in ('memory',) if key in results]:
        lost = run_['frames'] - run_['published']
        load = run_['processes']['governor']
        lines.append(f"governor  {run_['frames']} frames in {run_['seconds']:g} s, {lost} lost "
                     f"{run_['dropped_by'] or ''}, {100 * load['cpu_share']:.0f}% of a core, "
                     f"{load['own_mb_last']} MB, {load['own_slope_mb_per_min']:+} MB/min")
    copies = results['copies']
    lines.append(f"copies    {copies['copies_of_pixels']} of pixels after rclpy; "
                 f"{copies['bytes_allocated_on_the_way']} bytes allocated for an image of "
                 f"{copies['image_bytes']}")
    return lines


def _parameters(folder, names, size, *, fps, seconds, model, phases_ms):
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / 'picture.png'
    write_picture(picture, size)
    parameters = {
        'camera_names': names,
        'cameras': {name: {'qos': 'reliable', 'depth': 5} for name in names},
        'sources': {name: {'file': str(picture), 'encoding': 'bgr8', 'phase_ms': phase_ms}
                    for name, phase_ms in zip(names, phases_ms)},
        'delay_s': 3.0, 'fps': fps, 'duration_s': float(seconds),
        'instance_names': ['network'],
        'instances': {'network': {'model': str(model), 'max_batch': 1, 'deadline_ms': 500.0}},
        'output_directory': str(folder), 'pictures': False, 'table': False,
        'settle_s': SETTLE_S, 'exit_when_finished': True,
    }
    file = folder / 'parameters.yaml'
    file.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))
    return file


def _summary_of(nodes, folder, cpus=None):
    nodes.start('monitor', cpus=cpus)
    nodes.start('replay', cpus=cpus)
    nodes.wait('monitor')
    return json.loads((folder / 'summary.json').read_text())


def _spread(values):
    return f'{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})'
