"""The page of runs: whole, below its bound, and without markup of anybody else."""

import json
import math
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import lab_results, many, recording, request

from s3dnn_ros.report import page as page_module
from s3dnn_ros.report.page import ReportError, Results, page, plotly_script, sections
from s3dnn_ros.runtime.recorder import RequestTimes, Stamp
from s3dnn_ros.runtime.recording import STAGES, Change, Name, Recording, Run
from s3dnn_ros.runtime.variant_chooser import Boundary

EVIL = '</script><script>alert(1)</script><!-- " onload="x'


class Scripts(HTMLParser):
    """Collects the scripts of a page, and everything that would be asked of another place."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.asked, self.handlers = [], [], []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._inside = tag == 'script'
        if self._inside:
            self.scripts.append('')
        for name, value in attrs:
            if name in ('src', 'href') and not value.startswith(('#', 'data:')):
                self.asked.append(value)
            if name.startswith('on'):
                self.handlers.append(name)

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.scripts[-1] += data


def figures_of(text):
    return json.loads(Scripts(text).scripts[1])


def test_a_page_holds_a_section_for_each_run_with_its_head():
    found = sections([('one', recording(*many(30), seed=4)),
                      ('two', Results(lab_results(), ['told:', '', '| a |', '| --- |', '| 1 |']))])
    text = page(found, 'plotly()')
    for words in ('a board (simulated)', 'simulated: no figure was measured', 'abc1234',
                  's3dnn lab', '<dd>4</dd>', 'python 3.8', 'Means of all runs', 'tx2, xavier',
                  '6 of 99 simulations', '<td', 'plotly()'):
        assert words in text, words
    assert set(figures_of(text)) == {'timeline_0', 'points_1_0'}


def test_a_real_run_is_said_to_be_measured():
    text = page(sections([('one', recording(*many(3), simulated=False))]), '')
    assert '>measured<' in text and 'simulated' not in re.sub('(?s)<style>.*?</style>', '', text)


def test_a_run_without_a_cohort_says_so():
    text = page(sections([('one', recording(*many(3), cohort=False))]), '')
    assert 'No cohort decided' in text


@given(st.sampled_from(['instance', 'title', 'policy', 'command', 'environment', 'contender']),
       st.text(max_size=20).map(lambda text: text + EVIL))
def test_what_files_say_is_text(place, evil):
    found = recording(request(1, evil if place == 'instance' else 'front'),
                      command=evil if place == 'command' else '')
    if place == 'policy':
        found = found.__class__(**{**vars(found), 'run': found.run.__class__(
            **{**vars(found.run), 'policy': evil})})
    results = lab_results()
    if place == 'environment':
        results['environment'] = {evil: evil, 'versions': {evil: evil}, 'commit': evil}
    if place == 'contender':
        results['cells'][0]['cell'].update(contender=evil, board=evil)
    read = Scripts(page(sections([(evil if place == 'title' else 'one', found),
                                  ('two', Results(results, [evil, f'| {evil} |', '| --- |']))]),
                        'plotly()'))
    # plotly, the figures, ours: and no other
    assert len(read.scripts) == 3 and read.scripts[0] == 'plotly()'
    assert not read.asked and not read.handlers
    assert '<' not in read.scripts[1]


FEW = st.integers(0, 3)
MOMENTS = st.floats(-1e12, 1e12)
INSTANCES = st.sampled_from(['a', 'b'])


@given(st.builds(
    Recording, st.just(Run('a board', False, 'edf', {})), st.just({'a': 'net', 'b': 'other'}),
    st.lists(st.builds(RequestTimes, FEW, INSTANCES, MOMENTS, MOMENTS | st.just(math.inf))),
    st.lists(st.builds(Stamp, st.sampled_from(STAGES), FEW, INSTANCES, FEW, MOMENTS, FEW)),
    st.lists(st.builds(Boundary, MOMENTS, FEW, INSTANCES, FEW, MOMENTS, FEW, FEW)),
    st.lists(st.builds(Change, MOMENTS, FEW)),
    st.lists(st.builds(Name, FEW, st.text()))))
def test_whatever_may_be_in_a_recording_makes_a_page(found):
    assert figures_of(page(sections([('one', found)]), ''))


def test_nothing_may_be_asked_of_another_place():
    text = page(sections([('one', recording(*many(3)))]), '')
    assert "default-src 'none'" in text
    assert not Scripts(text).asked


def test_thousands_of_requests_stay_below_the_bound():
    text = page(sections([('one', recording(*many(8000, period_s=0.001)))]), 'x' * 5_000_000)
    assert len(text.encode()) < page_module.MOST_BYTES
    assert 'Drawn are' in text


def test_too_many_runs_are_refused_with_what_to_do():
    found = sections([('one', recording(*many(8000, period_s=0.001)))]) * 12
    found = [each._replace(figures={f'{index}': next(iter(each.figures.values()))})
             for index, each in enumerate(found)]
    with pytest.raises(ReportError, match='name fewer runs'):
        page(found, 'x' * 5_000_000)


@pytest.mark.parametrize('requests', [(), (request(1),), (request(1, dropped=True),)])
def test_the_smallest_runs_are_pages(requests):
    assert figures_of(page(sections([('one', recording(*requests))]), ''))


def test_without_plotly_a_sentence_tells_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'plotly', None)
    with pytest.raises(ReportError, match='pip install "plotly'):
        plotly_script()


def test_a_plotly_that_is_too_old_is_told(monkeypatch):
    plotly = pytest.importorskip('plotly')
    monkeypatch.setattr(plotly, '__version__', '5.3.0')
    with pytest.raises(ReportError, match=r'only 5\.3\.0'):
        plotly_script()
