"""The results of `s3dnn bench engines` as a table in markdown."""

from __future__ import annotations

from typing import List

from s3dnn_ros.bench.markdown import head, spread, table

# Of the file; another one is not read.
FORMAT = 1


def tables(results) -> List[str]:
    """Return the results as lines of markdown."""
    devices = dict.fromkeys(row['device'] for row in results['rows'])
    lines = [head(results, '; '.join(devices)), '']
    lines += table(
        ['', 'error, whole and cut', 'whole, ms', 'cut, ms', 'cut over whole',
         'loads again in, s'],
        [[f"{row['model']}, {row['name']}, {row['precision']}",
          ', '.join(f'{error:.1e}' for error in row['errors'].values()),
          spread(row['times_ms']['whole'], 3),
          f"{row['segments']} segments, {spread(row['times_ms']['chain'], 3)}",
          spread(row['chain_over_whole'], 3), f"{row['load']['second']['s']:.2f}"]
         for row in results['rows']])
    lines += [f'\n{note}' for row in results['rows'] for note in row['notes']]
    return lines
