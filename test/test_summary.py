"""The report: every frame of every camera in one of its columns."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.counters import CameraCount
from s3dnn_ros.summary import STAGES, Summary, table

STAGES_MS = dict.fromkeys(STAGES, 1.0)


def result(summary, camera='front', labels=(), latency_ms=10.0, now_s=0.0, instance='net',
           **stages):
    summary.result(camera, instance, list(labels), latency_ms, dict(STAGES_MS, **stages), now_s)


@pytest.fixture
def summary():
    return Summary()


def test_nothing_yet(summary):
    assert summary.as_dict(0.0) == {
        'cameras': {}, 'classes': {}, 'engine': '', 'models': [], 'seconds': 0.0}
    assert summary.pending() == 0


def test_the_documented_keys(summary):
    summary.engine, summary.models = 'onnxruntime', ('nanodet_g',)
    summary.source([CameraCount('front', frames=3, published=3)])
    summary.governor([CameraCount('front', 'net', frames=3, published=3)])
    summary.executor([CameraCount('front', 'net', frames=3, published=3, missed=1)])
    for index in range(3):
        result(summary, labels=('cat', 'dog')[:index], latency_ms=10.0 * (index + 1),
               now_s=0.5 * index)
    report = summary.as_dict(1.23456)
    entry = report['cameras']['front']
    assert {key: entry[key] for key in (
        'frames', 'published', 'dropped', 'missed', 'detections', 'fps')} == {
        'frames': 3, 'published': 3, 'dropped': 0, 'missed': 1, 'detections': 3, 'fps': 2.0}
    assert entry['latency_ms'] == {'p50': 20.0, 'p95': 29.0, 'p99': 29.8}
    assert entry['dropped_by'] == {}
    assert (report['engine'], report['models'], report['seconds']) == (
        'onnxruntime', ['nanodet_g'], 1.235)
    assert report['classes'] == {'cat': 2, 'dog': 1}


def test_losses_inside_and_between_nodes_have_names(summary):
    summary.source([CameraCount('front', published=20)])
    summary.governor([CameraCount('front', 'net', frames=17, published=12,
                                  dropped=(('replaced', 4), ('data', 1)))])
    summary.executor([CameraCount('front', 'net', frames=10, published=7,
                                  dropped=(('late', 2), ('data', 1)))])
    entry = summary.cameras()['front']
    assert entry['dropped_by'] == {'replaced': 4, 'data': 2, 'late': 2, 'transport': 3,
                                   'handover': 2}
    assert (entry['frames'], entry['published'], entry['dropped']) == (20, 7, 13)


def test_a_batch_that_outlived_its_lease_counts_once(summary):
    summary.source([CameraCount('front', published=5)])
    summary.governor([CameraCount('front', 'net', frames=5, published=3, dropped=(('lease', 2),))])
    summary.executor([CameraCount('front', 'net', frames=4, published=3, dropped=(('lease', 1),))])
    entry = summary.cameras()['front']
    assert (entry['published'], entry['dropped_by']) == (3, {'lease': 2})


def test_while_the_nodes_run_nothing_counts_as_lost_between_them(summary):
    summary.source([CameraCount('front', published=5)])
    summary.governor([CameraCount('front', 'net', frames=4, published=4)])
    summary.executor([CameraCount('front', 'net', frames=2, published=2)])
    assert summary.cameras(final=False)['front']['dropped'] == 0
    assert summary.pending() == 3


def test_frames_under_way_are_pending(summary):
    summary.source([CameraCount('front', published=5)])
    summary.governor([CameraCount('front', 'net', frames=5, published=4)])
    summary.executor([CameraCount('front', 'net', frames=4, published=2)])
    assert summary.pending() == 3


def test_a_camera_whose_counters_are_older_shows_no_fewer_frames_than_results(summary):
    summary.source([CameraCount('front', published=3)])
    summary.governor([CameraCount('front', 'net', frames=6, published=5,
                                  dropped=(('replaced', 1),))])
    summary.executor([CameraCount('front', 'net', frames=6, published=6)])
    for final in (False, True):
        entry = summary.cameras(final)['front']
        assert entry['frames'] == entry['published'] + entry['dropped'] == 7
    assert summary.pending() == 0


def test_without_a_replay_the_governor_says_how_many_frames_there_were(summary):
    summary.governor([CameraCount('front', 'net', frames=5, published=5)])
    summary.executor([CameraCount('front', 'net', frames=5, published=5)])
    assert summary.cameras()['front']['frames'] == 5


def test_newer_counters_take_the_place_of_older_ones(summary):
    for frames in (1, 2, 3):
        summary.governor([CameraCount('front', 'net', frames=frames, published=frames)])
        summary.executor([CameraCount('front', 'net', frames=frames, published=frames)])
    assert summary.cameras()['front']['published'] == 3


def test_two_instances_on_one_camera_are_told_apart(summary):
    summary.source([CameraCount('front', published=2), CameraCount('rear', published=1)])
    counts = [CameraCount('front', 'net', frames=2, published=2),
              CameraCount('front', 'eye', frames=2, published=2),
              CameraCount('rear', 'net', frames=1, published=1)]
    summary.governor(counts)
    summary.executor(counts)
    result(summary, labels=['cat'])
    result(summary, labels=['dog', 'dog'], instance='eye')
    result(summary, camera='rear')
    cameras = summary.cameras()
    assert set(cameras) == {'front/net', 'front/eye', 'rear'}
    assert cameras['front/net']['detections'] == 1
    assert cameras['front/eye']['detections'] == 2
    assert summary.pending() == 0


@given(st.lists(st.tuples(*[st.integers(0, 50)] * 4), min_size=1, max_size=5))
def test_frames_are_published_or_dropped_once_nothing_is_under_way(cameras):
    """Whatever is lost wherever: transport, inside the governor, handover, in the executor."""
    summary = Summary()
    source, governor, executor = [], [], []
    for index, (lost, inside, handed, run) in enumerate(cameras):
        name, published = f'c{index}', 7
        arrived = published + run
        sent = arrived + handed
        source.append(CameraCount(name, published=sent + inside + lost))
        governor.append(CameraCount(name, 'net', frames=sent + inside, published=sent,
                                    dropped=(('replaced', inside),)))
        executor.append(CameraCount(name, 'net', frames=arrived, published=published,
                                    dropped=(('late', run),)))
    summary.source(source)
    summary.governor(governor)
    summary.executor(executor)
    assert summary.pending() == sum(lost + handed for lost, _, handed, _ in cameras)
    for entry in summary.cameras().values():
        assert entry['frames'] == entry['published'] + entry['dropped']
        assert entry['dropped'] == sum(entry['dropped_by'].values())


def test_the_overhead_is_what_is_not_the_engine(summary):
    summary.governor([CameraCount('front', 'net', frames=1, published=1)])
    result(summary, latency_ms=10.0, engine=6.5)
    entry = summary.cameras()['front']
    assert entry['overhead_ms']['p50'] == 3.5
    assert entry['stages_ms']['engine']['p99'] == 6.5
    assert set(entry['stages_ms']) == set(STAGES)


def test_the_first_seconds_may_stay_out_of_the_percentiles():
    summary = Summary(settle_s=2.0)
    summary.governor([CameraCount('front', 'net', frames=3, published=3)])
    for now_s, latency_ms in ((100.0, 500.0), (101.9, 400.0), (102.0, 10.0)):
        result(summary, latency_ms=latency_ms, now_s=now_s, labels=['cat'])
    entry = summary.cameras()['front']
    assert entry['latency_ms'] == {'p50': 10.0, 'p95': 10.0, 'p99': 10.0}
    assert entry['detections'] == 3


def test_one_result_has_no_rate(summary):
    summary.governor([CameraCount('front', 'net', frames=1, published=1)])
    result(summary)
    assert summary.cameras()['front']['fps'] == 0.0


def test_the_table_shows_what_the_report_says(summary):
    from rich.console import Console

    summary.engine, summary.models = 'onnxruntime', ('nanodet_g',)
    summary.governor([CameraCount('front', 'net', frames=9, published=8,
                                  dropped=(('encoding', 1),))])
    summary.executor([CameraCount('front', 'net', frames=8, published=8)])
    result(summary, labels=['cat', 'cat'], latency_ms=12.34)
    text = io.StringIO()
    Console(file=text, width=160).print(table(summary))
    for word in ('nanodet_g on onnxruntime', 'front', 'dropped because: encoding 1', ' 12 ',
                 'seen: cat 2'):
        assert word in text.getvalue()


def test_power_and_energy_are_in_the_title_if_anybody_can_tell(summary):
    assert table(summary).title == 's3dnn_ros'
    summary.power_mw, summary.energy_j = 7240.0, 311.6
    assert table(summary).title == 's3dnn_ros · 7.2 W, 312 J'


def test_an_empty_table(summary):
    from rich.console import Console

    text = io.StringIO()
    Console(file=text, width=160).print(table(summary))
    assert 's3dnn_ros' in text.getvalue() and 'camera' in text.getvalue()


def test_the_table_fits_a_narrow_terminal(summary):
    from rich.console import Console

    names = ('street_later', 'portrait')
    summary.governor([CameraCount(name, 'net', frames=99999, published=99999) for name in names])
    text = io.StringIO()
    Console(file=text, width=80).print(table(summary))
    assert all(name in text.getvalue() for name in names) and '99999' in text.getvalue()
    assert '…' not in text.getvalue()
