"""Errors read as sentences, whatever they quote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import BuildError, DocumentError, ModelError, ParameterError, shown


@pytest.mark.parametrize('error', [
    ModelError('net.yaml', 'x' * 100_000 + ' do this'), DocumentError('x' * 9999 + ' do this'),
    BuildError('net', 'x' * 9999 + ' do this'), ParameterError('p', ['x'] * 9999, 'do this'),
    ParameterError('p', 'x' * 9999, 'x' * 9999 + ' do this')])
def test_a_sentence_is_short_and_keeps_its_advice(error):
    assert len(str(error)) < 1700 and str(error).endswith('do this')


@given(st.text())
def test_a_sentence_can_be_printed(text):
    words = str(ModelError('net.yaml', text))
    assert words.replace('\n', '').isprintable() and words.encode()
    if text.isprintable() and len(text) < 1000:
        assert words == f'net.yaml: {text}'


@given(st.recursive(st.none() | st.floats() | st.integers() | st.text() | st.binary(),
                    lambda children: st.lists(children) | st.dictionaries(st.text(), children)))
def test_any_value_is_shown_short(value):
    assert len(shown(value)) <= 300 and shown(value).isprintable()


def test_a_number_without_end_is_shown():
    assert len(shown(10**10_000)) < 100


def test_a_path_is_shown_as_one_writes_it(tmp_path):
    assert str(ParameterError('--out', tmp_path / 'x', 'do this')) == (
        f"parameter '--out' is '{tmp_path}/x'; do this")
