"""Results are read again, or refused in a sentence, and become tables."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3dnn_ros.bench.results import expect_whole, read_results, tables
from s3dnn_ros.errors import ParameterError

KEPT = Path(__file__).parents[2] / 'docs' / 'results'
# Of other benches and commands, which print what they have to say.
WITHOUT_TABLES = ('cohort', 'fuzz', 'pipeline', 'pipeline_before', 'pipeline_quick_host',
                  'pipeline_ten_minutes', 'scaling_digits', 'scaling_nanodet', 'table_study')


def test_what_was_written_is_read(synthetic_results, tmp_path):
    path = tmp_path / 'results.json'
    path.write_text(json.dumps(synthetic_results))
    assert read_results(path) == read_results(path, ['s3dnn']) == synthetic_results
    with pytest.raises(ParameterError, match=r'expected a file that `s3dnn bench neuos --out`'):
        read_results(path, ['neuos'])


@pytest.mark.parametrize('content', [
    None, '{', '[]', '{}', '{"format": 1}', '{"format": 2, "cohorts": []}', '{"rows": []}'])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / 'results.json'
    if content is not None:
        path.write_text(content)
    with pytest.raises(ParameterError, match=r'RESULTS.*s3dnn bench s3dnn --out'):
        read_results(path)


@pytest.mark.parametrize('path', [
    path for path in sorted(KEPT.glob('*.json')) if path.stem not in WITHOUT_TABLES],
    ids=lambda path: path.stem)
def test_all_that_is_kept_has_tables_of_one_width_each(path):
    lines = tables(read_results(path))
    assert 'commit' in lines[0] and any(line.startswith('| --- |') for line in lines)
    for table in '\n'.join(lines).split('\n\n'):
        assert len({line.count('|') for line in table.splitlines() if line[:1] == '|'}) <= 1


@given(data=st.data(), junk=st.one_of(st.none(), st.just('x'), st.just([]), st.just({}),
                                      st.just(-1.0)))
@pytest.mark.parametrize('name', ['neuos_cpu', 'engines_h200_vgg16', 's3dnn_h200_tensorrt'])
def test_what_is_damaged_has_tables_or_is_refused(name, data, junk):
    results = json.loads((KEPT / f'{name}.json').read_text())
    node, key = None, None
    children = results
    while isinstance(children, (dict, list)) and children and (node is None or data.draw(
            st.booleans())):
        node = children
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict)
                                        else range(len(node))))
        children = node[key]
    node[key] = junk
    try:
        with expect_whole(name):
            tables(results)
    except ParameterError as error:
        assert f"'{name}'; something in it is missing" in str(error)
