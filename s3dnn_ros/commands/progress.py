"""Shows how far a measurement has come, and an estimate of how long the rest takes."""

from __future__ import annotations

import contextlib

# Up to this, a time is told in seconds.
SECONDS_UP_TO = 90.0


class TimeLeft:
    """Estimates the rest of a measurement by how long the part before it took.

    Parameters
    ----------
    clock : Clock

    """

    def __init__(self, clock):
        self._clock = clock
        self._begin_s = clock.now_s()

    def seconds(self, done, total, unit_s=0.0) -> float:
        """Return how long the rest takes; `unit_s` is how long one of `total` takes at first."""
        elapsed_s = self._clock.now_s() - self._begin_s
        return (total - done) * (elapsed_s / done if done else unit_s)


class BatchProgress:
    """Tells the steps of a BatchTimer: one changing line on a terminal, else a line a batch.

    Parameters
    ----------
    title : str
        What is measured.
    last_batch : int
    clock : Clock
    console : rich.console.Console, optional
        Without, the standard output.

    """

    def __init__(self, title, last_batch, clock, console=None):
        from rich.console import Console

        self._console = console or Console()
        self._title = title
        self._last_batch = last_batch
        self._left = TimeLeft(clock)
        self._told = None
        self._open = contextlib.ExitStack()
        self._bar = None

    def __enter__(self):
        from rich.progress import BarColumn, Progress, TextColumn

        if self._console.is_terminal:
            progress = Progress(TextColumn('{task.description}'), BarColumn(), TextColumn(
                '{task.fields[left]}'), console=self._console, transient=True)
            self._open.enter_context(progress)
            task = progress.add_task(self._title, total=None, left='')
            self._bar = lambda **values: progress.update(task, **values)
        return self

    def __exit__(self, *_):
        self._open.close()

    def __call__(self, step):
        """Show a Step."""
        again = f', attempt {step.attempt}' if step.attempt > 1 else ''
        title = f'{self._title}: batch {step.batch} of {self._last_batch}{again}'
        left = ''
        if step.total_s:
            left = duration(self._left.seconds(step.done_s, step.total_s, 1.0)) + ' left'
        if self._bar:
            self._bar(description=title, completed=step.done_s, total=step.total_s or None,
                      left=left)
        elif left and self._told != title:
            self._told = title
            self._console.print(f'{title}, {left}', highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < SECONDS_UP_TO:
        return f'about {max(1, round(seconds))} s'
    return f'about {round(seconds / 60)} min'
