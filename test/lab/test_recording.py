"""A simulated run becomes the recording that a real one would give."""

import functools

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.bench.contenders import ContenderChooser, contenders
from s3dnn_ros.lab.board_file import load_board
from s3dnn_ros.lab.board_tables import BoardTables
from s3dnn_ros.lab.layers import Layer
from s3dnn_ros.lab.recording import record
from s3dnn_ros.lab.roofline import Roofline
from s3dnn_ros.lab.simulated_platform import SimulatedPlatform
from s3dnn_ros.lab.virtual_executor import VirtualExecutor
from s3dnn_ros.runtime.recorder import Recorder, Stage
from s3dnn_ros.runtime.recording import recording_of

BOARD = load_board('tx2')
NETWORKS = {
    'small': ((Layer(4e8, 1e6, 1e5, 1e5),) * 2,) * 3,
    'large': ((Layer(2e9, 1e6, 1e6, 1e5), Layer(1e6, 4e6, 0.0, 1e6)),) * 4}


def recording(factor=4.0, images=20, rows=1 << 14):
    """Return the recording of two networks under NeuOS; each has so much time for an image."""
    clock, roofline, space = VirtualClock(), Roofline(BOARD), BOARD.space()
    board_tables = BoardTables(BOARD, space, roofline)
    tables = {name: board_tables.of(segments, [[(1.0, 1.0)]] * len(segments))
              for name, segments in NETWORKS.items()}
    platform = SimulatedPlatform(BOARD, clock, NETWORKS)
    (contender,) = contenders(['balanced'])
    chooser = ContenderChooser(platform, tables, contender, clock)
    executor = VirtualExecutor(
        'edf', {name: roofline.profile(name, each) for name, each in NETWORKS.items()},
        lambda job: None, lambda *_: None, 0, chooser=chooser, clock=clock, board=platform,
        recorder=Recorder(rows))
    for name in NETWORKS:
        instance, period_s = executor.add(name), factor * tables[name].least_s
        for index in range(images):
            executor.at(index * period_s, functools.partial(
                executor.send, instance, (index + 1) * period_s))
    executor.run_until(2 * images * max(factor * each.least_s for each in tables.values()))
    chooser.close()
    return recording_of(record(executor, chooser, device='TX2', policy='balanced', seed=0,
                               energy_j=sum(platform.energy_j().values())))


def test_every_request_and_boundary_of_a_simulated_run_is_recorded():
    found = recording()
    assert found.run.simulated and found.run.energy_j > 0.0
    assert found.models == {name: name for name in NETWORKS}
    assert len(found.requests) == 40
    ended = {stamp.request for stamp in found.stamps
             if stamp.stage in (Stage.FINISHED, Stage.DROPPED)}
    assert ended == {each.request for each in found.requests}
    # one for every segment that ran
    submitted = {(stamp.request, stamp.segment) for stamp in found.stamps
                 if stamp.stage == Stage.SUBMITTED}
    assert {(row.request, row.segment) for row in found.boundaries} >= submitted > set()
    named = {row.configuration for row in found.configurations}
    assert len(named) > 1 and {row.configuration for row in found.boundaries} <= named
    assert found.changes


def test_what_was_dropped_is_recorded_as_dropped():
    found = recording(factor=0.9)
    assert any(stamp.stage == Stage.DROPPED for stamp in found.stamps)


def test_a_recorder_of_few_rows_keeps_the_newest():
    whole, newest = recording(), recording(rows=10)
    # requests have other numbers in the second run
    assert [stamp._replace(request=0) for stamp in newest.stamps] == [
        stamp._replace(request=0) for stamp in whole.stamps[-10:]]
