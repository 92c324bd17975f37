"""Replay, governor, executor and monitor together: every frame is accounted for."""

import csv
import json

import cv2
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not here')
pytest.importorskip('s3dnn_ros.msg', reason='the package is not built')

from rclpy.lifecycle import TransitionCallbackReturn

from s3dnn_ros.nodes.monitor_node import MonitorNode
from s3dnn_ros.nodes.replay_node import ReplayNode

pytestmark = pytest.mark.ros

KEYS = {'frames', 'published', 'dropped', 'missed', 'detections', 'fps', 'latency_ms'}


@pytest.fixture
def show(world, tmp_path, monkeypatch):
    """Return a function that runs the four nodes to their end and gives summary.json."""
    # the counters of this world come ten times as often as a user's
    monkeypatch.setattr('s3dnn_ros.nodes.monitor_node.STILL_S', 0.3)

    def run(names=('front', 'rear'), composed=False, seconds=1.0, fps=20.0, rates=None,
            **changes):
        sources, cameras = {}, {}
        for index, name in enumerate(names):
            world.watch(name)
            path = tmp_path / f'{name}.png'
            cv2.imwrite(str(path), world.mark(name).image())
            compressed = index % 2 == 1
            sources[name] = {'file': str(path), 'encoding': 'png' if compressed else 'rgb8',
                             'phase_ms': 10.0 * index, 'fps': (rates or {}).get(name, 0.0)}
            cameras[name] = {'transport': 'compressed' if compressed else 'raw',
                             'qos': 'reliable'}
        values = world.parameters(names=names, **dict({
            'sources': sources, 'cameras': cameras, 'fps': fps, 'duration_s': seconds,
            'output_directory': str(tmp_path / 'out'), 'exit_when_finished': True,
            'table': False, 'overlay_max_rate_hz': 120.0}, **changes))
        executor = world.executor(values)
        world.governor(values, executor if composed else None)
        monitor = world.add(MonitorNode(**world.options(values)))
        world.add(ReplayNode(**world.options(values)))
        world.wait_for(lambda: monitor.finished, 'the end of the show')
        world.remove(monitor)
        return json.loads((tmp_path / 'out' / 'summary.json').read_text())
    return run


@pytest.mark.parametrize('composed', [False, True])
def test_every_frame_is_accounted_for(world, show, tmp_path, monkeypatch, composed):
    monkeypatch.setattr('s3dnn_ros.nodes.overlay.LOOK_S', 0.05)
    summary = show(composed=composed)
    assert set(summary['cameras']) == {'front', 'rear'}
    assert summary['engine'] == 'onnxruntime' and summary['models'] == ['cells']
    for name, entry in summary['cameras'].items():
        assert set(entry) >= KEYS
        assert entry['frames'] == entry['published'] + entry['dropped']
        assert entry['published'] == len(world.results[name]) > 10
        assert entry['detections'] == len(world.results[name])
        assert set(entry['latency_ms']) == {'p50', 'p95', 'p99'}
        assert 0.0 < entry['latency_ms']['p50'] <= entry['latency_ms']['p99']
        for msg in world.results[name]:
            world.check(msg)
        picture = cv2.imread(str(tmp_path / 'out' / f'{name}.png'))
        assert picture.shape == (64, 64, 3)
        assert (picture != world.mark(name).image()).any()
    published = {name: entry['published'] for name, entry in summary['cameras'].items()}
    assert summary['classes'] == {world.mark(name).label: published[name] for name in published}


def test_dropped_frames_are_told_by_their_reason(world, show):
    """One camera is asked for fewer frames, another sends what is too large."""
    names = ['front', 'rear', 'left']
    for name in names:
        world.watch(name)
    summary = show(names=names, fps=20.0, max_image_side=60)['cameras']
    for entry in summary.values():
        assert entry['frames'] == entry['published'] + entry['dropped']
        assert entry['published'] == 0
        assert entry['dropped_by'] == {'size': entry['frames']}


def test_a_camera_at_a_lower_rate(world, show):
    values = {'front': {'max_rate_hz': 5.0, 'transport': 'raw', 'qos': 'reliable'},
              'rear': {'transport': 'compressed', 'qos': 'reliable'}}
    summary = show(cameras=values)['cameras']
    front, rear = summary['front'], summary['rear']
    assert front['frames'] == front['published'] + front['dropped']
    assert front['dropped_by']['rate'] == front['dropped'] > front['published'] > 0
    assert rear['dropped'] == 0 and rear['published'] == rear['frames']


def test_each_camera_may_have_a_rate_of_its_own(world, show):
    summary = show(rates={'rear': 5.0}, seconds=2.0)['cameras']
    # a camera that the computer delays leaves frames out, and never sends more
    assert summary['rear']['frames'] <= 10 < 20 < summary['front']['frames'] <= 40


def published_s(msg):
    """Return when a result was published, from its stamp and its latency."""
    return msg.header.stamp.sec + 1e-9 * msg.header.stamp.nanosec + 1e-3 * msg.latency_ms


def test_every_result_has_a_line(world, show, tmp_path):
    show(results_file=str(tmp_path / 'results.csv'))
    with open(tmp_path / 'results.csv', newline='') as file:
        lines = list(csv.DictReader(file))
    results = [msg for name in ('front', 'rear') for msg in world.results[name]]
    assert len(lines) == len(results) > 20
    # by time, as two frames of one camera may have taken equally long
    lines.sort(key=lambda line: (line['camera'], float(line['published_s'])))
    results.sort(key=lambda msg: (msg.camera, published_s(msg)))
    for line, msg in zip(lines, results):
        assert float(line['published_s']) == pytest.approx(published_s(msg), abs=1e-5)
        assert (line['camera'], line['latency_ms']) == (msg.camera, f'{msg.latency_ms:.3f}')
        assert (line['instance'], line['missed'], line['batch']) == (
            msg.instance, str(int(msg.missed)), str(msg.batch))


def test_a_results_file_that_cannot_be_written(world, tmp_path):
    node = world.add(MonitorNode(**world.options(world.parameters(
        results_file=str(tmp_path / 'none' / 'results.csv')))), start=False)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said("parameter 'results_file'", 'none/results.csv'))


def test_without_results_a_report_is_written_all_the_same(world, tmp_path):
    monitor = world.add(MonitorNode(**world.options(world.parameters(
        output_directory=str(tmp_path / 'out'), table=False))))
    world.remove(monitor)
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['cameras'] == {} and summary['classes'] == {}


def test_a_directory_that_cannot_be_made(world, tmp_path):
    (tmp_path / 'file').write_text('')
    node = world.add(MonitorNode(**world.options(world.parameters(
        output_directory=str(tmp_path / 'file' / 'out')))), start=False)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said("parameter 'output_directory'", 'file/out'))


@pytest.mark.parametrize(('file', 'words'), [
    ('gone.png', 'no such file'), ('broken.png', 'cannot read this image'),
    ('broken.mp4', 'cannot read this video'),
])
def test_a_source_that_cannot_be_read(world, tmp_path, file, words):
    if 'broken' in file:
        (tmp_path / file).write_bytes(b'nothing of the kind')
    node = world.add(ReplayNode(**world.options(world.parameters(
        names=['front'], sources={'front': {'file': str(tmp_path / file)}}))), start=False)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said(file, words))


def test_an_asset_that_was_not_fetched(world):
    node = world.add(ReplayNode(**world.options(world.parameters(
        names=['front'], sources={'front': {'file': 'asset:no_such_thing.png'}}))), start=False)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    world.wait_for(lambda: world.said('no_such_thing.png'))
