"""Documents are small, flat and of plain values, or refused in a sentence that names the key."""

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.base.content import (
    MOST_BYTES,
    MOST_LEVELS,
    MOST_VALUES,
    Fields,
    full_path,
    json_of,
    read_bytes,
    read_json,
    yaml_fields,
    yaml_of,
)
from s3dnn_ros.errors import DocumentError, ProfileError

TEXTS = st.text(st.characters(blacklist_categories=('Cs', 'Cc')), max_size=8)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-10**20, 10**20)
    | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXTS, children, max_size=4),
    max_leaves=12)
DOUBLED = '{a0: &a0 x, ' + ', '.join(f'a{n}: &a{n} [*a{n - 1}, *a{n - 1}]' for n in range(1, 60))
MERGED = 'm0: &m0 {x: x}\n' + '\n'.join(
    f'm{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}]}}' for n in range(1, 40))


@given(TREES)
def test_plain_values_come_back(tree):
    assert json_of(json.dumps(tree).encode()) == tree
    assert yaml_of(yaml.safe_dump(tree).encode()) == tree


@pytest.mark.parametrize('content, words', [
    (DOUBLED + '}', 'alias \\*a0'), (MERGED, 'alias \\*m0'), ('a: &a [*a]', 'alias \\*a'),
    ('[' * 90_000, 'levels deep|nesting depth'), ('- ' * 90_000, 'levels deep'),
    ('? ' * 90_000, 'levels deep'),
    ('[x, ' * (MOST_LEVELS + 1) + ']' * (MOST_LEVELS + 1), 'levels deep'),
    ('[' + 'x, ' * (MOST_VALUES + 1) + ']', 'values'), ('a: 2001-99-99', 'not valid YAML'),
    ('a: {b: ["x\\0"]}', "key 'a.b.0' holds a text with NUL"), ('a: [', 'not valid YAML'),
    ('!!python/object:os.system x', 'not valid YAML'), ('\udcff', 'not valid YAML')])
def test_yaml_that_would_not_end_or_is_none_is_refused(content, words):
    with pytest.raises(DocumentError, match=words) as caught:
        yaml_of(content.encode('utf-8', 'surrogateescape'))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize('content, words', [
    ('[' * 90_000, 'not a whole JSON'), ('{"a":' * 30 + '1' + '}' * 30, r"'a\.a.* levels deep"),
    ('{"a": ["\\ud800"]}', "key 'a.0' holds a text with NUL, or half"),
    ('{"\\u0000": 1}', 'it holds a text with NUL'), ('{', 'not a whole JSON'),
    ('', 'not a whole JSON')])
def test_json_that_is_not_plain_is_refused(content, words):
    with pytest.raises(DocumentError, match=words):
        json_of(content.encode())


@pytest.mark.parametrize('parse', [yaml_of, json_of])
@pytest.mark.parametrize('digits', [101, 5000, 500_000])
def test_a_number_that_no_float_holds_is_infinite_at_once(parse, digits):
    assert parse(b'[' + b'9' * digits + b']') == [math.inf]


def test_a_number_to_the_base_of_60_without_end_is_infinite_at_once():
    assert yaml_of(b'a: ' + b'1:' * 300_000 + b'1') == {'a': math.inf}


@pytest.mark.parametrize('make', [lambda path: None, lambda path: path.mkdir(),
                                  lambda path: path.write_bytes(bytes(MOST_BYTES + 1))])
def test_a_file_that_cannot_be_read_or_is_too_large_is_told(tmp_path, make):
    make(tmp_path / 'x')
    with pytest.raises(DocumentError, match=r'cannot be read \(|has more than 4 MB'):
        read_bytes(tmp_path / 'x')


def test_a_name_with_nul_is_told(tmp_path):
    with pytest.raises(DocumentError, match='cannot be read'):
        read_bytes(tmp_path / 'a\0b')


def test_a_user_who_is_not_here_is_told(monkeypatch, tmp_path):
    with pytest.raises(DocumentError, match="'~nobody_of_this_name/x' is of a user"):
        full_path('~nobody_of_this_name/x')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert full_path('~/x') == tmp_path / 'x'


GOOD = {'text': 'x', 'truth': True, 'whole': 3, 'number': 0.5, 'texts': ['x'], 'wholes': [1],
        'numbers': [0.5], 'lists': [['x'], []], 'mapping': {'x': 1}, 'items': [1, 'x'],
        'parts': [{'whole': 1}]}
