"""How well batches are split over the units of measured tables: nothing runs, all is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Sequence

from s3dnn_ros.bench.environment import environment
from s3dnn_ros.bench.markdown import table as markdown_table
from s3dnn_ros.errors import TableError
from s3dnn_ros.partition import PerformanceTable, partition_batch

# Of the file; another one is not read.
FORMAT = 1
# Lee, Choi and Park, KCC 2020, figure of the results: images per second of CPU, iGPU and GPU over
# those of the GPU alone. It says batch 100, and its bars are as high as the tables' batch 200.
PAPERS = {'mobilenet': 1.18, 'squeezenet_v1.0': 2.37, 'resnet-34': 2.01, 'resnet-50': 1.32,
          'vgg-16': 1.69, 'vgg-19': 1.76}


def run(folder: Path, batches: Sequence[int], at: int) -> Dict:
    """Return the figures of every CSV file in a folder, as a dict that JSON can hold.

    Parameters
    ----------
    folder : Path
    batches : sequence of int
        For these, `greedy` is compared with `optimal`.
    at : int
        For this batch, splits are compared with the quickest unit and with equal shares.

    Raises
    ------
    TableError
        There is no table in the folder, or one cannot be read.

    """
    paths = sorted(Path(folder).glob('*.csv'))
    if not paths:
        raise TableError(folder, 'has no table in it; name a folder of CSV files that '
                                 '`s3dnn table measure` wrote, or the study')
    return {'format': FORMAT, 'environment': environment(), 'folder': Path(folder).name,
            'batches': [min(batches), max(batches)], 'at': at,
            'tables': [_figures(path, batches, at) for path in paths]}


def tables(results: Dict) -> List[str]:
    """Return the results as lines of markdown."""
    least, most = results['batches']
    return list(markdown_table(
        ['table', f'greedy over optimal, batches {least}–{most}: worst', 'at batch', 'mean',
         f"quickest unit at {results['at']}", 'split', 'speed-up over it', 'optimal', "paper's",
         'over equal shares'],
        map(_line, results['tables'])))


def _figures(path: Path, batches: Sequence[int], at: int) -> Dict:
    table = PerformanceTable.from_csv(path)
    ratios = list(_ratios(table, batches))
    worst = max(ratios)
    greedy, optimal, alone, equal = (
        partition_batch(table, at, method=method)
        for method in ('greedy', 'optimal', 'alone', 'equal'))
    return {
        'name': path.stem, 'about': dict(table.about), 'greedy_over_optimal': worst,
        'worst_batch': batches[ratios.index(worst)],
        'mean_over_optimal': sum(ratios) / len(ratios),
        'quickest': max(alone.assignment, key=alone.assignment.__getitem__),
        'split': dict(greedy.assignment), 'makespan_ms': greedy.makespan_ms,
        'quickest_ms': alone.makespan_ms, 'speedup': alone.makespan_ms / greedy.makespan_ms,
        'optimal_speedup': alone.makespan_ms / optimal.makespan_ms,
        'papers_speedup': PAPERS.get(path.stem),
        'over_equal': equal.makespan_ms / greedy.makespan_ms}


def _ratios(table: PerformanceTable, batches: Sequence[int]) -> Iterator[float]:
    for batch in batches:
        yield (partition_batch(table, batch).makespan_ms
               / partition_batch(table, batch, method='optimal').makespan_ms)


def _line(row: Dict) -> List[str]:
    papers = row['papers_speedup']
    return [row['name'], f"{row['greedy_over_optimal']:.4f}", str(row['worst_batch']),
            f"{row['mean_over_optimal']:.4f}", row['quickest'],
            ' + '.join(map(str, row['split'].values())), f"{row['speedup']:.2f}",
            f"{row['optimal_speedup']:.2f}", '-' if papers is None else f'{papers:.2f}',
            f"{row['over_equal']:.2f}"]
