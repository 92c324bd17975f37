"""What is said where something else is published than what is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.topics import CAMERA_INFO, CLOUD, COMPRESSED, IMAGE, Reading, TopicRemarks

FFMPEG = 'ffmpeg_image_transport_msgs/FFMPEGPacket'


def camera(topic, transport):
    """Return a Reading as the governor has it."""
    return Reading("camera 'front'", topic, IMAGE if transport == 'raw' else COMPRESSED,
                   {IMAGE: 'topic={topic} transport=raw',
                    COMPRESSED: 'topic={topic} transport=compressed'})


def cloud(topic):
    """Return a Reading as the locator has it."""
    return depths(topic, CLOUD)


def depths(topic, kind):
    """Return a Reading of depths of any type."""
    return Reading('the locator', topic, kind, {
        IMAGE: 'depth={topic}', COMPRESSED: 'depth={topic}', CLOUD: 'cloud={topic}'},
        'compressedDepth')


@pytest.mark.parametrize(('reading', 'published', 'words'), [
    # another type
    (camera('/a', 'raw'), {'/a': {COMPRESSED}}, ('topic=/a transport=compressed',)),
    (camera('/a', 'compressed'), {'/a': {IMAGE}}, ('topic=/a transport=raw',)),
    (camera('/a', 'raw'), {'/a': {CLOUD}}, (f'where {CLOUD} is published, which cannot be read',
                                            f'topic=a topic of {IMAGE}')),
    (cloud('/a'), {'/a': {IMAGE}}, ('depth=/a',)),
    (cloud('/a'), {'/a': {CAMERA_INFO}}, (f'cloud=a topic of {CLOUD}',)),
    (depths('/a', IMAGE), {'/a/compressedDepth': {COMPRESSED}}, ('depth=/a/compressedDepth',)),
    (depths('/a/compressedDepth', COMPRESSED), {'/a': {IMAGE}}, ('depth=/a',)),
    (depths('/a', IMAGE), {'/a/compressed': {COMPRESSED}}, ('cannot be read',)),
    # the topic of image_transport, and the one above
    (camera('/a', 'compressed'), {'/a': {IMAGE}, '/a/compressed': {COMPRESSED}},
     ('topic=/a/compressed transport=compressed',)),
    (camera('/a/compressed', 'raw'), {'/a': {IMAGE}, '/a/compressed': {COMPRESSED}},
     ('topic=/a/compressed transport=compressed',)),
    # nobody, but somebody beside it
    (camera('/a', 'raw'), {'/a/compressed': {COMPRESSED}},
     ('where nothing is published', 'topic=/a/compressed transport=compressed')),
    (camera('/a/compressed', 'compressed'), {'/a': {IMAGE}}, ('topic=/a transport=raw',)),
    (camera('/a', 'raw'), {'/a/image_raw': {IMAGE}}, ('topic=/a/image_raw transport=raw',)),
    (cloud('/lidar'), {'/lidar/points': {CLOUD}}, ('cloud=/lidar/points',)),
    # what nobody here can read
    (camera('/a', 'raw'), {'/a/ffmpeg': {FFMPEG}}, (f'{FFMPEG} on /a/ffmpeg', 'republish')),
    (camera('/a', 'raw'), {'/a/compressedDepth': {COMPRESSED}}, ('cannot be read', 'republish')),
])
def test_it_is_said_what_is_published_and_what_to_set(reading, published, words):
    sentence = reading.remark(published)
    assert sentence.startswith(f'{reading.reader} reads {reading.type} from {reading.topic}, ')
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize('published', [
    {}, {'/a/info': {'std_msgs/String'}}, {'/a': {IMAGE}}, {'/a': {IMAGE, COMPRESSED}},
    {'/a': {IMAGE}, '/a/compressed': {COMPRESSED}}])
def test_nothing_is_said_of_what_is_there_or_not_there_yet(published):
    assert not camera('/a', 'raw').remark(published)


@given(st.sampled_from(['raw', 'compressed']), st.sampled_from(['/a', '/a/compressed']),
       st.dictionaries(st.sampled_from(['/a', '/a/compressed', '/a/theora', '/a/zstd']),
                       st.sets(st.sampled_from([IMAGE, COMPRESSED, CLOUD]), min_size=1)))
def test_who_follows_the_advice_hears_no_more(transport, topic, published):
    sentence = camera(topic, transport).remark(published)
    if 'a topic of' in sentence or not sentence:
        return
    settings = dict(word.split('=') for word in sentence.rpartition(': set ')[2].split())
    assert not camera(**settings).remark(published)


def test_a_remark_is_told_once_when_two_looks_agree():
    remarks, reading = TopicRemarks(), {'front': camera('/a', 'raw')}

    def look(published):
        return remarks.look(reading, lambda _: published)

    found, other = {'/a/compressed': {COMPRESSED}}, {'/a': {CLOUD}}
    assert look(found) == [] and look({'/a': {IMAGE}, **found}) == []
    assert look(found) == [] and len(look(found)) == 1
    assert look(found) == [] and look({}) == [] and look(found) == look(found) == []
    assert look(other) == [] and 'PointCloud2' in look(other)[0] and look(other) == []
    assert remarks.of('front') == reading['front'].remark(other)
    assert look({}) == [] and remarks.of('front') == '' == remarks.of('rear')
