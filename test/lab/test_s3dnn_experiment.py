"""S3DNN's experiment: repeatable, complete, and right where the answer is known."""

import dataclasses

import pytest

from s3dnn_ros.bench.results import read_results, tables
from s3dnn_ros.cli import main
from s3dnn_ros.errors import ParameterError, S3dnnError
from s3dnn_ros.lab.layers import layers_of
from s3dnn_ros.lab.s3dnn_experiment import (
    NETWORKS,
    Burst,
    Plan,
    Videos,
    carried,
    experiment,
)
from s3dnn_ros.lab.sweep import sweep
from s3dnn_ros.scheduling.rivals import KNOWN, RIVALS

SMALL = Plan(boards=('tx2',), loads=(0.5, 1.0), policies=('fifo', 'edf', 'clockwork'),
             batches=(2,), cut_policies=('edf',), cuts=(2,), bursts=(2,),
             burst_policies=('fifo',), seconds=0.4, seeds=2)


def videos(count, policy='edf', batching='none', batch=1, together=1, seed=0, seconds=0.6):
    return Videos('tx2', 'tiny_yolo_v2', 5, count, together, policy, batching, batch, seconds,
                  seed).run()


def xavier(count, policy, batching='none', batch=1):
    """Run videos on a board that runs several images in less than their times alone."""
    return Videos('agx_xavier', 'tiny_yolo_v2', 5, count, 1, policy, batching, batch, 0.6,
                  0).run()


@pytest.mark.parametrize('network, flops', [
    # pjreddie.com/darknet/yolov2 lists 6.97 billion; torchvision 0.71 billion multiply-adds
    ('tiny_yolo_v2', 6.97e9), ('alexnet', 1.43e9)])
def test_networks_ask_for_the_published_arithmetic(network, flops):
    assert sum(layer.flops for layer in layers_of(NETWORKS[network]())) == pytest.approx(
        flops, rel=0.01)


@pytest.mark.parametrize('batching, batch, together', [
    ('none', 1, 1), ('full', 2, 1), ('fused', 4, 1), ('moments', 2, 2)])
def test_the_same_seed_gives_the_same_run(batching, batch, together):
    first, again, other = (videos(3, 'edf', batching, batch, together, seed)
                           for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize('policy', sorted(KNOWN))
def test_few_videos_are_in_time_and_many_are_not(policy):
    few, many = videos(1, policy), videos(8, policy)
    assert few['missed'] == 0.0 and few['fps'] == pytest.approx(25.0, abs=2.0)
    assert many['missed'] > 0.3 and many['missed'] <= many['worst'] <= 1.0
    assert many['fps'] <= 1.1 * 25.0 * carried('tx2')


def test_batches_have_the_images_that_they_may():
    assert videos(4, batching='full', batch=4)['images'] == 4.0
    assert videos(4, batching='moments', batch=4, together=4)['images'] <= 4.0
    assert 1.0 <= videos(6, batching='fused', batch=2)['images'] <= 2.0
    assert videos(6)['images'] == 1.0


def test_cameras_of_one_moment_are_one_batch():
    assert videos(2, batching='moments', batch=2, together=2)['images'] == 2.0


@pytest.mark.parametrize('policy', sorted(KNOWN))
def test_all_but_streams_miss_fewer_in_batches_of_many_videos(policy):
    apart, fused = xavier(24, policy), xavier(24, policy, 'fused', 4)
    assert fused['images'] > 1.0 or policy == 'streams'
    assert fused['missed'] < apart['missed'] or policy == 'streams'


def test_rivals_are_in_the_table_whole_and_fused():
    ways = {(cell.policy, cell.batching) for cell in experiment(Plan(seeds=1)).cells
            if isinstance(cell, Videos)}
    assert {(rival, batching) for rival in RIVALS for batching in ('none', 'fused')} <= ways


def test_nobody_answers_late_what_clockwork_has_accepted():
    rival, plain = (videos(6, policy, seconds=2.0) for policy in ('clockwork', 'streams'))
    assert rival['p99_ms'] <= 40.0 < plain['p99_ms']


def test_clockworks_device_waits_less_for_the_host_as_it_gets_work_ahead():
    assert xavier(29, 'clockwork')['fps'] > 1.01 * xavier(29, 'fifo')['fps']


def test_full_batches_run_though_they_are_late():
    late = videos(8, 'fifo', 'full', 4)
    assert late['missed'] > 0.9 and late['fps'] > 0.8 * 25.0 * carried('tx2')


def test_a_burst_ends_sooner_as_one_batch():
    apart, fused = (Burst('tx2', 'alexnet', 5, 4, 'fifo', batching, 0).run()['ms']
                    for batching in ('none', 'fused'))
    assert 0.0 < fused < 0.8 * apart


def test_results_are_tables_and_go_on(tmp_path):
    path = tmp_path / 'out.json'
    fewer = sweep(experiment(dataclasses.replace(SMALL, seeds=1)), path, 1)
    results = sweep(experiment(SMALL), path, 1)
    assert len(results['cells']) == 2 * len(fewer['cells'])
    assert [row for row in results['cells'] if row['cell']['seed'] == 0] == fewer['cells']
    text = '\n'.join(tables(read_results(path)))
    assert text.startswith('Simulated, not measured')
    for told in ('2 videos', '4 videos', '`edf`', '`clockwork`', 'best rival', 'fused, up to 2',
                 'triggered together', 'IIT', 'number of segments', '+37 %'):
        assert told in text
    # after Ctrl-C any part may be there
    for count in range(len(results['cells'])):
        assert tables({**results, 'complete': False, 'cells': results['cells'][:count]})


@pytest.mark.parametrize('wrong, said', [
    ({'loads': (0.0,)}, '--loads'), ({'seconds': 0.01}, '--seconds'), ({'seeds': 0}, '--seeds'),
    ({'batches': (1,)}, '--batches'), ({'policies': ('magic',)}, 'magic'),
    ({'boards': ()}, '--boards'), ({'segments': 0}, '--segments')])
def test_what_cannot_be_simulated_is_refused(wrong, said):
    with pytest.raises(ParameterError, match=said):
        dataclasses.replace(SMALL, **wrong)


def test_an_unknown_policy_is_one_sentence_that_lists_all(capsys):
    assert main(['lab', 's3dnn', '--policies', 'edf', 'magic']) == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert 'magic' in sentence and all(name in sentence for name in KNOWN)


def test_an_unknown_board_is_one_sentence(capsys):
    with pytest.raises(S3dnnError, match='nano'):
        experiment(dataclasses.replace(SMALL, boards=('nano',)))
    assert main(['lab', 's3dnn', '--boards', 'nano']) == 1
    assert 'nano' in capsys.readouterr().err


def test_the_command(tmp_path, capsys):
    path = tmp_path / 'out.json'
    assert main(['lab', 's3dnn', '--boards', 'tx2', '--loads', '0.5', '--policies', 'fifo',
                 '--batches', '2', '--seconds', '0.1', '--seeds', '1', '--jobs', '1', '--out',
                 str(path)]) == 0
    assert 'pMiss' in capsys.readouterr().out and path.exists()
