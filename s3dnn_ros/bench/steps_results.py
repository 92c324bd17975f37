"""The results of `s3dnn bench steps` as tables in markdown."""

from __future__ import annotations

from typing import Dict, List

from s3dnn_ros.bench.markdown import head, spread, table

# Of the file; another one is not read.
FORMAT = 2


def tables(results: Dict) -> List[str]:
    """Return the results as lines of markdown."""
    plan = results['plan']
    lines = [head(results, results['environment']['machine']['cpu'])]
    if results['images']:
        lines += _images(results, plan)
    if results['tracks']:
        lines += _tracks(results, plan)
    return lines


def _images(results, plan):
    return [
        '', f"From an image of {plan['width']}x{plan['height']} to BGR, medians of "
        f"{plan['repeats']} in each run:", '',
        *table(['', 'ms per megapixel', 'OpenCV alone'],
               [[row['name'], *(spread(row[key], 2) if row[key] else '–'
                                for key in ('ours_ms_per_mp', 'opencv_ms_per_mp'))]
                for row in results['images']])]


def _tracks(results, plan):
    return [
        '', f"To follow objects into the next frame, of {plan['frames']} in each run:", '',
        *table(['objects', 'ms, median', 'ms, 99 %', 'CPU ms, median', 'CPU ms, 99 %'],
               [[str(row['objects']), *(spread(row[key], 3) for key in (
                   'p50_ms', 'p99_ms', 'cpu_p50_ms', 'cpu_p99_ms'))]
                for row in results['tracks']])]
