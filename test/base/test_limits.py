"""Sentences of others are short."""

from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.limits import cut


def test_a_short_sentence_is_as_it_was():
    assert cut('a sentence') == 'a sentence'


@given(st.text(max_size=5000))
def test_every_sentence_is_short(text):
    assert len(cut(text)) <= 2001 and text.startswith(cut(text)[:2000])
