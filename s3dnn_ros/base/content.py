"""What is in documents, read whole: small enough, not nested too deeply, and of plain values.

Every YAML and JSON file passes here, so that what a few bytes can do to a reader is refused once.
"""

from __future__ import annotations

import difflib
import json
import math
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple, TypeVar

import yaml

from s3dnn_ros.errors import DocumentError, S3dnnError, shown

Made = TypeVar('Made')
# No document that anybody writes is larger, or nested more deeply.
MOST_BYTES = 4_000_000
# But for a profile in all of a board's 50,000 configurations, which takes half of this.
MOST_JSON_BYTES = 32_000_000
MOST_LEVELS = 24
# Half a second's work in YAML, of which PyYAML makes one value after the other.
MOST_VALUES = 100_000
# No number that anybody writes is longer, and every shorter one fits into a float.
MOST_DIGITS = 100
_MISSING = object()
_LOOKED_AT = (str, dict, list, tuple, set)


def shortened(error: BaseException, most: int = 300) -> str:
    """Return what an error says, in one line of so many characters; its type if it is silent."""
    return ' '.join(str(error)[:4 * most].split())[:most] or type(error).__name__


def read_bytes(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return what a file holds.

    Raises DocumentError if it cannot be read or is larger; its cause is an OSError where there is
    one.
    """
    try:
        with path.open('rb') as file:
            content = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        # ValueError for a path that holds NUL
        reason = getattr(error, 'strerror', None) or error
        raise DocumentError(f'cannot be read ({reason})') from error
    if len(content) > most_bytes:
        raise DocumentError(f'has more than {most_bytes / 1e6:g} MB')
    return content


def full_path(path) -> Path:
    """Return a path with ~ replaced by the folder it stands for; raises DocumentError."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DocumentError(f'the path {shown(str(path))} is of a user who is not here; write it '
                            'in full') from error


def yaml_of(content: bytes) -> Any:
    """Return what is in YAML of UTF-8. Raises DocumentError."""
    try:
        text = content.decode('utf-8-sig')
        levels = 0
        # events come one by one, before anything is made of them
        for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
            if count > MOST_VALUES:
                raise DocumentError(f'has more than {MOST_VALUES} values')
            levels += isinstance(event, yaml.CollectionStartEvent)
            levels -= isinstance(event, yaml.CollectionEndEvent)
            if levels > MOST_LEVELS:
                raise DocumentError(f'is nested more than {MOST_LEVELS} levels deep')
            if isinstance(event, yaml.AliasEvent):
                # a few bytes of them stand for more than any memory holds
                raise DocumentError(f'has the alias *{event.anchor[:80]}; write out what it '
                                    'stands for')
        tree = yaml.load(text, Loader=_Loader)
    except DocumentError:
        raise
    except Exception as error:
        # PyYAML passes on what its parts raise: for dates that are none, numbers without end
        raise DocumentError(f'is not valid YAML: {shortened(error)}') from error
    _expect_plain(tree)
    return tree


def json_of(content: bytes) -> Any:
    """Return what is in JSON; a number that no float holds is infinite. Raises DocumentError."""
    try:
        tree = json.loads(content, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f'is not a whole JSON file ({shortened(error)})') from error
    _expect_plain(tree)
    return tree


def unknown_key(key: Any, known: Sequence[str], name: str) -> str:
    """Return what is wrong with a key that is none of those known, and which may be meant."""
    near = difflib.get_close_matches(str(key)[:80], known, 1, 0.5)
    hint = f'did you mean {near[0]!r}?' if near else f'known are {", ".join(known)}'
    return f'has the unknown key {shown(name)}; {hint}'


def yaml_fields(path: Path) -> Fields:
    """Return the mapping that is in a YAML file; its errors name lines. Raises DocumentError.

    A key that is twice in a mapping is refused: YAML would take the last one.
    """
    content = read_bytes(path)
    values = yaml_of(content)
    _expect_single_keys(content)
    return Fields(values, content=content)


