"""Results of `s3dnn lab s3dnn` as tables in markdown, beside what the papers say."""

from __future__ import annotations

import statistics
from typing import Dict, Iterable, List, Tuple

from s3dnn_ros.bench.confidence import told
from s3dnn_ros.bench.lab_rows import Rows, simulated
from s3dnn_ros.bench.markdown import table
from s3dnn_ros.scheduling.rivals import RIVALS

# Of the file; another one is not read.
FORMAT = 1
# IIT Kharagpur's S3DNN on a T4: AlexNet, ms by batch, plain and supervised with 1 and 4 streams.
_IIT = {2: (1150, 1157, 88, 92), 4: (1300, 1287, 172, 170), 8: (1570, 1590, 325, 327),
        16: (2135, 2188, 631, 636)}
_WAYS = {'none': 'each frame by itself', 'full': 'a frame of each of {batch} videos',
         'fused': 'fused, up to {batch}', 'moments': 'synchronised, up to {batch}'}


def tables(results: Dict) -> List[str]:
    """Return the results as lines of markdown."""
    rows = Rows(results)
    lines = [simulated(results), '']
    for board in rows.values('board'):
        of_board = rows.where(board=board)
        lines += [*_of_board(board, of_board, results['plan']), '',
                  *_bursts(board, of_board.having('images')), '']
    return lines


def _of_board(board, rows, plan) -> List[str]:
    rows = rows.having('videos')
    main = rows.where(segments=plan['segments'])
    counts = main.values('videos')
    heads = ['batches', 'scheduler', *(f'{count} videos' for count in counts)]
    apart, together = main.where(together=1), main.excluding(together=1)
    lines = []
    for title, cell in ((f'{board}: frames without a result in time (pMiss), %; those of the '
                         'worst video', _missed),
                        (f'{board}: frames with a result per second, in time or not; per video',
                         _throughput)):
        lines += [f'{title}:', '', *table(heads, _lines(apart, counts, cell)), '']
    if together.cells:
        lines += [f'{board}: {plan["together"]} cameras triggered together, pMiss, %; of the '
                  'worst video:', '', *table(heads, _lines(together, counts, _missed)), '']
    lines += _gains(board, apart, counts)
    cuts = rows.where(together=1, batching='none')
    segments = sorted(cuts.values('segments'))
    if len(segments) > 1:
        most = cuts.excluding(segments=plan['segments']).values('videos')[0]
        cuts = cuts.where(videos=most)
        lines += ['', f'{board}: pMiss of {most} videos by the number of segments, %:', '',
                  *table(['scheduler', *map(str, segments)], (
                      [f'`{policy}`', *(_missed(cuts.where(policy=policy, segments=count))
                                        for count in segments)]
                      for policy in cuts.excluding(segments=plan['segments']).values('policy')))]
    return lines


def _lines(rows, counts, cell) -> Iterable[List[str]]:
    for batching, batch in rows.pairs('batching', 'batch'):
        of_way = rows.where(batching=batching, batch=batch)
        for policy in of_way.values('policy'):
            of_policy = of_way.where(policy=policy)
            yield [_WAYS[batching].format(batch=batch), f'`{policy}`',
                   *(cell(of_policy.where(videos=count)) for count in counts)]


def _missed(rows) -> str:
    worst = rows.numbers('worst')
    return (f"{told([100 * value for value in rows.numbers('missed')])}; "
            f'{100 * statistics.fmean(worst):.0f}' if worst else '–')


def _throughput(rows) -> str:
    values = rows.numbers('fps')
    videos = rows.values('videos')
    return f'{told(values)}; {statistics.fmean(values) / videos[0]:.1f}' if values else '–'


def _gains(board, rows, counts) -> List[str]:
    """Tell the gains of fusion and of schedulers, beside the papers' figures and the rivals."""
    plain = rows.where(batching='none', policy='fifo')
    told_rows = []
    for count in counts:
        base, of_count = plain.where(videos=count), rows.where(videos=count)
        found, rivals = {}, {}
        for batching, batch in of_count.pairs('batching', 'batch'):
            of_way = of_count.where(batching=batching, batch=batch)
            for policy in of_way.values('policy'):
                if batching in ('none', 'fused') and (policy, batching) != ('fifo', 'none'):
                    (rivals if policy in RIVALS else found)[policy, batching, batch] = (
                        of_way.where(policy=policy))
        if not base.cells or not found:
            continue
        fps = {key: statistics.fmean(each.numbers('fps')) for key, each in found.items()}
        quickest = max(fps, key=fps.__getitem__)
        base_in_time = _in_time(base)
        in_time, best = _best(found)
        told_rows.append([
            str(count), f'{100 * base_in_time:.1f}', f'{100 * in_time:.1f}', best,
            _percent(in_time, base_in_time),
            _percent(fps[quickest], statistics.fmean(base.numbers('fps'))),
            _named(quickest), *_best_rival(rivals)])
    if not told_rows:
        return []
    return [f'{board}: the best beside frames one by one in order (`fifo`). S3DNN says: up to '
            '+37 % of real-time performance, +18 % (notes) or over +40 % (abstract) of '
            'throughput; batches of 4 and more videos gave more throughput, and 100 % of '
            'deadlines missed. Rivals are later systems, whose rules run on the same core.', '',
            *table(['videos', '`fifo` in time, %', 'best in time, %', 'by', 'more in time',
                    'most throughput, more', 'by', 'best rival in time, %', 'by'], told_rows)]


def _in_time(rows) -> float:
    return 1.0 - statistics.fmean(rows.numbers('missed'))


def _best(found) -> Tuple[float, str]:
    """Return the largest share of frames in time, and who has it."""
    in_time = {key: _in_time(each) for key, each in found.items()}
    best = max(in_time, key=in_time.__getitem__)
    return in_time[best], _named(best)


def _best_rival(rivals) -> Tuple[str, str]:
    if not rivals:
        return '–', '–'
    in_time, best = _best(rivals)
    return f'{100 * in_time:.1f}', best


def _named(key: Tuple[str, str, int]) -> str:
    policy, batching, batch = key
    return f'`{policy}`' + (f', fused up to {batch}' if batching == 'fused' else '')


def _percent(value, base) -> str:
    return f'{100 * (value / base - 1.0):+.0f} %' if base else '–'


def _bursts(board, rows) -> List[str]:
    counts = rows.values('images')
    if not counts:
        return []
    lines = ([_WAYS[batching].format(batch='all'), f'`{policy}`',
              *(told(rows.where(batching=batching, policy=policy, images=count).numbers('ms'))
                for count in counts)]
             for batching in rows.values('batching') for policy in rows.values('policy'))
    papers = zip(('plain, 1 stream', 'plain, 4 streams', 'supervised, 1 stream',
                  'supervised, 4 streams'), zip(*(_IIT.get(count, ('–',) * 4)
                                                  for count in counts)))
    return [f'{board}: ms until the last of so many AlexNet images that come at once; below, what '
            "IIT Kharagpur's S3DNN measured on a T4:", '',
            *table(['batches', 'scheduler', *map(str, counts)], [
                *lines, *(['IIT', name, *map(str, values)] for name, values in papers)])]