GET = {
    'text': lambda fields: fields.text('text'), 'truth': lambda fields: fields.truth('truth'),
    'whole': lambda fields: fields.whole('whole', 0, 9),
    'number': lambda fields: fields.number('number', 0, 1),
    'texts': lambda fields: list(fields.texts('texts')),
    'wholes': lambda fields: list(fields.wholes('wholes', 0, 9)),
    'numbers': lambda fields: list(fields.numbers('numbers', 0, 1)),
    'lists': lambda fields: list(map(list, fields.lists_of_texts('lists'))),
    'mapping': lambda fields: fields.mapping('mapping'),
    'items': lambda fields: fields.items('items'),
    'parts': lambda fields: [{'whole': part.whole('whole', 0, 9)}
                             for part in fields.parts('parts')]}


@pytest.mark.parametrize('name', GET)
def test_a_field_is_what_it_should_be_or_told_by_its_key(name):
    assert GET[name](Fields(GOOD)) == GOOD[name]
    for wrong in ({**GOOD, name: 10**40}, {**GOOD, name: math.nan}, {**GOOD, name: [{}, 7.5]},
                  {key: value for key, value in GOOD.items() if key != name}):
        if name == 'items' and isinstance(wrong.get(name), list):
            continue
        with pytest.raises(DocumentError, match=f"'{name}"):
            GET[name](Fields(wrong))


def test_a_field_inside_is_told_by_the_keys_around_it():
    (part,) = Fields({'rows': [{'a': []}]}, 'table').parts('rows')
    with pytest.raises(DocumentError, match=r"key 'table\.rows\.0\.a' is \[\]; expected text"):
        part.text('a')
    with pytest.raises(DocumentError, match=r"key 'table\.rows\.1' is 7; expected a mapping"):
        Fields({'rows': [{}, 7]}, 'table').parts('rows')


def test_unknown_keys_are_told_with_the_nearest_and_the_keys_around_them():
    inner = Fields({'outer': {'width': 3, 'hight': 4}}).part('outer')
    inner.expect_only('width', 'hight')
    with pytest.raises(DocumentError, match=r"unknown key 'outer.hight'; .* 'height'\?"):
        inner.expect_only('width', 'height')
    with pytest.raises(DocumentError, match=r"'outer.hight'; known are width$"):
        inner.expect_only('width')
    assert inner.has('width') and not inner.has('height')
    with pytest.raises(DocumentError, match=r"key 'outer.width' is 3; expected a mapping"):
        inner.part('width')


@pytest.mark.parametrize('build', [
    lambda content: int('x'), lambda content: len(5), lambda content: Fields(content).text('b')])
def test_what_cannot_be_made_of_a_file_is_told_with_the_advice(tmp_path, build):
    path = tmp_path / 'x.json'
    path.write_text('{"a": 1}')
    assert read_json(path, 'a table', lambda content: content, ProfileError, 'do it') == {'a': 1}
    with pytest.raises(ProfileError, match=r'x\.json: .*: do it$'):
        read_json(path, 'a table', build, ProfileError, 'do it')


YAML = """\
name: net

rows:
  - width: 3
  - {width: 4,
     hight: 5}
a.b:
  c: 7
"""


@pytest.mark.parametrize(('wrong', 'line', 'words'), [
    (lambda fields: fields.whole('name', 0, 9), 1, "key 'name' is 'net'; expected a whole"),
    (lambda fields: fields.parts('rows')[0].text('width'), 4, "key 'rows.0.width' is 3"),
    (lambda fields: fields.parts('rows')[1].expect_only('width'), 6, "key 'rows.1.hight'"),
    (lambda fields: fields.parts('rows')[1].whole('depth', 0, 9), 5, "lacks the key 'rows.1.dep"),
    (lambda fields: fields.part('a.b').text('c'), 8, "key 'a.b.c' is 7"),
    (lambda fields: fields.part('a.b').part('c'), 8, "key 'a.b.c' is 7; expected a mapping"),
    (lambda fields: fields.text('missing'), 1, "lacks the key 'missing'")])
def test_fields_of_a_yaml_file_name_the_line(tmp_path, wrong, line, words):
    path = tmp_path / 'fields.yaml'
    path.write_text(YAML)
    with pytest.raises(DocumentError, match=f'^line {line}: .*{words}'):
        wrong(yaml_fields(path))


@pytest.mark.parametrize(('text', 'words'), [
    ('a: 1\nb: 2\na: 3\n', "^line 3: key 'a' is there twice, first in line 1"),
    ('a:\n  - {b: 1, c: 2}\n  - {b: 1, b: 2}\n', "^line 3: key 'b' is there twice")])
def test_a_key_that_is_there_twice_is_refused(tmp_path, text, words):
    path = tmp_path / 'fields.yaml'
    path.write_text(text)
    with pytest.raises(DocumentError, match=words):
        yaml_fields(path)


def test_keys_of_different_mappings_and_kinds_are_not_twice(tmp_path):
    path = tmp_path / 'fields.yaml'
    path.write_text("a: {b: 1}\nb: {a: 1}\n1: x\n'1': y\n")
    assert yaml_fields(path).mapping('a') == {'b': 1}
