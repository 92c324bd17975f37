"""The CSV file of a performance table: its rows, and above them what they are of."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from s3dnn_ros.base.cache import write_whole
from s3dnn_ros.base.content import read_bytes
from s3dnn_ros.errors import DocumentError, TableError, shown
from s3dnn_ros.partition.row import Row

COLUMNS = ('unit', 'batch', 'execution_ms_per_image', 'io_ms_per_image')
POWER = 'power_w'       # a column that may be there
MOST_ROWS = 100_000
# A line above the rows. Names of units hold colons, but no colon and space.
_ABOUT = re.compile(r'#\s*(.*?\S): +(.+)')


def read(path: Path) -> Tuple[List[Row], Dict[str, str]]:
    """Return the rows, in the order of the file, and what they are of.

    Raises TableError that names the file, and the line where it is one.
    """
    try:
        stream = io.StringIO(read_bytes(path).decode('utf-8-sig'))
    except DocumentError as error:
        raise TableError(path, str(error)) from error
    except UnicodeDecodeError as error:
        raise TableError(path, f'is no text in UTF-8 ({error.reason} at byte {error.start})'
                         ) from error
    about: Dict[str, str] = {}
    lines = 0
    line = stream.readline()
    while line.startswith('#'):
        lines += 1
        found = _ABOUT.fullmatch(line.strip())
        if not found or not line.strip().isprintable():
            raise TableError(f'{path}, line {lines}', f'is {shown(line.strip())}; expected a key '
                             "and a value, such as '# model: resnet50'")
        about[found[1]] = found[2]
        line = stream.readline()
    reader = csv.DictReader(itertools.chain([line], stream), strict=True)
    return _rows(reader, path, lines), about


def write(path: Path, rows: Sequence[Row], about: Mapping[str, str]) -> None:
    """Write a file, whole or not at all; what is not known stays empty. Raises TableError."""
    text = io.StringIO()
    for key, value in about.items():
        text.write(f'# {key}: {value}\n')
    writer = csv.writer(text, lineterminator='\n')
    with_power = any(not math.isnan(row.power_w) for row in rows)
    writer.writerow((*COLUMNS, POWER) if with_power else COLUMNS)
    for row in rows:
        values = [row.unit, row.batch, row.execution_ms_per_image, row.io_ms_per_image]
        if with_power:
            values.append('' if math.isnan(row.power_w) else row.power_w)
        writer.writerow(values)
    try:
        write_whole(path, text.getvalue().encode())
    except OSError as error:
        raise TableError(path, f'cannot be written ({error.strerror}); free space there, or name '
                         'another') from error


def _rows(reader: csv.DictReader, path: Path, lines_above: int) -> List[Row]:
    lines: Dict[Tuple[str, int], int] = {}      # of the rows by unit and batch
    rows: List[Row] = []
    try:
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise TableError(path, f"lacks the column '{missing[0]}'; expected "
                                   f"{', '.join(COLUMNS)}")
        for values in reader:
            if len(rows) == MOST_ROWS:
                raise TableError(path, f'has more than {MOST_ROWS} rows')
            line = lines_above + reader.line_num
            place = f'{path}, line {line}'
            if reader.restkey in values:
                raise TableError(place, 'has more values than there are columns; write numbers '
                                        'with a point')
            row = _row(values, place)
            first = lines.setdefault((row.unit, row.batch), line)
            if first != line:
                raise TableError(place, f"has unit '{row.unit}' and batch {row.batch} as line "
                                        f'{first}; leave one of them out')
            rows.append(row)
    except csv.Error as error:
        raise TableError(f'{path}, line {lines_above + reader.line_num}', f'is no CSV ({error})'
                         ) from error
    return rows


def _row(values: Mapping[str, Optional[str]], place: str) -> Row:
    numbers = {}
    for column in (*COLUMNS[1:], POWER):
        text = (values.get(column) or '').strip()
        if column == POWER and not text:
            continue
        try:
            numbers[column] = int(text) if column == 'batch' else float(text)
        except ValueError as error:
            raise TableError(place, f'{column} is {shown(text)}; expected a number') from error
    try:
        return Row((values['unit'] or '').strip(), **numbers)
    except ValueError as error:
        raise TableError(place, str(error)) from error
