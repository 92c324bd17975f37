"""Names of classes as people and tools write them."""

import yaml
from kinds import kind

from s3dnn_ros.models.labels import NAMED_LABELS, labels_of

SECTION = 'Names of classes (`labels`)'
NAMES = ('cat', 'dog', 'traffic light')


def _of_yaml(what, text, expected=NAMES):
    @kind(SECTION, what)
    def use(folder):
        assert labels_of(yaml.safe_load(text), folder) == expected


def _of_file(what, name, content, expected=NAMES):
    @kind(SECTION, what)
    def use(folder):
        (folder / name).write_bytes(content)
        assert labels_of(name, folder) == expected


_of_yaml('a list', '[cat, dog, traffic light]')
_of_yaml('names by class, in any order', "{2: traffic light, 0: cat, '1': dog}")


@kind(SECTION, ', '.join(f'`{name}`' for name in NAMED_LABELS))
def _named(folder):
    for name, known in NAMED_LABELS.items():
        assert labels_of(name, folder) == tuple(known)


_of_file('text, a name on each line, empty lines at its end', 'names.txt',
         b'cat\ndog\ntraffic light\n\n\n')
_of_file('text as Windows writes it: CRLF, UTF-8 with a mark', 'names.txt',
         b'\xef\xbb\xbfcat\r\ndog\r\ntraffic light\r\n')
_of_file('text in UTF-16', 'names.txt', 'cat\ndog\ntraffic light'.encode('utf-16'))
_of_file('text with an empty line between names', 'names.txt', b'cat\n\ntraffic light\n',
         ('cat', '1', 'traffic light'))
_of_file('`data.yaml` as tools for training write it', 'data.yaml',
         b'path: ../data\nnc: 3\nnames:\n  0: cat\n  1: dog\n  2: traffic light\n')
_of_yaml('a name that YAML reads as no text (`no`)', '[yes it is, no]')
_of_yaml('a number', '80')
_of_file('text in Latin-1', 'names.txt', 'café\n'.encode('latin-1'))
_of_file('a file that is no text', 'names.txt', b'cat\0dog')
_of_yaml('a file that is not there', 'nowhere.txt')
