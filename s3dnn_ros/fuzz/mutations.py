"""What can be wrong with bytes and with trees of values; the same for the same random numbers."""

from __future__ import annotations

import copy
import json
import random
from typing import Any, Callable, List, Sequence, Tuple

import yaml

_SPARKS = (b'\0', b'\xff', b'\xff\xfe', b'\xef\xbb\xbf', b'\xed\xa0\x80', b'[', b'{', b'&a', b'*a',
           b'"', b"'", b'~', b'!!', b'- ', b': ', b'<<: ', b'NaN', b'-1', b'1e999', b'9' * 30,
           b'\x7f\xff\xff\xff', b'\xff\xff\xff\xff', b'\x80\0\0\0', b'\0\0\0\0\0\0\0\x80')
_ENCODINGS = ('utf-16', 'utf-16-le', 'utf-32', 'utf-8-sig', 'cp037')
_MOST_REPEATS = 20_000
# Stands in a tree for what no value is written as.
_RAW = 'RAWVALUE'
# Stands in a list for more of what is before it.
_MORE = 'MOREVALUES'
_VALUES = (None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -2**63, 10**400, 0.0, -0.0, 5e-324,
           1e308, float('nan'), float('inf'), -float('inf'), '', ' ', 'x', '\0', 'a\0b', '\ud800',
           '\u202e', '~nobody_of_this_name/x', '../../x', '/dev/zero', '{x}', '%s', 'x' * 100_000,
           [], {}, [[]], [{}], [None], {'': ''}, {'x': {'x': 'x'}}, [0] * 10_000, ['x', 1, None])
_JSON = ('[' * 100_000, '{"x":' * 5000, '9' * 5000, '1e999', 'NaN', '-Infinity', '"\\ud800"',
         '"\\u0000"', '[' * 60 + ']' * 60, '1' + '0' * 100, '')
_YAML = ('*a', '&a [*a]', '2001-99-99', '2001-01-01', '2001-01-01 00:00:00 +99:99', '1:' * 9000
         + '1', '!!python/object:os.system x', '!!binary x', '!!set {a}', '!!timestamp x',
         '!!int x', '!!float ""', '0x' + 'f' * 9000, '9' * 5000, '1e999', '.inf', '.nan',
         '[' * 5000, '? ' * 500 + 'x', '"\\0"', '"\\ud800"', '|\n' + ' x\n' * 50, '{a: b', '<<',
         '&a {x: &b [x, x], <<: *b}', '~', '=', '!<tag:yaml.org,2002:null> x')
