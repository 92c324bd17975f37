"""Declarations, reading and differences, on a small settings class of our own."""

import dataclasses
import math
from typing import Dict, Tuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.errors import ParameterError
from s3dnn_ros.settings.parameters import (
    Declaration,
    declarations,
    differences,
    name_lists,
    named,
    parameter,
    read,
    values_of,
)


@dataclasses.dataclass(frozen=True)
class Lamp:
    colour: str = parameter('white', 'Colour.', choices=('white', 'red'))
    watts: float = parameter(5.0, 'Power.', low=0.0, high=60.0, live=True)


@dataclasses.dataclass(frozen=True)
class House:
    on: bool = parameter(True, 'Lit.')
    floors: int = parameter(2, 'Floors.', low=1, high=9)
    street: str = parameter('', 'Street.')
    guests: Tuple[str, ...] = parameter((), 'Guests.', live=True)
    steps: Tuple[float, ...] = parameter((), 'Heights.', low=0.0, high=9.0)
    lamps: Dict[str, Lamp] = named(Lamp, 'lamp_names', 'Lamps.')
    spares: Dict[str, Lamp] = named(Lamp, 'lamp_names', 'Spare lamps.')

    def check(self):
        if self.floors == 9 and not self.on:
            raise ParameterError('floors', self.floors, 'too high in the dark')


def refusal(**values):
    with pytest.raises(ParameterError) as caught:
        read(House, {name.replace('__', '.'): value for name, value in values.items()})
    return str(caught.value)


def flat(settings, names):
    """Return the values a node would hold for these settings."""
    values = {'lamp_names': list(names)}
    for declaration in declarations(House, {'lamp_names': names}):
        item = settings
        for part in declaration.name.split('.'):
            item = item[part] if isinstance(item, dict) else getattr(item, part)
        values[declaration.name] = list(item) if isinstance(item, tuple) else item
    return values


def test_what_is_not_given_keeps_its_default():
    assert read(House, {}) == House()
    assert read(House, {'lamp_names': ['hall']}).lamps == {'hall': Lamp()}


def test_lists_of_names_are_declared_once():
    assert [item.name for item in name_lists(House)] == ['lamp_names']


def test_declarations_follow_the_names():
    names = [item.name for item in declarations(House, {'lamp_names': ('hall',)})]
    assert names == ['on', 'floors', 'street', 'guests', 'steps',
                     'lamps.hall.colour', 'lamps.hall.watts',
                     'spares.hall.colour', 'spares.hall.watts']


def test_declarations_carry_what_was_said():
    watts = list(declarations(House, {'lamp_names': ('hall',)}))[6]
    assert watts == Declaration('lamps.hall.watts', float, 5.0, 'Power.', 0.0, 60.0, None, True)


@pytest.mark.parametrize('name, value', [
    ('floors', 0), ('floors', 10), ('floors', 1.0), ('floors', '1'), ('floors', None),
    ('floors', True), ('on', 1), ('on', 'true'), ('street', 3), ('street', None),
    ('steps', [1.0, -1.0]), ('steps', [math.nan]), ('steps', 1.0), ('steps', ['1']),
    ('guests', 'ann'), ('guests', [1]), ('guests', None), ('guests', ['ann', None]),
])
def test_what_does_not_fit_is_refused_with_name_and_value(name, value):
    text = refusal(**{name: value})
    assert f"'{name}'" in text
    assert repr(value) in text


@pytest.mark.parametrize('value', [-0.001, 60.001, math.nan, math.inf, -math.inf, 'bright', True])
def test_a_refused_number_is_answered_with_its_range(value):
    text = refusal(lamp_names=['hall'], lamps__hall__watts=value)
    assert 'lamps.hall.watts' in text
    assert repr(value) in text
    assert 'from 0.0 to 60.0' in text


def test_an_unknown_choice_is_answered_with_the_known_ones():
    text = refusal(lamp_names=['hall'], lamps__hall__colour='green')
    assert "'green'" in text
    assert 'one of white, red' in text


def test_a_whole_number_is_taken_for_a_float():
    watts = read(House, {'lamp_names': ['hall'], 'lamps.hall.watts': 60}).lamps['hall'].watts
    assert watts == 60.0
    assert isinstance(watts, float)
    assert read(House, {'steps': [0, 9.0]}).steps == (0.0, 9.0)
    assert 'a list of numbers from 0.0 to 9.0' in refusal(steps=[10])


@given(st.integers(1, 9), st.floats(0.0, 60.0))
def test_every_value_in_range_is_taken(floors, watts):
    house = read(House, {'floors': floors, 'lamp_names': ['a'], 'lamps.a.watts': watts})
    assert (house.floors, house.lamps['a'].watts) == (floors, watts)


@given(st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
    st.binary(max_size=3), st.lists(st.integers(), max_size=2)))
def test_any_value_is_taken_or_refused_but_never_breaks(value):
    for declaration in declarations(House, {'lamp_names': ('a',)}):
        try:
            taken = declaration.convert(value)
        except ParameterError as error:
            assert declaration.name in str(error)
        else:
            assert type(taken) is declaration.type


@pytest.mark.parametrize('name', ['', '1st', 'a b', 'a.b', 'a/b', '_a', 'é', 'a-b', 'a\n'])
def test_a_name_that_is_no_identifier_is_refused(name):
    text = refusal(lamp_names=['hall', name])
    assert 'lamp_names' in text
    assert 'letters, digits' in text


def test_a_name_used_twice_is_refused():
    assert "'hall' is there twice" in refusal(lamp_names=['hall', 'porch', 'hall'])
    assert '256 names are the most' in refusal(lamp_names=[f'lamp{n}' for n in range(257)])


def test_combinations_are_checked_last():
    assert 'dark' in refusal(floors=9, on=False)


def test_differences_say_what_may_change_while_active():
    values = {'lamp_names': ['a', 'b']}
    old = read(House, values)
    new = read(House, dict(values, **{'lamps.a.watts': 1.0, 'spares.b.colour': 'red',
                                      'guests': ['ann']}))
    assert differences(old, new) == {
        'lamps.a.watts': True, 'spares.b.colour': False, 'guests': True}
    assert differences(old, old) == {}


def test_a_name_that_comes_or_goes_is_not_a_live_change():
    one, two = (read(House, {'lamp_names': names}) for names in (['a'], ['a', 'b']))
    for changed in (differences(one, two), differences(two, one)):
        assert set(changed) == {'lamps.b.colour', 'lamps.b.watts',
                                'spares.b.colour', 'spares.b.watts'}
        assert not any(changed.values())


@given(st.lists(st.from_regex(r'[a-z][a-z0-9_]{0,4}', fullmatch=True), unique=True, max_size=3),
       st.integers(1, 9), st.sampled_from(['white', 'red']), st.lists(st.text(), max_size=2))
def test_settings_survive_being_written_and_read(names, floors, colour, guests):
    given_values = {'lamp_names': names, 'floors': floors, 'guests': guests}
    given_values.update({f'lamps.{name}.colour': colour for name in names})
    settings = read(House, given_values)
    assert read(House, flat(settings, names)) == settings
    assert read(House, values_of(settings)) == settings
    assert values_of(settings).keys() == flat(settings, names).keys()


def test_numpy_numbers_are_refused_rather_than_kept():
    assert 'floors' in refusal(floors=np.int64(3))


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_a_number_without_a_range_must_be_finite(value):
    with pytest.raises(ParameterError, match=r"'height' .*expected a number"):
        Declaration('height', float, 0.0, 'Height.').convert(value)
