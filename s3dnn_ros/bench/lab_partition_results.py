"""Results of `s3dnn lab partition` as tables in markdown, beside what the paper says."""

from __future__ import annotations

import re
import statistics
from typing import Dict, List

from s3dnn_ros.bench.confidence import told
from s3dnn_ros.bench.lab_rows import Rows, simulated
from s3dnn_ros.bench.markdown import table
from s3dnn_ros.bench.table_study import PAPERS

# Of the file; another one is not read.
FORMAT = 1


def tables(results: Dict) -> List[str]:
    """Return the results as lines of markdown."""
    rows, plan = Rows(results), results['plan']
    still, busy = rows.excluding_parameter('factor'), rows.having('factor')
    lines = [simulated(results), '']
    if still.cells:
        lines += ['ms of a batch: each unit alone, equal shares, greedy and optimal split. '
                  'Speed-ups are over the quickest unit alone; that of the paper is of CPU, iGPU '
                  'and GPU over the GPU (its text says batch 100, its bars are as high as batch '
                  '200). Parts of a GPU have no other units beside them: `whole` is the GPU that '
                  'is not cut.', '',
                  *table(['table', 'batch', 'units alone', 'equal', 'greedy', 'optimal', 'split',
                          'speed-up, greedy', 'optimal', "paper's", 'whole'],
                         map(_still, still.cells)), '']
    if busy.cells:
        lines += [f"ms of a batch of {plan['busy_batch']}, one behind the other for "
                  f"{plan['seconds']:g} s; each run takes up to {plan['jitter']:.0%} longer, and "
                  'units are busy now and then, so that they take so many times as long. '
                  '`table` splits as measured, `learned` follows what its units take, `told` '
                  'knows who is busy:', '',
                  *table(['table', 'busy: times', 'quickest alone', 'equal', 'table', 'learned',
                          'told', 'learned over alone', 'over table', 'over told'],
                         [_busy(name, factor, busy.where(table=name, factor=factor))
                          for name, factor in busy.pairs('table', 'factor')])]
    return lines


def _still(row) -> List[str]:
    cell, result = row['cell'], row['result']
    whole, papers = result['whole_ms'], PAPERS.get(cell['table'])
    return [cell['table'], str(cell['batch']),
            '; '.join(f'{_short(unit)} {ms:.1f}' for unit, ms in result['units'].items()),
            *(f"{result[f'{method}_ms']:.1f}" for method in ('equal', 'greedy', 'optimal')),
            ' + '.join(map(str, result['split'].values())),
            *(f"{result['alone_ms'] / result[f'{method}_ms']:.2f}"
              for method in ('greedy', 'optimal')),
            '' if papers is None else f'{papers:.2f}', '' if whole is None else f'{whole:.1f}']


def _busy(name, factor, rows) -> List[str]:
    by_decider = {decider: rows.numbers(decider)
                  for decider in ('alone', 'equal', 'table', 'learned', 'told')}
    learned = by_decider['learned']
    return [name, f'{factor:g}', *(f'{statistics.fmean(values):.1f}'
                                   for values in by_decider.values()),
            *(told([other / ours for other, ours in zip(by_decider[decider], learned)], 2)
              for decider in ('alone', 'table', 'told'))]


def _short(unit: str) -> str:
    """Return what a unit is in the study's tables, such as CPU; else its name."""
    found = re.match(r'\[(\w+)\]', unit)
    return found[1] if found else unit
