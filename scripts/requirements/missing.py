"""Print the requirements of some files, less what the system already provides."""
import importlib.metadata
import importlib.util
import sys


def missing(line):
    """Return what pip is to see of a line `REQUIREMENT  # MODULE`, or an empty string."""
    requirement, _, module = (part.strip() for part in line.partition('#'))
    found = importlib.util.find_spec(module) if requirement and module else None
    if found is None or (found.origin or '').startswith(sys.prefix):
        return requirement
    # ROS 2's compiled modules were built against the system's libraries: another
    # major version, asked for by some other requirement, must not shadow them.
    name = requirement.partition('>')[0]
    try:
        major = int(importlib.metadata.version(name).partition('.')[0])
    except importlib.metadata.PackageNotFoundError:
        return ''
    return f'{name}<{major + 1}'


for path in sys.argv[1:]:
    with open(f'{path}.txt', encoding='utf-8') as lines:
        for requirement in filter(None, map(missing, lines)):
            print(requirement)
