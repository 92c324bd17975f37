"""Uses inputs in a process of its own, which is replaced when one of them hangs or kills it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import multiprocessing
import os
import random
import resource
import signal
import tempfile
import time
import traceback
from pathlib import Path
from typing import Callable, Dict, Mapping, Tuple

from s3dnn_ros.errors import S3dnnError
from s3dnn_ros.fuzz import documents, images, networks, recordings

# Every kind of input, by its name.
KINDS: Mapping[str, Callable] = {
    kind.name: kind for room in (documents, recordings, networks, images)
    for kind in room.KINDS}
# More of the processor's time is a hang, and so is an answer that takes ten times as long.
HANG_S = 2.0
GIVEN_UP_S = 20.0
START_S = 120.0
# What an input may add to the memory of the process.
MOST_MB = 500.0
# What is asked for beyond this is not given: one input is not to take the whole machine.
LIMIT_MB = 8_000
# A user reads no longer sentence.
LONGEST_SENTENCE = 2_000
TAKEN, REFUSED, TRACE, HANG, MEMORY = 'taken', 'refused', 'trace', 'hang', 'memory'


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of an input: how it ended, in words, and what it took."""

    end: str
    words: str = ''
    cpu_s: float = 0.0
    added_mb: float = 0.0


class Watch:
    """Uses input after input of these kinds; `left_out` are those that need what is not here.

    The same seed, kind and number are the same input, wherever it is made.
    """

    def __init__(self, kinds, seed: int):
        self._kinds, self._seed = tuple(kinds), seed
        self.left_out: Dict[str, str] = {}
        # ours, as a process that is killed leaves all behind
        self._folder = tempfile.TemporaryDirectory()
        self._start()

    def use(self, kind: str, number: int) -> Outcome:
        """Return what became of one input."""
        try:
            self._ours.send((kind, number))
            if self._ours.poll(GIVEN_UP_S):
                return self._ours.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            code = self._process.exitcode
            self._replace()
            return Outcome(TRACE, f'the process ended with {_ending(code)}')
        self._replace()
        return Outcome(HANG, f'no answer for {GIVEN_UP_S:.0f} s', GIVEN_UP_S)

    def close(self) -> None:
        """End the process."""
        self._end()
        self._folder.cleanup()

    def _end(self):
        self._process.kill()
        self._process.join()
        self._ours.close()

    def _replace(self):
        self._end()
        self._start()

    def _start(self):
        context = multiprocessing.get_context('spawn')
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_work, daemon=True, args=(
            theirs, self._kinds, self._seed, tempfile.mkdtemp(dir=self._folder.name)))
        self._process.start()
        theirs.close()
        if not self._ours.poll(START_S):
            raise TimeoutError(f'the process of the inputs says nothing for {START_S:.0f} s')
        self.left_out = self._ours.recv()


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f'the status {code}'


def _work(connection, names: Tuple[str, ...], seed: int, folder: str) -> None:
    """Answer with the Outcome of each (kind, number) that comes."""
    import cv2
    cv2.setNumThreads(1)
    # what is said of damaged files is wanted, but not here
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_MB << 20, resource.RLIM_INFINITY))
    kinds, left_out = {}, {}
    for name in names:
        own = Path(folder) / name.replace(' ', '_')
        own.mkdir()
        try:
            kinds[name] = KINDS[name](own)
        except ImportError as error:
            left_out[name] = str(error)
    # libraries of images say there what else they raise
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    connection.send(left_out)
    with contextlib.suppress(EOFError):
        while True:
            name, number = connection.recv()
            try:
                given = kinds[name].make(random.Random(f'{seed}, {name}, {number}'))
            except Exception as error:
                connection.send(Outcome(TRACE, f'it could not be made: {_told(error)}'))
            else:
                connection.send(_outcome(kinds[name], given))


def _outcome(kind, given) -> Outcome:
    before_kb, begin_s = _start_peak(), time.process_time()
    end, words = TAKEN, ''
    try:
        kind.use(given)
    except S3dnnError as error:
        end, words = REFUSED, str(error)
        if len(words) > LONGEST_SENTENCE or not _is_printable(words):
            end, words = TRACE, f'a sentence of {len(words)} characters: {words[:200]!a}'
    except BaseException as error:
        end, words = TRACE, _told(error)
    cpu_s, added_mb = time.process_time() - begin_s, (_peak_kb() - before_kb) / 1e3
    if end in (TAKEN, REFUSED) and cpu_s > HANG_S:
        end, words = HANG, f'{cpu_s:.1f} s of the processor; {words[:200]}'
    elif end in (TAKEN, REFUSED) and added_mb > MOST_MB:
        end, words = MEMORY, f'{added_mb:.0f} MB; {words[:200]}'
    return Outcome(end, words, cpu_s, added_mb)


def _is_printable(words: str) -> bool:
    return words.replace('\n', '').isprintable()


def _told(error: BaseException) -> str:
    """Return an error and the last lines of the package that it passed, the innermost last."""
    places = [f'{Path(frame.filename).name}:{frame.lineno}'
              for frame in traceback.extract_tb(error.__traceback__)
              if 's3dnn_ros' in frame.filename]
    return f'{type(error).__name__}: {str(error)[:200]!a} at {", ".join(places[-4:])}'


def _start_peak() -> int:
    """Let the peak of this process's memory begin anew; return it in kB."""
    Path('/proc/self/clear_refs').write_text('5')
    return _peak_kb()


def _peak_kb() -> int:
    with open('/proc/self/status', encoding='ascii') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('VmHWM'))
