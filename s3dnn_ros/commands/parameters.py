"""The command `s3dnn parameters`: what can be set."""

from __future__ import annotations

from s3dnn_ros.settings import NODES
from s3dnn_ros.settings.parameters import ANY, declarations, name_lists

# the place of a name in a map of cameras, instances or groups
NAME = 'NAME'


def register(subparsers):
    """Add the command."""
    parser = subparsers.add_parser('parameters', help='list every parameter of every node')
    parser.add_argument('nodes', nargs='*', metavar='NODE', help=', '.join(NODES))
    parser.set_defaults(run=_run)


def markdown(nodes=tuple(NODES)):
    """Return the parameters as Markdown, one table per node."""
    lines = ['# Parameters', '',
             f'`{NAME}` stands for a name out of the list above it. *Live* parameters take '
             'effect while the node is active; the others at the next configure.']
    for node in nodes:
        kind = NODES[node]
        lines += ['', f'## {node}', '', f'{kind.__doc__.strip().splitlines()[0]}', '',
                  '| parameter | default | takes | live | |', '|---|---|---|---|---|']
        lists = list(name_lists(kind))
        names = {item.name: (NAME,) for item in lists}
        for item in [*lists, *declarations(kind, names)]:
            default = list(item.default) if item.type is tuple else item.default
            shown = str(default).lower() if item.type is bool else repr(default)
            lines.append(f'| `{item.name}` | `{shown}` | {item.expected} | '
                         f'{"yes" if item.live else ""} | {item.description} |')
        lines += _presets(kind)
    return '\n'.join(lines) + '\n'


def _presets(kind):
    presets = getattr(kind, 'PRESETS', {})
    if not any(presets.values()):
        return
    yield from ['', '| preset | its defaults |', '|---|---|']
    for name, defaults in presets.items():
        shown = ', '.join(f'`{key.replace(ANY, NAME)}: {str(value).lower()}`'
                          for key, value in defaults.items())
        yield f'| `{name}` | {shown or "those of the table above"} |'


def _run(arguments):
    unknown = [name for name in arguments.nodes if name not in NODES]
    if unknown:
        print(f"there is no node '{unknown[0]}'; known are {', '.join(NODES)}")
        return 2
    print(markdown(arguments.nodes or tuple(NODES)), end='')
    return 0
