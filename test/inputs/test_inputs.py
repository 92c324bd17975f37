"""Each kind of input does what docs/inputs.md says of it."""

from pathlib import Path

import page
import pytest

PAGE = Path(__file__).parents[2] / 'docs' / 'inputs.md'


@pytest.fixture(scope='module')
def rows():
    """Return what the page says, by kind."""
    return dict(page.rows_of(PAGE.read_text(encoding='utf-8')))


@pytest.mark.parametrize('kind', page.ORDERED, ids=lambda kind: kind.what)
def test_the_page_says_what_comes_of_it(kind, rows, tmp_path):
    assert rows[kind.what] == page.cell(kind.result(tmp_path))


def test_the_page_has_no_other_kinds(rows):
    assert list(rows) == [kind.what for kind in page.ORDERED]