class Fields:
    """A mapping of a document; its methods return checked values or raise DocumentError.

    Errors name the key, behind those of the mappings that it is in, and the line if `content` is
    the YAML document and `keys` is where in it the mapping is.
    """

    def __init__(self, values: Any, place: str = '', *, content: bytes = b'', keys: Tuple = ()):
        self._values, self._place, self._content, self._keys = values, place, content, keys
        if not isinstance(values, dict):
            raise DocumentError(f"{self._line()}key '{place}' is {shown(values)}; expected a "
                                'mapping' if place else 'holds no mapping')

    def fail(self, key: str, expected: str) -> None:
        """Raise the DocumentError that says what a key holds and what it should hold."""
        name, line = self._name(key), self._line(key)
        if key not in self._values:
            raise DocumentError(f"{line}lacks the key '{name}', {expected}")
        raise DocumentError(f"{line}key '{name}' is {shown(self._values[key])}; expected "
                            f'{expected}')

    def expect_only(self, *known: str) -> None:
        """Refuse keys that are none of these."""
        for key in self._values:
            if key not in known:
                raise DocumentError(self._line(key) + unknown_key(key, known, self._name(key)))

    def has(self, key: str) -> bool:
        """Tell whether a key is there."""
        return key in self._values

    def names(self) -> List[str]:
        """Return the keys, all of them texts."""
        for key in self._values:
            if not isinstance(key, str):
                raise DocumentError(f'{self._line(key)}has the key {shown(key)}; expected a name')
        return list(self._values)

    def value(self, key: str, default: Any = _MISSING) -> Any:
        """Return what a key holds, which nobody has looked at."""
        found = self._values.get(key, default)
        if found is _MISSING:
            self.fail(key, 'a value')
        return found

    def text(self, key: str) -> str:
        """Return a string."""
        value = self._values.get(key)
        if not isinstance(value, str):
            self.fail(key, 'text')
        return value

    def truth(self, key: str) -> bool:
        """Return true or false."""
        value = self._values.get(key)
        if not isinstance(value, bool):
            self.fail(key, 'true or false')
        return value

    def whole(self, key: str, low: int, high: int) -> int:
        """Return a whole number in low..high."""
        value = self._values.get(key)
        if type(value) is not int or not low <= value <= high:
            self.fail(key, f'a whole number from {low} to {high}')
        return value

    def number(self, key: str, low: float, high: float) -> float:
        """Return a number in low..high."""
        value = self._values.get(key)
        if not is_number(value, low, high):
            self.fail(key, f'a number from {low:g} to {high:g}')
        return float(value)

    def items(self, key: str) -> List:
        """Return a list, whose items nobody has looked at."""
        value = self._values.get(key)
        if not isinstance(value, list):
            self.fail(key, 'a list')
        return value

    def texts(self, key: str) -> Tuple[str, ...]:
        """Return a list of strings."""
        return self._all(key, lambda value: isinstance(value, str), 'a list of texts')

    def wholes(self, key: str, low: int, high: int) -> Tuple[int, ...]:
        """Return a list of whole numbers in low..high."""
        return self._all(key, lambda value: type(value) is int and low <= value <= high,
                         f'a list of whole numbers from {low} to {high}')

    def numbers(self, key: str, low: float, high: float) -> Tuple[float, ...]:
        """Return a list of numbers in low..high."""
        return tuple(map(float, self._all(key, lambda value: is_number(value, low, high),
                                          f'a list of numbers from {low:g} to {high:g}')))

    def lists_of_texts(self, key: str) -> Tuple[Tuple[str, ...], ...]:
        """Return a list of lists of strings."""
        return tuple(map(tuple, self._all(
            key, lambda value: isinstance(value, list) and all(
                isinstance(word, str) for word in value), 'a list of lists of texts')))

    def mapping(self, key: str) -> Dict[str, Any]:
        """Return a mapping, whose values nobody has looked at."""
        value = self._values.get(key)
        if not isinstance(value, dict):
            self.fail(key, 'a mapping')
        return value

    def part(self, key: str) -> Fields:
        """Return a mapping."""
        return self._inner(self._values.get(key), self._name(key), key)

    def parts(self, key: str) -> List[Fields]:
        """Return a list of mappings."""
        values = self._values.get(key)
        if not isinstance(values, list):
            self.fail(key, 'a list of mappings')
        return [self._inner(value, f'{self._name(key)}.{index}', key, index)
                for index, value in enumerate(values)]

    def _all(self, key, fits: Callable[[Any], bool], expected: str) -> Tuple:
        values = self._values.get(key)
        if not isinstance(values, list) or not all(map(fits, values)):
            self.fail(key, expected)
        return tuple(values)

    def _inner(self, values, place, *keys) -> Fields:
        return Fields(values, place, content=self._content, keys=(*self._keys, *keys))

    def _line(self, *keys) -> str:
        """Return what a sentence about a key begins with."""
        place = (*self._keys, *keys)
        return f'line {line_of(self._content, place)}: ' if self._content else ''

    def _name(self, key):
        return f'{self._place}.{key}' if self._place else key


