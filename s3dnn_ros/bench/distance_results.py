"""The results of `s3dnn bench distance` as a table in markdown."""

from __future__ import annotations

from typing import Dict, List

from s3dnn_ros.bench.markdown import head, spread, table

# Of the file; another one is not read.
FORMAT = 1


def tables(results: Dict) -> List[str]:
    """Return the results as lines of markdown."""
    plan = results['plan']
    return [
        head(results, results['environment']['machine']['cpu']), '',
        f"Depth images of {plan['width']}x{plan['height']} pixels and clouds of "
        f"{plan['points']} points, {plan['boxes']} boxes, {plan['frames']} frames in a run, "
        f"{plan['fps']:g} in a second. From the message to the positions of all boxes.", '',
        *table(['', 'p50, ms', 'p99, ms'],
               [[row['name'], *(spread([one[name] for one in row['runs']], 2)
                                for name in ('p50_ms', 'p99_ms'))]
                for row in results['distances']])]
