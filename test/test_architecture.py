"""The house's rules, held by a test: imports run downward, ROS stays in nodes/."""

import ast
import re
from pathlib import Path

import pytest

from s3dnn_ros.commands.parameters import markdown

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 's3dnn_ros'
ROS = {'rclpy', 'sensor_msgs', 'std_msgs', 'diagnostic_msgs', 'builtin_interfaces',
       'rcl_interfaces', 'lifecycle_msgs', 'vision_msgs', 'cv_bridge', 'message_filters',
       'geometry_msgs', 'std_srvs', 'sensor_msgs_py', 'tf2_ros', 'launch', 'launch_ros'}
ROW = re.compile(r'\| (\d+) \| ([^|]+) \|')


def floors():
    """Return the floor of every room, as the table in ARCHITECTURE.md has it."""
    return {room.strip(' `'): int(floor)
            for floor, rooms in ROW.findall((ROOT / 'ARCHITECTURE.md').read_text())
            for room in rooms.split(',')}


FLOOR_OF = floors()


def modules():
    return [path for path in sorted(PACKAGE.rglob('*.py'))
            if path.relative_to(PACKAGE).parts[0] not in ('msg', '__init__.py')]


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].replace('.py', '')


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize('path', modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downward_and_ros_stays_in_nodes(path):
    room = room_of(path)
    assert room in FLOOR_OF, f'{room} has no floor in ARCHITECTURE.md'
    for name in imports_of(path):
        first, *rest = name.split('.')
        if first == 's3dnn_ros' and rest and rest[0] not in ('msg', 'srv'):
            assert FLOOR_OF[rest[0]] <= FLOOR_OF[room], f'{room} imports {name}'
            if FLOOR_OF[rest[0]] == FLOOR_OF[room]:
                assert rest[0] == room, f'{room} imports its neighbour {name}'
        if room != 'nodes':
            assert first not in ROS, f'{room} imports {name}'
            assert name not in ('s3dnn_ros.msg', 's3dnn_ros.srv'), f'{room} imports {name}'


def test_every_floor_has_a_room_that_is_there():
    rooms = {room_of(path) for path in modules()}
    assert set(FLOOR_OF) == rooms


def test_every_decision_is_a_short_page_that_architecture_links():
    pages = {path.name: path.read_text().splitlines()
             for path in (ROOT / 'docs' / 'decisions').glob('*.md')}
    linked = dict(re.findall(r'\[(.+)\]\(docs/decisions/(.+)\)',
                             (ROOT / 'ARCHITECTURE.md').read_text()))
    assert {f'# {title}': name for title, name in linked.items()} == {
        lines[0]: name for name, lines in pages.items()}
    for name, lines in pages.items():
        assert len(lines) <= 40, name
        assert [line for line in lines if line.startswith('## ')] == [
            '## Context', '## Decision', '## Consequences'], name


def test_the_parameter_reference_is_current():
    reference = ROOT / 'docs' / 'parameters.md'
    if not reference.is_file():
        pytest.skip('docs/ is in the checkout only')
    assert reference.read_text() == markdown(), \
        'run: s3dnn parameters > docs/parameters.md'