def line_of(content: bytes, place: Sequence) -> int:
    """Return the line, from 1, of a place in a YAML document, given as keys and indices.

    For what is not there it is the line of what it should be in.
    """
    node, line = yaml.compose(content.decode('utf-8-sig'), Loader=_Loader), 1
    for key in place:
        if isinstance(node, yaml.SequenceNode):
            marked = node = node.value[key]
        else:
            found = [pair for pair in getattr(node, 'value', ())
                     if isinstance(node, yaml.MappingNode) and pair[0].value == str(key)]
            if not found:
                break
            marked, node = found[-1]
        line = marked.start_mark.line + 1
    return line


def _expect_single_keys(content: bytes) -> None:
    """Raise DocumentError for a mapping of YAML in which a key is there twice."""
    waiting = [yaml.compose(content.decode('utf-8-sig'), Loader=_Loader)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            lines: Dict[Tuple, int] = {}
            for key, value in node.value:
                waiting.append(value)
                if not isinstance(key, yaml.ScalarNode):
                    continue
                line, name = key.start_mark.line + 1, (key.tag, key.value)
                if name in lines:
                    raise DocumentError(f'line {line}: key {shown(key.value)} is there twice, '
                                        f'first in line {lines[name]}')
                lines[name] = line


def is_number(value: Any, low: float, high: float) -> bool:
    """Tell whether a value is a number within these bounds; True and NaN are none."""
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and low <= value <= high)


def read_json(path: Path, what: str, build: Callable[[Any], Made],
              refused: Callable[[Path, str], S3dnnError], advice: str) -> Made:
    """Return what `build` makes of a JSON file's content.

    `build` may raise TypeError and ValueError, DocumentError among them. Every error becomes one
    that is `refused`, names the file and ends with the advice.
    """
    try:
        return build(json_of(read_bytes(path, MOST_JSON_BYTES)))
    except DocumentError as error:
        raise refused(path, f'{error}: {advice}') from error
    except (TypeError, ValueError) as error:
        raise refused(path, f'is not {what} ({shortened(error)}): {advice}') from error


def _expect_plain(tree: Any) -> None:
    """Raise DocumentError for what is nested too deeply, or texts that nothing can print."""
    waiting: List[Tuple[Any, Tuple]] = [(tree, ())]
    while waiting:
        value, place = waiting.pop()
        if isinstance(value, str):
            if '\0' in value or _is_half(value):
                raise DocumentError(f'{_named(place)} holds a text with NUL, or half a character: '
                                    f'{ascii(value)[:80]}')
        elif isinstance(value, (dict, list, tuple, set)):
            if len(place) == MOST_LEVELS:
                raise DocumentError(f'{_named(place)} is nested more than {MOST_LEVELS} levels '
                                    'deep')
            items = value.items() if isinstance(value, dict) else enumerate(value)
            # numbers, of which there may be a million, are as they are
            waiting += ((item, (*place, key)) for key, item in items
                        if isinstance(item, _LOOKED_AT))
            if isinstance(value, dict):
                waiting += ((key, place) for key in value)


def _named(place: Tuple) -> str:
    return f"key '{shown('.'.join(map(str, place)))[1:-1]}'" if place else 'it'


def _is_half(text: str) -> bool:
    # of a pair, as JSON may escape it: it has no UTF-8
    return not text.isascii() and any('\ud800' <= character <= '\udfff' for character in text)


def _whole(text: str) -> float:
    # so its error names the key: no check takes infinity
    return int(text) if len(text) <= MOST_DIGITS else math.inf


class _Loader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):
    """Reads plain values; a number that no float holds is infinite."""

    def construct_yaml_int(self, node):
        # PyYAML takes hours for one of a million digits, to the base of 60
        return super().construct_yaml_int(node) if len(node.value) <= MOST_DIGITS else math.inf

    def construct_yaml_float(self, node):
        return super().construct_yaml_float(node) if len(node.value) <= MOST_DIGITS else math.inf


for _kind in ('int', 'float'):
    _Loader.add_constructor(f'tag:yaml.org,2002:{_kind}',
                            getattr(_Loader, f'construct_yaml_{_kind}'))
