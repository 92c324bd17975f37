"""The results of `s3dnn bench s3dnn` as tables in markdown."""

from __future__ import annotations

import statistics
from typing import List

from s3dnn_ros.bench.boundaries import beyond_us
from s3dnn_ros.bench.markdown import head, line, spread, table

# Of the file; another one is not read.
FORMAT = 2


def column(runs, field, scale=1.0) -> List[float]:
    """Return one figure of all runs."""
    return [scale * run[field] for run in runs]


def over_ideal(runs, ideal_share) -> str:
    """Return what was missed as a multiple of the ideal; empty if that misses nothing."""
    if not ideal_share:
        return ''
    return f"×{statistics.median(column(runs, 'missed_share')) / ideal_share:.1f}"


def names_of(rows) -> List[str]:
    """Return the policies in some rows, in order, also those that were left out somewhere."""
    return list(dict.fromkeys(
        name for row in rows for name in (*row['policies'], *row['left_out'])))


def tables(results) -> List[str]:
    """Return the results as lines of markdown."""
    lines = [head(results, results['device'])]
    if results.get('decisions'):
        lines += ['', *_decisions(results['decisions'])]
    if results.get('batches'):
        lines += ['', *_batches(results['batches'])]
    if results.get('boundaries'):
        lines += ['', *_boundaries(results['boundaries'])]
    if results.get('idle'):
        lines += ['', *_idle(results['idle'])]
    if results.get('alone'):
        lines += ['', *_alone(results['alone'])]
    if results.get('throughput'):
        lines += ['', *_throughput(results['throughput'])]
    rows = results.get('deadlines', [])
    for count in dict.fromkeys(row['instances'] for row in rows):
        lines += ['', *_missed(count, [row for row in rows if row['instances'] == count])]
    lines += [f'\n{name} is left out where it says –: {reason}' for name, reason in sorted({
        (name, reason) for row in [*results.get('throughput', []), *rows]
        for name, reason in row['left_out'].items()})]
    return lines


def _decisions(rows):
    """Show what a decision takes, by how many instances have work queued."""
    yield 'Time of a decision, p50 and p99, in µs, by how many instances have work queued:\n'
    counts = list(dict.fromkeys(row['queued'] for row in rows))
    yield from _by_policy(rows, counts, 'queued', lambda row: ', '.join(
        spread(column(row['us'], name), 1) for name in ('p50', 'p99')))


def _batches(rows):
    """Show IIT Kharagpur's table: the time of 100 batches on one and more streams."""
    yield 'Time of 100 batches of AlexNet, in ms, by streams × batch:\n'
    shapes = list(dict.fromkeys((row['streams'], row['batch']) for row in rows))
    rows = [{**row, 'shape': (row['streams'], row['batch'])} for row in rows]
    yield from _by_policy(rows, shapes, 'shape', lambda row: spread(row['ms'], 1))


def _boundaries(rows):
    """Show what a job takes beyond its segments."""
    yield 'A job beyond its segments, in µs for each of them, exact and with variants:\n'
    yield from table([''] + [f"{row['model']}, {row['segments']} segments" for row in rows], [
        [how] + [spread(beyond_us(row, how), 1) if how in row['job_ms'] else '–' for row in rows]
        for how in rows[0]['job_ms']])


def _idle(rows):
    """Show what the device draws while nothing runs."""
    yield 'Power while nothing runs, in W, and × the first:\n'
    first_w = statistics.median(rows[0]['power_w'])
    yield from table(['', 'power'], [
        [f"lanes {row['lanes']}",
         spread(row['power_w'], 2) + f", ×{statistics.median(row['power_w']) / first_w:.3f}"]
        for row in rows])


def _alone(rows):
    """Show what a request takes alone, from its begin to its answer, at p50."""
    yield 'A request alone, p50: to begin it, in µs; on the device and until its answer, in ms:\n'
    def cells(field, name, digits):
        # the last model of a bench that was cut off has not all
        return [spread(column(row[field][name], 'p50'), digits) if name in row[field] else '–'
                for row in rows]

    yield from table([''] + [row['model'] for row in rows], [
        *([f'begin, {how}', *cells('begin_us', how, 1)] for how in rows[0]['begin_us']),
        ['device'] + [f"{row['device_ms']:.3f}" for row in rows],
        *([name, *cells('response_ms', name, 3)] for name in rows[0]['response_ms'])])


def _by_policy(rows, values, key, text):
    """Show a line for each policy and a column for each value of a key."""
    heads = [' × '.join(map(str, value)) if isinstance(value, tuple) else str(value)
             for value in values]
    found = {(row['policy'], row[key]): text(row) for row in rows}
    yield from table(['', *heads], [
        [name] + [found.get((name, value), '–') for value in values]
        for name in dict.fromkeys(row['policy'] for row in rows)])


def _throughput(rows):
    """Work share, its ratio to that of streams, and images per second."""
    yield 'Work share (what the images would take alone, per second), × streams, images/s:\n'
    yield from table([''] + [f"{row['instances']} instances" for row in rows], [
        [name] + [_work(row, name) for row in rows] for name in names_of(rows)])
    batches = sorted({entry['batch'] for row in rows for entry in row['limits']})
    for batch in batches:
        found = [next((entry for entry in row['limits'] if entry['batch'] == batch), None)
                 for row in rows]
        yield line([f'no policy, batches of {batch}'] + [
            f"{entry['work_share']:.2f}, {entry['finished_hz']:.0f}/s" if entry else '–'
            for entry in found])


def _work(row, name):
    runs = row['policies'].get(name)
    if not runs:
        return '–'
    text = spread(column(runs, 'work_share'), 2)
    if 'streams' in row['policies']:
        streams = statistics.median(column(row['policies']['streams'], 'work_share'))
        text += f", ×{statistics.median(column(runs, 'work_share')) / streams:.2f}"
    return text + f", {statistics.median(column(runs, 'finished_hz')):.0f}/s"


def _missed(count, rows):
    """Missed share by load, and its multiple of the ideal, beside what is computed."""
    yield (f'Missed of {count} instances, in %, and × the ideal, by the load as a share of what '
           f"streams carry ({rows[0]['capacity_work_share']:.2f} of work, "
           f"{rows[0]['capacity_hz']:.0f} images/s):\n")
    yield from table([''] + [f"{row['load']:.0%}" for row in rows], [
        [name] + [_share_missed(row, name) for row in rows] for name in names_of(rows)])
    for title, field in (('ideal without fusion (computed)', 'ideal_missed_share'),
                         ('work beyond capacity (computed)', 'overload_share')):
        yield line([title] + [f'{1e2 * row[field]:.1f}' for row in rows])


def _share_missed(row, name):
    runs = row['policies'].get(name)
    if not runs:
        return '–'
    return ', '.join(filter(None, (spread(column(runs, 'missed_share', 1e2), 1),
                                   over_ideal(runs, row['ideal_missed_share']))))
