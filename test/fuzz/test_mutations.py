"""Mutations are other inputs, and the same for the same random numbers."""

import json
import random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.fuzz.mutations import (
    _dump,
    _Dumper,
    mutated,
    mutated_json,
    mutated_tree,
    mutated_yaml,
)

TREE = {'a': [1, 2.5, 'x'], 'b': {'c': None, 'd': True}}


@given(st.binary(max_size=200), st.integers())
def test_bytes_are_mutated_the_same_way_each_time(content, seed):
    assert mutated(content, random.Random(seed)) == mutated(content, random.Random(seed))


@pytest.mark.parametrize('mutate', [mutated_json, mutated_yaml])
def test_trees_are_mutated_the_same_way_each_time_and_stay_as_they_are(mutate):
    before = json.dumps(TREE)
    made = [mutate(TREE, random.Random(seed)) for seed in range(60)]
    assert made == [mutate(TREE, random.Random(seed)) for seed in range(60)]
    assert json.dumps(TREE) == before and len(set(made)) > 45


def test_mutations_are_of_all_kinds():
    trees = [mutated_tree(TREE, random.Random(seed)) for seed in range(150)]
    assert any('a' not in tree for tree in trees if isinstance(tree, dict))
    assert any(tree.get('b') == [None, True] for tree in trees if isinstance(tree, dict))
    assert any(not isinstance(tree, dict) for tree in trees)
    made = b''.join(mutated_yaml(TREE, random.Random(seed)) for seed in range(150))
    assert all(part in made for part in (b'*a', b'2001-99-99', b'~nobody', b'[[[[', b'\0'))


def many(values):
    """Give lists of one object, and lists and mappings of several."""
    return (st.tuples(values, st.integers(0, 9)).map(lambda pair: [pair[0]] * pair[1])
            | st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values))


@given(st.recursive(st.none() | st.integers() | st.text(max_size=9), many, max_leaves=9))
def test_what_is_many_times_in_a_list_is_written_as_often(tree):
    assert _dump(tree) == yaml.dump(tree, Dumper=_Dumper, allow_unicode=False, sort_keys=False)
