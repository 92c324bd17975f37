"""What ran when around the first misses of a run: a cut-out small enough for a file."""

from __future__ import annotations

import math
from typing import Dict

from s3dnn_ros.bench.record import Record

WINDOW_S = 0.1
# Share of the window before the first missed image came.
BEFORE = 0.25
# Where more images come, less time is shown.
MOST_IMAGES = 150


def timeline(record: Record) -> Dict:
    """Return images and spans around the first misses, or at the beginning if there are none.

    Times are in ms from the window's begin. `ended_ms` is None for images that were dropped,
    `batch` for jobs that were given up between two segments.
    """
    ended_s = {(answer.client, answer.stamp_s): answer.ended_s for answer in record.answers}
    offered = sorted((entry for entry in record.offered
                      if record.begin_s <= entry.stamp_s < record.end_s),
                     key=lambda entry: entry.stamp_s)
    missed = [ended_s.get(entry[:2], math.inf) > entry.deadline_s for entry in offered]
    first = missed.index(True) if any(missed) else 0
    nearest = list(zip(offered, missed))[max(0, first - int(BEFORE * MOST_IMAGES)):][:MOST_IMAGES]
    if not nearest:
        return {'window_ms': 0.0, 'images': [], 'spans': []}
    begin_s = max(nearest[0][0].stamp_s, offered[first].stamp_s - BEFORE * WINDOW_S)
    images = [(entry, late) for entry, late in nearest
              if begin_s <= entry.stamp_s < begin_s + WINDOW_S]
    cut = len(nearest) == MOST_IMAGES and images[-1] == nearest[-1]
    end_s = images[-1][0].stamp_s if cut else min(begin_s + WINDOW_S, record.end_s)
    answers = {(answer.client, answer.deadline_s): answer for answer in record.answers}

    def ms(moment_s):
        return None if moment_s is None else round(1e3 * (moment_s - begin_s), 3)

    def shown(span):
        answer = answers.get((span.client, span.deadline_s))
        return {'client': span.client, 'segment': span.segment,
                'submitted_ms': ms(span.submitted_s), 'completed_ms': ms(span.completed_s),
                'batch': answer and answer.batch,
                'missed': answer is None or answer.ended_s > answer.deadline_s}

    return {
        'window_ms': ms(end_s),
        'images': [{'client': entry.client, 'stamp_ms': ms(entry.stamp_s),
                    'deadline_ms': ms(entry.deadline_s), 'ended_ms': ms(ended_s.get(entry[:2])),
                    'missed': late} for entry, late in images],
        'spans': [shown(span) for span in record.spans
                  if span.completed_s > begin_s and span.submitted_s <= end_s]}
