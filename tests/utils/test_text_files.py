from __future__ import annotations

import json

import numpy as np
import pytest

from mmgmp.utils.text_files import (
    read_columns,
    read_json,
    read_text,
    read_yaml,
    warn_once,
)

TEXT = 'é,1\r\n{"a": "模"}'


@pytest.mark.parametrize(
    'encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-32']
)
def test_a_marked_or_plain_text_is_read_as_it_is(encoding, tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes(TEXT.encode(encoding))
    assert read_text(path) == TEXT


def test_big_endian_is_read_too(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes(b'\xfe\xff' + 'id'.encode('utf-16-be'))
    assert read_text(path) == 'id'


@pytest.mark.parametrize(
    'content',
    ['id'.encode('utf-16-le'), b'\xff\xfei', b'caf\xe9', b'\x89PNG\r\n\x1a\n'],
    ids=['utf-16 without mark', 'half a letter', 'latin', 'image'],
)
def test_what_is_no_text_names_the_file(content, tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'a\.txt must be a text file in UTF'):
        read_text(path)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('', 'is no complete JSON'),
        ('{"a": [1, 2', 'is no complete JSON'),
        ('{"a": 1, "b": {"c": 1, "c": 1}}', r"\['c'\] twice"),
        ('[NaN]', 'NaN, which is no number'),
        ('[-Infinity]', '-Infinity, which'),
        ('[' * 100_000, 'nested too deeply'),
        ('9' * 5000, 'must be JSON, got Exceeds'),
    ],
)
def test_json_is_read_strictly(content, message, tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=rf'a\.json .*{message}'):
        read_json(path)


def test_what_python_writes_is_read_where_it_is_asked_for(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps({'auroc': float('nan')}))
    assert np.isnan(read_json(path, allow_nan=True)['auroc'])


def laughs(levels: int) -> str:
    lines = ['l0: &l0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]']
    for number in range(levels):
        items = ', '.join([f'*l{number}'] * 10)
        lines.append(f'l{number + 1}: &l{number + 1} [{items}]')
    return '\n'.join(lines)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('a: !!python/object/apply:os.system ["touch ran"]', 'could not det'),
        ('a: !!python/name:os.system', 'could not determine'),
        ('a: !!python/tuple [1]', 'could not determine'),
        ('a: 1\nb: 2\na: 3', r"\['a'\] twice in one mapping"),
        ('a: [1', 'must be YAML of plain data'),
        ('a: 2020-13-45', 'month must be in'),
        ('- ' * 1000, 'must be YAML of plain data'),
        ('a: &a [*a]', 'through its aliases'),
        (laughs(9), 'through its aliases'),
    ],
)
def test_yaml_is_plain_data(content, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'a.yml'
    path.write_text(content)
    with pytest.raises(ValueError, match=rf'a\.yml .*{message}'):
        read_yaml(path)
    assert not (tmp_path / 'ran').exists()


def test_short_aliases_and_inherited_keys_may_stay(tmp_path):
    path = tmp_path / 'a.yml'
    path.write_text('a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}')
    found = read_yaml(path)
    assert found['b'] == {'x': 1, 'y': 2}
    assert found['c'] == {'x': 1, 'y': 3}


def test_the_line_that_was_being_written_is_left_out(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('iteration,ratio\n1,0.5\n2,nan\n3,\n4,1.')
    found = read_columns(path)
    assert found['iteration'].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(found['ratio'], [0.5, np.nan, np.nan])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('a,b\n1\n', 'a.csv:2: must have 2 cells, got 1'),
        ('a,b\n1,x\n', 'a.csv:2: could not convert'),
        ('a,a\n1,2\n', 'once each'),
        ('', 'must begin with the names'),
    ],
)
def test_a_damaged_table_names_its_line(content, message, tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_columns(path)


def test_a_warning_is_said_once(monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmgmp.utils.text_files.print_log', lambda text, **_: said.append(text)
    )
    for text in ('one of a kind', 'one of a kind', 'another one'):
        warn_once(text)
    assert said == ['one of a kind', 'another one']
