"""Tables of a page: markdown becomes HTML, and what stands in cells stays text."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from runs import many, recording

from s3dnn_ros.bench.markdown import table as markdown_table
from s3dnn_ros.report.spans import view
from s3dnn_ros.report.tables import accounts, from_markdown, table

KNOWN = {'div', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'p', 'h4', 'code'}


class Reader(HTMLParser):
    """Reads what is in cells, and which tags there are."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.rows = set(), [], 0
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.rows += tag == 'tr'
        if tag in ('th', 'td'):
            self.cells.append('')
            self._inside = True

    def handle_endtag(self, tag):
        self._inside &= tag not in ('th', 'td')

    def handle_data(self, data):
        if self._inside:
            self.cells[-1] += data


CELLS = st.text(st.characters(blacklist_characters='|`\n\r\\', blacklist_categories=('Cs', 'Cc')))


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=4))
def test_cells_say_what_they_said_and_nothing_else_is_in_the_page(rows):
    read = Reader(table(['<b>', 'b&'], rows, '<script>'))
    assert read.cells == ['<b>', 'b&', *(cell for row in rows for cell in row)]
    assert read.tags <= KNOWN


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=4))
def test_tables_of_markdown_are_tables(rows):
    lines = ['<i>, commit `abc`', '', *markdown_table(['', 'a', 'b'], rows), '', '## later', 'end']
    read = Reader(from_markdown(lines))
    assert read.rows == 1 + len(rows)
    assert read.cells[3:] == [cell.strip() for row in rows for cell in row]
    assert read.tags <= KNOWN
    assert '<p>&lt;i&gt;, commit <code>abc</code></p>' in from_markdown(lines)
    assert '<h4>later</h4>' in from_markdown(lines)


def test_the_account_of_a_recording_has_a_row_for_each_instance():
    read = Reader(accounts(view(recording(*many(22)), ).accounts, {'front': 1.5}))
    assert read.rows == 3 and 'energy, J' in read.cells
    assert read.cells[-1] == '–' and '1.50' in read.cells
