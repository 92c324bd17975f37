"""The digits: images by class, and a network that knows most of them."""

import pytest

pytest.importorskip('torch')
pytest.importorskip('sklearn')

from s3dnn_ros.bench import digits
from s3dnn_ros.models.graph import load_graph
from s3dnn_ros.models.spec import load_spec
from s3dnn_ros.scaling.frames import frames_for


def test_a_network_learns_the_digits(tmp_path, monkeypatch):
    monkeypatch.setattr(digits, 'EPOCHS', 3)
    path, accuracy = digits.write_digits(tmp_path)
    assert accuracy > 0.7
    spec = load_spec(path)
    assert load_graph(spec).graph.output[0].name == 'logits'
    found = frames_for(spec, tmp_path / 'images')
    assert len(found.training) + len(found.held_out) == 1797
    assert set(found.held_out_labels) == set(range(10))
