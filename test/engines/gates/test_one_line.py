"""Captured graphs are put in one line, as CUDA of several versions is asked to."""

import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.engines.gates.one_line import OutsideError, line_up


class FakeDriver:
    """Stands for the driver with one graph; edges have data that only newer versions tell."""

    CUgraph = int
    CUgraphNodeType = types.SimpleNamespace(CU_GRAPH_NODE_TYPE_KERNEL='kernel')
    contexts = types.MappingProxyType({})       # by node, of kernels

    def __init__(self, version, count, edges):
        if version:
            self.CUDA_VERSION = version
        self._takes_data = version >= 12030
        self.nodes = [_Node(100 + node) for node in range(count)]
        self.edges = {edge: f'data of {edge}' for edge in edges}
        name = '_v2' if 12030 <= version < 13000 else ''
        setattr(self, f'cuGraphGetEdges{name}', self._get_edges)
        setattr(self, f'cuGraphRemoveDependencies{name}', self._remove)
        setattr(self, f'cuGraphAddDependencies{name}', self._add)

    def cuGraphGetNodes(self, graph, count):
        return 0, self.nodes[:count], len(self.nodes)

    def cuGraphNodeGetType(self, node):
        return 0, 'kernel' if self.nodes.index(node) in self.contexts else 'copy'

    def cuGraphKernelNodeGetParams(self, node):
        return 0, types.SimpleNamespace(ctx=self.contexts[self.nodes.index(node)])

    def _get_edges(self, graph, count):
        edges = list(self.edges)[:count]
        data = [[self.edges[edge] for edge in edges]] if self._takes_data else []
        ends = [[self.nodes[edge[end]] for edge in edges] for end in (0, 1)]
        return (0, *ends, *data, len(self.edges))

    def _pairs(self, sources, targets):
        return [(self.nodes.index(source), self.nodes.index(target))
                for source, target in zip(sources, targets)]

    def _remove(self, graph, sources, targets, *rest):
        *data, count = rest
        assert len(data) == self._takes_data and count == len(sources) == len(targets)
        for place, pair in enumerate(self._pairs(sources, targets)):
            found = self.edges.pop(pair)
            assert not data or data[0][place] == found
        return 0,

    def _add(self, graph, sources, targets, *rest):
        *data, count = rest
        assert data == [None] * self._takes_data and count == len(sources) == len(targets)
        for pair in self._pairs(sources, targets):
            assert pair not in self.edges
            self.edges[pair] = 'new'
        return 0,


class _Node:
    def __init__(self, number):
        self._number = number

    def __int__(self):
        return self._number


@st.composite
def graphs(draw):
    """Return (number of nodes, edges without a cycle)."""
    count = draw(st.integers(0, 8))
    order = draw(st.permutations(range(count)))
    pairs = [(order[i], order[j]) for j in range(count) for i in range(j)]
    return count, draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []


@pytest.mark.parametrize('version', [0, 11080, 12000, 12040, 13000])
@given(graph=graphs())
def test_every_node_waits_for_one_and_for_all_that_it_waited_for(version, graph):
    count, edges = graph
    driver = FakeDriver(version, count, edges)
    line_up(driver, 1)
    behind = dict(driver.edges)
    assert len(behind) == max(0, count - 1)
    following = dict(behind.keys())
    first = set(range(count)) - set(following.values())
    order = [first.pop()] if count else []
    assert not first
    while order and order[-1] in following:
        order.append(following[order[-1]])
    assert sorted(order) == list(range(count))
    assert all(order.index(source) < order.index(target) for source, target in edges)


@pytest.mark.parametrize('version', [0, 12040, 13000])
def test_a_line_stays_as_it_is_with_the_data_of_its_edges(version):
    driver = FakeDriver(version, 4, [(2, 0), (0, 3), (3, 1)])
    before = dict(driver.edges)
    line_up(driver, 1)
    assert driver.edges == before


def test_a_graph_that_cannot_be_ordered_says_why():
    driver = FakeDriver(12000, 3, [(0, 1), (0, 2)])
    driver.cuGraphRemoveDependencies = lambda *_: (_Refused(),)
    with pytest.raises(RuntimeError, match='NOT_SUPPORTED'):
        line_up(driver, 1)


class _Refused(int):
    name = 'CUDA_ERROR_NOT_SUPPORTED'

    def __new__(cls):
        return super().__new__(cls, 801)


@pytest.mark.parametrize('contexts', [{}, {0: 7, 2: 7}, {1: 0}])
def test_kernels_of_its_context_and_what_is_no_kernel_may_wait(contexts):
    driver = FakeDriver(13000, 3, [(0, 1), (0, 2)])
    driver.contexts = contexts
    line_up(driver, 1, context=7)
    assert len(driver.edges) == 2


def test_a_kernel_of_another_context_must_not_wait():
    driver = FakeDriver(13000, 3, [(0, 1), (1, 2)])
    driver.contexts = {0: 7, 1: 8}
    with pytest.raises(OutsideError, match='outside the part of the device'):
        line_up(driver, 1, context=7)
