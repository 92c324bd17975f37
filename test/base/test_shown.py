"""Values of others are short in sentences."""

from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.shown import cut, shown


def test_short_values_are_shown_as_they_are():
    assert shown('a name') == "'a name'" and shown(12) == '12'
    assert cut('a sentence') == 'a sentence'


@given(st.text(max_size=2000) | st.lists(st.text(max_size=200)) | st.integers()
       | st.just('x' * 10 ** 6) | st.just(10 ** 5000))
def test_whatever_there_is_is_short(value):
    assert len(shown(value)) < 700 and len(cut(str(shown(value)) * 100)) < 2100
