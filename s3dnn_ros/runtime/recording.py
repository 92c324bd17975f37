"""Recordings: what a run did, segment by segment, as a file that `s3dnn report` draws.

The same file comes from a real executor (`~/write_recording`) and from the lab, which says so in
`simulated`. Tables are kept by column, so that `pandas.DataFrame(recording['stamps'])` reads them.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import math
import statistics
from pathlib import Path
from typing import (
    Any,
    Dict,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Type,
    get_type_hints,
)

from s3dnn_ros.base.cache import write_whole
from s3dnn_ros.base.content import MOST_JSON_BYTES, Fields, is_number, json_of, read_bytes
from s3dnn_ros.errors import DocumentError, RecordingError
from s3dnn_ros.runtime.recorder import Recorder, RequestTimes, Stage, Stamp
from s3dnn_ros.runtime.variant_chooser import Boundary

# Of the file; another one is not read.
FORMAT = 1
# The key that no other file of ours has.
KEY = 'recording'
STAGES = tuple(value for name, value in vars(Stage).items() if name.isupper())
# Times are written in whole microseconds: nobody stamps more exactly.
DIGITS = 6
_FAR_S = 1e12
_MOST = 1 << 53
_TABLES: Mapping[str, Type[NamedTuple]]


class Change(NamedTuple):
    """When the board was set to which configuration."""

    now_s: float
    configuration: int


class Name(NamedTuple):
    """What a configuration is called."""

    configuration: int
    name: str


_TABLES = {'requests': RequestTimes, 'stamps': Stamp, 'boundaries': Boundary, 'changes': Change,
           'configurations': Name}


@dataclasses.dataclass(frozen=True)
class Run:
    """What a recording says of its run as a whole.

    Attributes
    ----------
    device : str
    simulated : bool
        The device is simulated: no figure was measured on one.
    policy : str
        Who decided: a scheduler, a coordinator's mode, a rival.
    environment : mapping
        Versions, commit and machine, as benches write them.
    command : str
        What was run; empty if unknown.
    seed : int or None
        Of a simulated run.
    energy_j : float or None
        What the device used since the run began, which may be longer ago than the first stamp
        that was kept; None: nobody can tell.
    energy_of_instances_j : mapping of str to float
        The same of every instance; empty where nobody can tell.

    """

    device: str
    simulated: bool
    policy: str
    environment: Mapping[str, Any]
    command: str = ''
    seed: Optional[int] = None
    energy_j: Optional[float] = None
    energy_of_instances_j: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Recording:
    """A run as it went; times are in seconds on the clock of its executor.

    Attributes
    ----------
    run : Run
    models : mapping of instance to model name
    requests, stamps, boundaries : sequences of RequestTimes, Stamp, Boundary
        Oldest first. Older ones may have been forgotten.
    changes : sequence of Change
        Empty where they are only known from the boundaries.
    configurations : sequence of Name
        Of those that the board was in, which may have thousands of others; empty if nobody sets
        any.

    """

    run: Run
    models: Mapping[str, str]
    requests: Sequence[RequestTimes]
    stamps: Sequence[Stamp]
    boundaries: Sequence[Boundary] = ()
    changes: Sequence[Change] = ()
    configurations: Sequence[Name] = ()

    @classmethod
    def of(cls, run: Run, models: Mapping[str, str], recorder: Recorder,
           boundaries: Iterable[Boundary] = (), names: Sequence[str] = (),
           changes: Iterable[Tuple[float, int]] = ()) -> Recording:
        """Return what a recorder and a chooser have kept.

        `names` are those of all the board's configurations, by index.
        """
        kept, changed = tuple(boundaries), tuple(Change(*change) for change in changes)
        used = sorted({row.configuration for row in (*kept, *changed)}) if names else ()
        return cls(run, dict(models), recorder.requests(), recorder.stamps(), kept, changed,
                   tuple(Name(index, names[index]) for index in used))

    def document(self) -> Dict:
        """Return it as a dict that JSON can hold."""
        deadlines_ms = self._deadlines_ms()
        run = {**dataclasses.asdict(self.run), 'environment': dict(self.run.environment),
               'energy_of_instances_j': dict(self.run.energy_of_instances_j)}
        tables = {name: _columns(getattr(self, name), kind) for name, kind in _TABLES.items()}
        return {'format': FORMAT, KEY: {
            **run,
            'instances': {name: {'model': model, 'deadline_ms': deadlines_ms.get(name)}
                          for name, model in self.models.items()}, **tables}}

    def _deadlines_ms(self) -> Dict[str, float]:
        """Return the median relative deadline of the instances whose requests have one."""
        found: Dict[str, List[float]] = collections.defaultdict(list)
        for each in self.requests:
            if math.isfinite(each.deadline_s):
                found[each.instance].append(1e3 * (each.deadline_s - each.arrived_s))
        return {name: round(statistics.median(values), 3) for name, values in found.items()}


def write_recording(document: Mapping, path: Path) -> None:
    """Write the document of a recording into a file, whole; raises RecordingError."""
    try:
        # in pieces: in one piece it would hold up all other threads, those that run segments too
        write_whole(Path(path), ''.join(json.JSONEncoder().iterencode(document)).encode())
    except OSError as error:
        raise RecordingError(path, f'cannot be written ({error.strerror}); name another '
                             'folder') from error


def is_recording(content: Any) -> bool:
    """Tell whether the content of a JSON file is meant as a recording."""
    return isinstance(content, dict) and KEY in content


def read_recording(path: Path) -> Recording:
    """Return the recording in a file; raises RecordingError that names file and key."""
    try:
        return recording_of(json_of(read_bytes(Path(path), MOST_JSON_BYTES)))
    except DocumentError as error:
        raise RecordingError(path, f'{error}: record the run again') from error


def recording_of(content: Any) -> Recording:
    """Return the recording in the content of a JSON file; raises DocumentError."""
    whole = Fields(content)
    whole.whole('format', FORMAT, FORMAT)
    fields = whole.part(KEY)
    instances = fields.part('instances')
    models = {name: instances.part(name).text('model') for name in instances.names()}
    run = Run(fields.text('device'), fields.truth('simulated'), fields.text('policy'),
              fields.mapping('environment'), fields.text('command'),
              None if fields.value('seed') is None else fields.whole('seed', -_MOST, _MOST),
              None if fields.value('energy_j') is None else fields.number('energy_j', 0, _FAR_S),
              _numbers(fields.part('energy_of_instances_j')))
    found = Recording(run, models, **{name: _rows(fields.part(name), kind)
                                      for name, kind in _TABLES.items()})
    _check(found, fields)
    return found


def _check(found: Recording, fields: Fields) -> None:
    """Refuse rows of instances, stages and configurations that are not there."""
    for name in ('requests', 'stamps', 'boundaries'):
        if any(row.instance not in found.models for row in getattr(found, name)):
            fields.part(name).fail('instance', "names among those of 'instances'")
    if any(stamp.stage not in STAGES for stamp in found.stamps):
        fields.part('stamps').fail('stage', 'only ' + ', '.join(STAGES))
    named = {row.configuration for row in found.configurations} or {0}
    for name in ('boundaries', 'changes'):
        if any(row.configuration not in named for row in getattr(found, name)):
            fields.part(name).fail('configuration', "numbers among those of 'configurations'")


def _columns(rows: Sequence[NamedTuple], kind: Type[NamedTuple]) -> Dict[str, List]:
    columns = list(zip(*rows)) or [()] * len(kind._fields)
    return {name: [_plain(value) for value in column]
            for name, column in zip(kind._fields, columns)}


def _plain(value):
    """Return a value as JSON can hold it: what is without end has no number there."""
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value


def _rows(fields: Fields, kind: Type[NamedTuple]) -> List:
    columns = [_COLUMNS[hint](fields, name) for name, hint in get_type_hints(kind).items()]
    if len(set(map(len, columns))) > 1:
        shortest = min(zip(map(len, columns), kind._fields))[1]
        fields.fail(shortest, f'as many values as the longest of {", ".join(kind._fields)}')
    return [kind(*row) for row in zip(*columns)]


def _times(fields: Fields, key: str) -> Tuple[float, ...]:
    """Return numbers; null stands for a deadline that never comes."""
    if key != 'deadline_s':
        return fields.numbers(key, -_FAR_S, _FAR_S)
    values = fields.items(key)
    if not all(value is None or is_number(value, -_FAR_S, _FAR_S) for value in values):
        fields.fail(key, f'a list of numbers from {-_FAR_S:g} to {_FAR_S:g}, or null')
    return tuple(math.inf if value is None else float(value) for value in values)


def _wholes(fields: Fields, key: str) -> Tuple[int, ...]:
    return fields.wholes(key, 0, _MOST)


def _numbers(fields: Fields) -> Dict[str, float]:
    return {name: fields.number(name, 0.0, _FAR_S) for name in fields.names()}


_COLUMNS = {str: Fields.texts, int: _wholes, float: _times}
