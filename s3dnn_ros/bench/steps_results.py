"""The results of `s3dnn bench steps` as tables in markdown."""

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
        f"From an image of {plan['width']}x{plan['height']} to BGR, medians of "
        f"{plan['repeats']} in each run:", '',
        *table(['', 'ms per megapixel', 'OpenCV alone'],
               [[row['name'], *(spread(row[key], 2) if row[key] else '–'
                                for key in ('ours_ms_per_mp', 'opencv_ms_per_mp'))]
                for row in results['images']]),
        '', 'To follow objects into the next frame:', '',
        *table(['objects', 'ms'], [[str(row['objects']), spread(row['ms'], 2)]
                                   for row in results['tracks']])]
