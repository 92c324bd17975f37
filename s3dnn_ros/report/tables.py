"""Tables of a page, from rows or from the markdown that `s3dnn bench table` prints."""

from __future__ import annotations

import itertools
import re
from typing import Iterable, Iterator, List, Mapping, Sequence

import numpy as np

from s3dnn_ros.bench.confidence import told
from s3dnn_ros.report.figure import text
from s3dnn_ros.report.points import Point
from s3dnn_ros.report.spans import DROPPED, IN_TIME, LATE, UNKNOWN, Account

_RULE = re.compile(r'\|(\s*:?-+:?\s*\|)+')
# Or the dash that stands for an unknown one.
_NUMBER = re.compile(r'\s*([-+−–±×<>≤≥]?\s*\d[^a-zA-Z]*$|–\s*$)')
_CODE = re.compile(r'`([^`]+)`')
_CELLS = re.compile(r'(?<!\\)\|')


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], caption='') -> str:
    """Return a table; heads and cells are plain text. Columns of numbers are to the right."""
    rows = [list(row) for row in rows]
    told_by = f'<p class="note">{text(caption)}</p>' if caption else ''
    numbers = [False] * len(heads)
    for index, column in enumerate(list(zip(*rows))[:len(heads)]):
        numbers[index] = index > 0 and all(_NUMBER.match(cell) for cell in column)
    head = ''.join(f'<th scope="col"{_class(is_number)}>{_inline(cell)}</th>'
                   for cell, is_number in zip(heads, numbers))
    body = ''.join(f'<tr>{"".join(_cells(row, numbers))}</tr>' for row in rows)
    label = text(caption or 'table')
    return (f'{told_by}<div class="wide" tabindex="0" role="region" aria-label="{label}">'
            f'<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def _cells(row, numbers) -> Iterator[str]:
    for index, (cell, is_number) in enumerate(
            itertools.zip_longest(row, numbers[:len(row)], fillvalue=False)):
        if not index:
            yield f'<th scope="row">{_inline(cell)}</th>'
        else:
            yield f'<td{_class(is_number)}>{_inline(cell)}</td>'


def _class(is_number) -> str:
    return ' class="number"' if is_number else ''


def _inline(words: str) -> str:
    return _CODE.sub(r'<code>\1</code>', text(words))


def from_markdown(lines: Sequence[str]) -> str:
    """Return lines of markdown, as results modules write them: headings, paragraphs, tables."""
    parts: List[str] = []
    lines = [line for each in lines for line in str(each).split('\n')]
    place = 0
    while place < len(lines):
        line = lines[place].strip()
        place += 1
        if place < len(lines) and line.startswith('|') and _RULE.fullmatch(lines[place].strip()):
            end = place + 1
            while end < len(lines) and lines[end].strip().startswith('|'):
                end += 1
            parts.append(table(_split(line), map(_split, lines[place + 1:end])))
            place = end
        elif line.startswith('#'):
            parts.append(f'<h4>{_inline(line.lstrip("#").strip())}</h4>')
        elif line:
            parts.append(f'<p>{_inline(line)}</p>')
    return '\n'.join(parts)


def _split(line: str) -> List[str]:
    return [cell.strip().replace('\\|', '|') for cell in _CELLS.split(line.strip())[1:-1]]


def accounts(found: Mapping[str, Account], energy_j: Mapping[str, float]) -> str:
    """Return what became of the requests of all instances of a recording."""
    outcomes = [IN_TIME, LATE, DROPPED]
    if any(account.outcomes[UNKNOWN] for account in found.values()):
        outcomes.append(UNKNOWN)
    heads = ['instance', 'model', 'requests', *outcomes, 'missed, %', 'mean, ms', 'p99, ms']
    rows = []
    for instance, account in sorted(found.items()):
        share, responses_ms = account.missed_share, [1e3 * each for each in account.responses_s]
        rows.append([
            instance, account.model, f'{sum(account.outcomes.values()):,}',
            *(f'{account.outcomes[name]:,}' for name in outcomes),
            '–' if share is None else f'{100 * share:.2f}',
            *(['–', '–'] if not responses_ms else [
                f'{np.mean(responses_ms):.2f}', f'{np.percentile(responses_ms, 99):.2f}'])])
        if energy_j:
            rows[-1].append(f'{energy_j[instance]:.2f}' if instance in energy_j else '–')
    caption = ('Requests of the whole recording. Unknown are those that had not ended, or whose '
               'deadline was not kept.')
    if energy_j:
        heads.append('energy, J')
        caption += ' Energy is that since the run began.'
    return table(heads, rows, caption)


def points_table(found: Sequence[Point]) -> str:
    """Return misses, energy and response times of all that decided, with 95 % confidence."""
    return table(
        ['decided by', 'missed, %', found[0].energy_is, 'mean, ms', 'p99, ms', 'runs'],
        [[point.decider, told(point.missed_percent, 2), told(point.energy, 1),
          told(point.mean_ms, 1), told(point.p99_ms, 1), f'{len(point.missed_percent)}']
         for point in found], 'Means of all runs ± 95 % confidence')
