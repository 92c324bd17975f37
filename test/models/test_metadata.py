"""What a network's file says of itself completes its description, or must agree with it."""

import hypothesis
import pytest
from hypothesis import strategies as st

from s3dnn_ros.errors import ModelError
from s3dnn_ros.models.metadata import Metadata, read_metadata

NAMES = "{0: 'person', 1: 'bicycle'}"


def test_what_ultralytics_writes_is_read():
    found = read_metadata({
        'description': 'Ultralytics YOLO11n-pose model', 'task': 'pose', 'names': NAMES,
        'kpt_shape': '[17, 3]', 'end2end': 'False', 'args': "{'nms': False, 'half': True}"})
    assert found == Metadata('pose', ('person', 'bicycle'), 17, 3, False)
    assert read_metadata({'task': 'detect'}) == Metadata('detect')


@pytest.mark.parametrize('entries', [{'end2end': 'True'}, {'args': "{'nms': True}"},
                                     {'end2end': 'False', 'args': "{'nms': True}"}])
def test_boxes_are_final_by_the_network_or_by_its_export(entries):
    assert read_metadata({'task': 'detect', **entries}).is_final is True


def test_another_exporters_words_mean_nothing():
    assert read_metadata({'names': NAMES, 'end2end': 'True'}) == Metadata()


@pytest.mark.parametrize('names', [
    'cat', '17', "{0: ['cat']}", "{'a': 'cat'}", '{0: ', '[' * 10_000, '__import__("os")',
    "{-1: 'a'}", '{0: "\x00', "{0: 'cat', 10**9: 'dog'}", '9' * 10_000])
def test_names_that_are_damaged_are_none(names):
    assert read_metadata({'task': 'detect', 'names': names}) == Metadata('detect')


@pytest.mark.parametrize('shape', ['17', '[17]', '[17, 3, 1]', '[0, 3]', "['a', 'b']", '[True, 3]',
                                   '[-1, 3]', '[17.0, 3]'])
def test_a_shape_of_keypoints_that_is_none(shape):
    assert read_metadata({'task': 'pose', 'kpt_shape': shape}) == Metadata('pose')


@hypothesis.given(st.dictionaries(
    st.sampled_from(['task', 'names', 'kpt_shape', 'end2end', 'args', 'x']),
    st.one_of(st.text(), st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text()), lambda inner: st.one_of(
            st.lists(inner), st.dictionaries(st.integers(), inner))).map(repr))))
def test_whatever_is_written_there_is_read_or_left_alone(entries):
    found = read_metadata(entries)
    assert all(isinstance(name, str) for name in found.names)
    assert found.is_final in (True, False, None)


def test_labels_task_and_keypoints_are_completed(make_spec):
    metadata = Metadata('pose', ('person',), 5, 2)
    found = metadata.complete(make_spec(decoder='yolov8', decoder_options={'output': 'y'}))
    assert found.labels == ('person',)
    assert found.decoder_options == {'output': 'y', 'task': 'pose', 'keypoints': 5,
                                     'keypoint_values': 2}
    found = metadata.complete(make_spec(decoder='yolov8', labels=('man',),
                                        decoder_options={'keypoints': 7}))
    assert found.labels == ('man',) and found.decoder_options['keypoints'] == 7
    assert found.make_decoder().check({'y': (1, 19, 8400)}) == 1


def test_a_file_that_says_nothing_changes_nothing(make_spec):
    spec = make_spec(labels=('a', 'b'), decoder='ssd')
    assert Metadata().complete(spec) == spec


@pytest.mark.parametrize('metadata, description, told', [
    (Metadata('detect', ('a', 'b', 'c')), {'labels': ('a', 'b')}, 'names 3 classes'),
    (Metadata('segment'), {'decoder_options': {'task': 'pose'}}, "its task is 'segment', not"),
    (Metadata('detect'), {'decoder_options': {'task': 'obb'}}, "its task is 'detect', not 'obb'"),
    (Metadata('detect', is_final=True), {}, 'decoder: yolo_final'),
    (Metadata('detect', is_final=True), {'decoder': 'yolov5'}, 'decoder: yolo_final'),
    (Metadata('detect', is_final=False), {'decoder': 'yolo_final'}, 'decoder: yolov8'),
    (Metadata('pose'), {'decoder': 'yolov5'}, 'decoder: yolov8'),
    (Metadata('classify'), {}, "its task is 'classify'; choose"),
    (Metadata('detect'), {'decoder': 'classification'}, "its task is 'detect'; choose"),
])
def test_a_description_that_says_otherwise_is_refused(make_spec, metadata, description, told):
    with pytest.raises(ModelError, match="'tiny'") as caught:
        metadata.complete(make_spec(**{'decoder': 'yolov8', **description}))
    assert told in str(caught.value)


@pytest.mark.parametrize('metadata, description', [
    (Metadata('detect', is_final=True), {'decoder': 'yolo_final'}),
    (Metadata('detect'), {'decoder': 'rtdetr'}), (Metadata('detect'), {'decoder': 'yolo_final'}),
    (Metadata('classify'), {'decoder': 'classification'}),
    (Metadata('some_day'), {'decoder': 'ssd'})])
def test_a_description_that_agrees_is_as_it_was(make_spec, metadata, description):
    spec = make_spec(**description)
    assert metadata.complete(spec) == spec