_BOMB = '\n'.join(f'a{n}: &a{n} [*a{n - 1}, *a{n - 1}]' for n in range(1, 60))
_MERGES = '\n'.join(f'm{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}]}}' for n in range(1, 40))


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return bytes with one to four things wrong: flipped, cut, doubled, moved, in between."""
    for _ in range(chance.randint(1, 4)):
        content = chance.choice(_ON_BYTES)(bytearray(content), chance)
    return bytes(content)


def mutated_tree(tree: Any, chance: random.Random) -> Any:
    """Return a copy with one to four values that are other ones, gone, doubled or renamed."""
    tree = [copy.deepcopy(tree)]
    for _ in range(chance.randint(1, 4)):
        parent, key = chance.choice(_places(tree))
        chance.choice(_ON_TREES)(tree, parent, key, chance)
    if chance.random() < 0.15:
        # last, as what is many times there is one object
        parent, key = chance.choice(_places(tree))
        _many(tree, parent, key, chance)
    return tree[0]


def mutated_json(tree: Any, chance: random.Random) -> bytes:
    """Return a tree as JSON, of which something is wrong."""
    return _written(tree, chance, json.dumps, _JSON)


def mutated_yaml(tree: Any, chance: random.Random) -> bytes:
    """Return a tree as YAML, of which something is wrong."""
    content = _written(tree, chance, _dump, _YAML)
    if chance.random() < 0.05:
        content = f'{chance.choice((_BOMB, _MERGES))}\n'.replace(
            '*a0', 'x').replace('*m0', '{x: x}').encode() + content.replace(b'RAW', b'*a59')
    return content


def _dump(tree: Any) -> str:
    lengths: List[int] = []
    try:
        text = yaml.dump(_brief(tree, lengths), Dumper=_Dumper, allow_unicode=False,
                         sort_keys=False)
    except UnicodeEncodeError:
        # JSON, which is YAML, can escape half a character
        return json.dumps(tree)
    # lists within others have higher numbers
    for number in reversed(range(len(lengths))):
        text = _with_more(text, f'- {_MORE}{number}.\n', lengths[number] - 2)
    return text


def _brief(tree: Any, lengths: List[int]) -> Any:
    """Return a tree for PyYAML, which writes a million values in half a minute.

    Of a list of one object, many times, two and a mark are left; the length goes to `lengths`.
    """
    if isinstance(tree, dict):
        return {key: _brief(value, lengths) for key, value in tree.items()}
    if not isinstance(tree, list):
        return tree
    if len(tree) < 4 or any(item is not tree[0] for item in tree):
        return [_brief(item, lengths) for item in tree]
    mark = f'{_MORE}{len(lengths)}.'
    lengths.append(len(tree))
    return [*[_brief(tree[0], lengths)] * 2, mark]


def _with_more(text: str, mark: str, times: int) -> str:
    """Return YAML in which the item before each line with this mark is there so often again."""
    at = text.find(mark)
    while at >= 0:
        line = text.rfind('\n', 0, at) + 1
        item = text[text.rfind(f'\n{text[line:at]}- ', 0, line) + 1:line]
        text = text[:line] + item * times + text[at + len(mark):]
        at = text.find(mark, line + len(item) * times)
    return text


class _Dumper(getattr(yaml, 'CSafeDumper', yaml.SafeDumper)):
    def ignore_aliases(self, data):
        return True


def _written(tree, chance, dump: Callable[[Any], str], raw: Sequence[str]) -> bytes:
    if chance.random() < 0.2:
        return mutated(dump(tree).encode('utf-8', 'surrogatepass'), chance)
    tree = mutated_tree(tree, chance)
    text = dump(tree).replace(f'"{_RAW}"', _RAW)
    for _ in range(4):
        text = text.replace(_RAW, chance.choice(raw), 1)
    text = text.replace(_RAW, '0')
    content = text.encode('utf-8', 'surrogatepass')
    return mutated(content, chance) if chance.random() < 0.1 else content


def _flip(content: bytearray, chance):
    for _ in range(chance.randint(1, 8)):
        if content:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return content


def _span(content, chance) -> Tuple[int, int]:
    begin = chance.randint(0, len(content))
    longest = chance.choice((1, 4, 16, len(content)))
    return begin, min(len(content), begin + chance.randint(0, longest))


def _cut(content, chance):
    begin, end = _span(content, chance)
    return content[:begin] + content[end:]


def _end(content, chance):
    return content[:chance.randint(0, len(content))]


def _double(content, chance):
    begin, end = _span(content, chance)
    times = chance.choice((2, 3, min(_MOST_REPEATS, 500_000 // max(1, end - begin))))
    return content[:begin] + content[begin:end] * times + content[end:]


def _move(content, chance):
    begin, end = _span(content, chance)
    part, rest = content[begin:end], content[:begin] + content[end:]
    at = chance.randint(0, len(rest))
    return rest[:at] + part + rest[at:]


def _spark(content, chance):
    begin, end = _span(content, chance)
    spark = chance.choice(_SPARKS) * chance.choice((1, 1, 1, 2, 8, _MOST_REPEATS))
    return content[:begin] + spark + content[end if chance.random() < 0.5 else begin:]


def _noise(content, chance):
    begin, end = _span(content, chance)
    return content[:begin] + bytes(chance.randrange(256) for _ in range(min(end - begin, 64))
                                   ) + content[end:]


def _encode(content, chance):
    return content.decode('latin-1').encode(chance.choice(_ENCODINGS), 'replace')


_ON_BYTES = (_flip, _flip, _cut, _end, _double, _move, _spark, _spark, _noise, _encode)


def _places(tree) -> List[Tuple[Any, Any]]:
    """Return every (parent, key) of a tree."""
    found, waiting = [], [tree]
    while waiting:
        parent = waiting.pop()
        items = parent.items() if isinstance(parent, dict) else enumerate(parent)
        for key, value in list(items):
            found.append((parent, key))
            if isinstance(value, (dict, list)):
                waiting.append(value)
    return found


def _another(tree, parent, key, chance):
    parent[key] = copy.deepcopy(chance.choice(_VALUES))


def _raw(tree, parent, key, chance):
    parent[key] = _RAW


def _near(tree, parent, key, chance):
    """Change a value a little, by its kind."""
    value = parent[key]
    if isinstance(value, bool) or value is None:
        parent[key] = chance.choice((0, 1, 'true'))
    elif isinstance(value, (int, float)):
        parent[key] = chance.choice((-value, value + 1, value - 1, value * 1000, value / 7,
                                     str(value), value * 2**40)) if abs(value) < 1e300 else 1e300
    elif isinstance(value, str):
        parent[key] = mutated(value.encode('utf-8', 'surrogatepass'), chance).decode('latin-1')
    elif isinstance(value, list):
        parent[key] = value * chance.choice((0, 2, 3)) or value[:-1]
    else:
        parent[key] = list(value.values())


def _gone(tree, parent, key, chance):
    if parent is not tree:
        del parent[key]


def _renamed(tree, parent, key, chance):
    if isinstance(parent, dict):
        parent[chance.choice(('x', '', _RAW, f'{key}s', str(key).upper()))] = parent.pop(key)


def _swapped(tree, parent, key, chance):
    """Put another part of the tree here, in which this one may be."""
    other, place = chance.choice(_places(tree))
    parent[key] = copy.deepcopy(other[place])


def _many(tree, parent, key, chance):
    value = parent[key]
    size = len(json.dumps(value, default=str))
    parent[key] = [value] * max(1, min(_MOST_REPEATS, 500_000 // size))


def _deep(tree, parent, key, chance):
    value = parent[key]
    for _ in range(chance.choice((1, 2, 30, 100))):
        value = [value] if chance.random() < 0.5 else {'x': value}
    parent[key] = value


_ON_TREES = (_another, _another, _another, _raw, _near, _near, _near, _gone, _renamed, _swapped,
             _deep)
