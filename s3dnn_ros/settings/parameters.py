"""Parameters as frozen dataclasses: declare once, read and check as a set.

A settings class is a frozen dataclass whose fields are made by `parameter()`.
A field made by `named()` is a map: a list parameter holds the names (for
example `camera_names`), and each name has its own parameters below a prefix
(`cameras.front.topic`). A field made by `section()` groups parameters that one
room reads. `read()` turns flat values into one object and refuses, as a set,
what cannot be used; a class may have a method `check()` for what only shows in
combination, and `PRESETS`: other defaults, chosen by its parameter `preset`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import (
    Any,
    Dict,
    Iterator,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    get_args,
    get_type_hints,
)

from s3dnn_ros.errors import ParameterError, shown

_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]{0,199}\Z')
# Of cameras, instances or groups: none has a computer for more.
MOST_NAMES = 256
# defaults by flat name, by preset; `*` stands for any name of a map
Presets = Mapping[str, Mapping[str, Any]]
# in place of a name of a map, in a preset
ANY = '*'
_PLURALS = {str: 'strings', float: 'numbers'}


def parameter(default, description, *, low=None, high=None, choices=None, live=False, called=''):
    """Declare one parameter; `live` ones may change while the node is active.

    Its flat name is that of the field behind the section's prefix, unless it is `called`
    otherwise.
    """
    return dataclasses.field(
        default=default,
        metadata={
            'called': called,
            'declared': {
                'description': description,
                'low': low,
                'high': high,
                'choices': choices,
                'live': live,
            },
        },
    )


def section(kind, prefix=''):
    """Group the parameters of `kind` in one field; `prefix` is before their names."""
    return dataclasses.field(default_factory=kind, metadata={'section': kind, 'prefix': prefix})


def named(kind, names, description):
    """Declare a map of `kind` objects whose keys are in the list parameter `names`."""
    return dataclasses.field(
        default_factory=dict, metadata={'kind': kind, 'names': names, 'description': description}
    )


@dataclasses.dataclass(frozen=True)
class Declaration:
    """One flat parameter, as a ROS node declares it."""

    name: str
    type: type            # bool, int, float, str, or tuple for a list
    default: Any
    description: str
    low: Optional[float] = None
    high: Optional[float] = None
    choices: Optional[Tuple[str, ...]] = None
    live: bool = False
    items: type = str     # of a list: str or float

    @property
    def expected(self):
        """Return in words what values are taken."""
        if self.choices:
            return 'one of ' + ', '.join(self.choices)
        kind = {bool: 'true or false', int: 'a whole number', float: 'a number',
                str: 'a string', tuple: f'a list of {_PLURALS[self.items]}'}[self.type]
        return kind if self.low is None else f'{kind} from {self.low} to {self.high}'

    def convert(self, value):
        """Return the value in the declared type; raises ParameterError if it does not fit."""
        converted = (self._list(value) if self.type is tuple
                     else self._single(self.type, value))
        if converted is None:
            raise ParameterError(self.name, value, f'expected {self.expected}')
        return converted

    def _list(self, value):
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            return None
        items = tuple(self._single(self.items, item) for item in value)
        return None if None in items else items

    def _single(self, kind, value):
        if kind is float:
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not math.isfinite(value):
                return None
            value = float(value)
        elif type(value) is not kind:
            return None
        if self.choices and value not in self.choices:
            return None
        return value if self.low is None or self.low <= value <= self.high else None


def is_name(name: str) -> bool:
    """Tell whether cameras, instances and groups may be called so."""
    return bool(_NAME.match(name))


def name_lists(kind) -> Iterator[Declaration]:
    """Yield the list parameters that hold names (`camera_names`, ...), each once."""
    seen = set()
    for field in dataclasses.fields(kind):
        names = field.metadata.get('names')
        if names and names not in seen:
            seen.add(names)
            yield Declaration(names, tuple, (), f'Names: {field.metadata["description"]}')


def declarations(kind, names: Mapping[str, Sequence[str]], preset='none') -> Iterator[Declaration]:
    """Yield every parameter of a settings class except its lists of names.

    `names` holds the value of each list (`{'camera_names': ['front', 'rear']}`). A known `preset`
    changes defaults.
    """
    defaults = getattr(kind, 'PRESETS', {}).get(preset, {})
    for name, pattern, field, hint in _leaves(kind, names):
        plain = hint if hint in (bool, int, float, str) else tuple
        yield Declaration(name, plain, defaults.get(pattern, field.default),
                          **field.metadata['declared'], items=next(iter(get_args(hint)), str))


def read(kind, values: Mapping[str, Any]):
    """Build settings from flat values; what is not given keeps its default.

    Raises
    ------
    ParameterError
        A value does not fit its declaration, a name is used twice or is not an
        identifier, or the values do not fit together.

    """
    names = {}
    for declaration in name_lists(kind):
        names[declaration.name] = declaration.convert(values.get(declaration.name, ()))
        _check_names(declaration.name, names[declaration.name])
    flat = {item.name: item.convert(values.get(item.name, item.default))
            for item in declarations(kind, names, preset_in(kind, values))}
    settings = _build(kind, names, flat)
    check = getattr(settings, 'check', None)
    if check:
        check()
    return settings


def preset_in(kind, values: Mapping[str, Any]) -> str:
    """Return the preset that flat values name, or `none`; raises ParameterError."""
    for declaration in declarations(kind, {}):
        if declaration.name == 'preset':
            return declaration.convert(values.get('preset', declaration.default))
    return 'none'


def values_of(settings) -> Dict[str, Any]:
    """Return the flat values of settings, lists of names included: what `read` makes them of."""
    names = {field.metadata['names']: tuple(getattr(settings, field.name))
             for field in dataclasses.fields(settings) if 'names' in field.metadata}
    return {**names, **{name: value for name, (value, _) in _flatten(settings)}}


def differences(old, new) -> Dict[str, bool]:
    """Return the flat names that differ, each with whether it may change while active."""
    flat_old, flat_new = dict(_flatten(old)), dict(_flatten(new))
    changed = {}
    for name in sorted(set(flat_old) | set(flat_new)):
        before, after = flat_old.get(name), flat_new.get(name)
        if before is None or after is None:
            changed[name] = False
        elif before[0] != after[0]:
            changed[name] = after[1]
    return changed


def _check_names(parameter_name, names):
    if len(names) > MOST_NAMES:
        raise ParameterError(parameter_name, list(names), f'{MOST_NAMES} names are the most')
    for index, name in enumerate(names):
        if not is_name(name):
            raise ParameterError(parameter_name, list(names),
                                 f'{shown(name)} cannot be part of a topic name; use letters, '
                                 'digits and underscores, a letter first')
        if name in names[:index]:
            raise ParameterError(parameter_name, list(names),
                                 f'{shown(name)} is there twice; every name must be unique')


def _flat_name(prefix, field):
    return field.metadata['called'] or prefix + field.name


def _leaves(kind, names, prefix='', pattern=''):
    """Yield (flat name, name in a preset, field, type) of every parameter."""
    types = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if 'kind' in field.metadata:
            for name in names.get(field.metadata['names'], ()):
                yield from _leaves(field.metadata['kind'], {}, f'{prefix}{field.name}.{name}.',
                                   f'{pattern}{field.name}.{ANY}.')
        elif 'section' in field.metadata:
            inner = field.metadata['prefix']
            yield from _leaves(field.metadata['section'], {}, prefix + inner, pattern + inner)
        else:
            yield (_flat_name(prefix, field), _flat_name(pattern, field), field,
                   types[field.name])


def _build(kind, names, flat, prefix=''):
    arguments = {}
    for field in dataclasses.fields(kind):
        if 'kind' in field.metadata:
            arguments[field.name] = {
                name: _build(field.metadata['kind'], {}, flat, f'{prefix}{field.name}.{name}.')
                for name in names[field.metadata['names']]
            }
        elif 'section' in field.metadata:
            arguments[field.name] = _build(field.metadata['section'], {}, flat,
                                           prefix + field.metadata['prefix'])
        else:
            arguments[field.name] = flat[_flat_name(prefix, field)]
    return kind(**arguments)


def _flatten(settings, prefix=''):
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if 'kind' in field.metadata:
            for name, item in value.items():
                yield from _flatten(item, f'{prefix}{field.name}.{name}.')
        elif 'section' in field.metadata:
            yield from _flatten(value, prefix + field.metadata['prefix'])
        else:
            yield _flat_name(prefix, field), (value, field.metadata['declared']['live'])
