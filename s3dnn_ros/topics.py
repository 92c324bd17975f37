"""Why nothing comes on a topic: it has another type, or another topic is meant."""

from __future__ import annotations

import dataclasses
from typing import Callable, Dict, List, Mapping, Set, Tuple

IMAGE = 'sensor_msgs/Image'
COMPRESSED = 'sensor_msgs/CompressedImage'
CLOUD = 'sensor_msgs/PointCloud2'
CAMERA_INFO = 'sensor_msgs/CameraInfo'
# The last words of topics on which image_transport publishes the images of the topic above.
TRANSPORTS = ('compressed', 'compressedDepth', 'ffmpeg', 'theora', 'zstd')


@dataclasses.dataclass(frozen=True)
class Reading:
    """A topic that a node reads.

    Attributes
    ----------
    reader : str
        Who reads it, as the begin of a sentence.
    topic : str
        Its full name.
    type : str
        What is read from it, as `sensor_msgs/Image`.
    settings : mapping of str to str
        For each type that can be read, what to set to read it from the topic {topic}.
    compressed : str
        The last word of topics of compressed images that can be read.

    """

    reader: str
    topic: str
    type: str
    settings: Mapping[str, str]
    compressed: str = 'compressed'

    @property
    def base(self) -> str:
        """Return the topic without the word that image_transport adds for compressed images."""
        above, _, last = self.topic.rpartition('/')
        return above if last == self.compressed else self.topic

    def remark(self, published: Mapping[str, Set[str]]) -> str:
        """Say what is published in place of what is read; empty if nothing speaks against it.

        Parameters
        ----------
        published : mapping of str to set of str
            Types by topic: those of `base` and of the topics one word below it; where the topic
            has the type, those of the others may be left out.

        """
        here = published.get(self.topic, set())
        if self.type in here:
            return ''
        found = self._readable(published)
        if found:
            topic, kind = found[0]
            offer = '' if topic == self.topic else f', and {kind} on {topic}'
            return self._sentence(here, offer, self._what_to_set(kind, topic))
        others = [name for name in sorted(published) if name != self.topic
                  and name.rpartition('/')[2] in TRANSPORTS]
        if here or others:
            offer = others and f', and {" and ".join(sorted(published[others[0]]))} on {others[0]}'
            return self._sentence(
                here, f'{offer or ""}, which cannot be read', self._what_to_set(
                    self.type, f'a topic of {self.type}')
                + (', perhaps one of `ros2 run image_transport republish`' if others else ''))
        return ''

    def _readable(self, published) -> List[Tuple[str, str]]:
        """Return what could be read instead, topic and type, the likeliest first."""
        found = [(topic, kind) for topic, kinds in published.items() for kind in kinds
                 if kind in self.settings and (
                     kind != COMPRESSED or topic == self.topic
                     or topic.endswith(f'/{self.compressed}'))]
        # who names compressed images, by topic or by type, wants them
        keeps_topic = self.topic != self.base
        return sorted(found, key=lambda item: (
            item[0] != self.topic if keeps_topic else item[1] != self.type,
            item[0] != self.topic, item))

    def _sentence(self, here, offer, advice):
        state = f'{" and ".join(sorted(here))} is published' if here else 'nothing is published'
        return f'{self.reader} reads {self.type} from {self.topic}, where {state}{offer}: {advice}'

    def _what_to_set(self, kind, topic):
        return 'set ' + self.settings[kind].format(topic=topic)


class TopicRemarks:
    """Tells each remark once.

    Publishers are found one after the other. So a remark counts when two looks agree.
    """

    def __init__(self):
        self._seen: Dict[str, str] = {}
        self._told: Dict[str, str] = {}

    def look(self, readings: Mapping[str, Reading],
             published: Callable[[Reading], Mapping[str, Set[str]]]) -> List[str]:
        """Return the sentences that are to be told now.

        Parameters
        ----------
        readings : mapping of str to Reading
            By any name that stays the same.
        published : callable
            Returns for a Reading what its `remark` takes.

        """
        seen = {name: reading.remark(published(reading))
                for name, reading in readings.items()}
        news = [name for name, sentence in seen.items() if sentence
                and sentence == self._seen.get(name) and sentence != self._told.get(name)]
        self._seen = seen
        self._told.update((name, seen[name]) for name in news)
        return [seen[name] for name in news]

    def of(self, name: str) -> str:
        """Return what was seen last of a reading; empty if nothing speaks against it."""
        return self._seen.get(name, '')
