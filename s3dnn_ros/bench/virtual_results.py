"""Results of `s3dnn bench virtual` as a table in markdown."""

from __future__ import annotations

from typing import Dict, List

from s3dnn_ros.bench.markdown import head, spread, table

# Of the file; another one is not read.
FORMAT = 1


_COLUMNS = (('times_real', 1, 0), ('segments', 1, 0), ('segment_us', 1, 0),
            ('missed_share', 100, 1), ('grown_kb', 1, 0))


def tables(results: Dict) -> List[str]:
    """Return the results as lines of markdown."""
    plan = results['plan']
    return [
        head(results, f"Simulated {plan.get('board') or 'device'}"), '',
        f"{plan['instances']} instances of {plan['segments']} segments ask for "
        f"{plan['load']:.0%} of the device for {plan['seconds']:g} s of virtual time; times are "
        'given, not measured. Memory is the peak of the process, and grows from a tenth of the '
        'time to the end.', '',
        *([f"A stamp of the recorder takes {results['stamp_us']:.1f} µs.", '']
          if 'stamp_us' in results else []),
        *table(['policy', 'times real time', 'segments', 'host, µs a segment', 'missed, %',
                'memory grew, kB'], map(_cells, results['virtual'])),
        *_marks([row for row in results['virtual'] if row.get('marks')])]


def _marks(rows) -> List[str]:
    if not rows:
        return []
    return ['', 'One long run of each policy: what a segment took since the mark before, and the '
            'memory at the mark.', '',
            *table(['policy', 'segments', 'host, µs a segment', 'memory, MB'],
                   ([f"`{row['policy']}`", str(mark['segments']), f"{mark['segment_us']:.1f}",
                     f"{mark['resident_kb'] / 1024:.1f}"]
                    for row in rows for mark in row['marks']))]


def _cells(row):
    return [f"`{row['policy']}`", *(
        spread([factor * run[name] for run in row['runs']], digits)
        for name, factor, digits in _COLUMNS)]
