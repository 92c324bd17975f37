"""The figure of a recording: panels that share their time axis, and nothing but text in them."""

import json

from runs import many, recording, request

from s3dnn_ros.report.spans import view
from s3dnn_ros.report.timeline import timeline

NAMES = {7: 'slow', 8: 'fast'}
EVIL = '<script>alert(1)</script>'


def figure(*requests, **changes):
    return timeline(view(recording(*requests, **changes)), NAMES)


def axes(found, letter):
    return [key for key in found['layout'] if key.startswith(f'{letter}axis')]


def test_every_segment_is_a_bar_of_its_instance_in_the_colour_of_its_outcome():
    found = figure(*many(50))
    bars = [trace for trace in found['data'] if trace['type'] == 'bar']
    assert [trace['name'] for trace in bars] == ['in time', 'late']
    assert len({trace['marker']['color'] for trace in bars}) == 2
    assert sum(len(trace['x']) for trace in bars) == len(view(recording(*many(50))).spans)
    for trace in bars:
        assert len(trace['x']) == len(trace['base']) == len(trace['y']) == len(
            trace['customdata'])
        assert min(trace['x']) > 0.0


def test_a_bar_says_what_was_decided():
    bar = figure(request(2, images=3))['data'][0]
    for words in ('request 2', 'segment 0', 'batch 3', 'variant 2', 'configuration slow',
                  'LAG +0.00 ms'):
        assert words in bar['customdata'][0]


def test_all_panels_share_the_time_axis():
    found = figure(*many(20))
    assert len(axes(found, 'x')) == 4
    assert [found['layout'][key].get('matches') for key in axes(found, 'x')] == [None] + ['x'] * 3
    domains = [found['layout'][key]['domain'] for key in axes(found, 'y')]
    assert all(above[0] > below[1] for above, below in zip(domains, domains[1:]))
    used = {(trace['xaxis'], trace['yaxis']) for trace in found['data']}
    assert used == {('x', 'y'), ('x2', 'y2'), ('x3', 'y3'), ('x4', 'y4')}


def test_without_a_cohort_there_are_segments_alone():
    assert len(axes(figure(*many(20), cohort=False), 'x')) == 1


def test_an_empty_run_is_an_empty_figure():
    found = figure()
    assert json.dumps(found, allow_nan=False) and len(axes(found, 'x')) == 1


def test_names_are_text_whatever_they_hold():
    found = timeline(view(recording(request(1, EVIL), request(2, EVIL, 0.1))), {7: EVIL, 8: EVIL})
    assert '<script' not in json.dumps(found)
    # and the rows are those of the bars
    assert set(found['data'][0]['y']) == set(found['layout']['yaxis']['categoryarray'])


def test_lines_of_two_jobs_are_apart():
    lag = next(trace for trace in figure(request(1), request(2, at_s=1.0))['data']
               if trace['type'] == 'scatter' and trace['mode'] == 'lines+markers')
    assert [value is None for value in lag['y']] == [False, False, True, False, False]
