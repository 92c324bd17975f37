"""What a user sees while something is measured: where it is, and how long it still takes."""

import io

import pytest
from rich.console import Console

from s3dnn_ros.base.clock import VirtualClock
from s3dnn_ros.commands.progress import BatchProgress, TimeLeft, duration
from s3dnn_ros.profiling.batch_timer import Step


@pytest.mark.parametrize('seconds, said', [
    (0.0, '1 s'), (0.6, '1 s'), (42.4, '42 s'), (89.9, '90 s'), (91.0, '2 min'), (3600, '60 min')])
def test_times_are_told_as_people_say_them(seconds, said):
    assert duration(seconds) == f'about {said}'


def test_the_rest_goes_on_as_the_part_before_it():
    clock = VirtualClock(100.0)
    left = TimeLeft(clock)
    assert left.seconds(0, 40, 2.0) == 80.0
    clock.advance(30.0)
    assert left.seconds(10, 40, 2.0) == 90.0
    assert left.seconds(40, 40) == 0.0


def shown(terminal):
    """Return what is printed of three batches on a machine that takes twice the runs' time."""
    clock, out = VirtualClock(), io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100)
    with BatchProgress('net', 3, clock, console) as progress:
        progress(Step(1, 1, 0.0, 0.0))
        clock.advance(2.0)
        progress(Step(1, 1, 1.0, 31.0))
        clock.advance(18.0)
        progress(Step(2, 1, 10.0, 30.0))
        clock.advance(40.0)
        progress(Step(1, 2, 30.0, 35.0))
    return out.getvalue()


def test_where_the_output_is_no_terminal_each_batch_has_a_line():
    assert shown(terminal=False).splitlines() == [
        'net: batch 1 of 3, about 60 s left', 'net: batch 2 of 3, about 40 s left',
        'net: batch 1 of 3, attempt 2, about 10 s left']


def test_on_a_terminal_one_line_changes_and_goes_away():
    out = shown(terminal=True)
    # the last state is drawn before the line is erased
    assert 'batch 1 of 3, attempt 2' in out and 'about 10 s left' in out
    assert '\x1b[2K' in out
