from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from mmengine.logging import MMLogger

from mmgmp.datasets import AudioVisualDataset
from mmgmp.datasets.skip_lists import find_skipped, read_skip_list
from tests.fuzzing import fuzz

IDS = ['human/a', 'human/b', 'human/c ', 'human/d']


def dataset(folder: Path, **options: Any) -> AudioVisualDataset:
    samples = [
        {'id': name, 'domain': 'human', 'label': 0, 'audio': {'path': 'x.wav'}}
        for name in IDS
    ]
    metainfo = {'classes': ['walk'], 'domains': ['human']}
    (folder / 'train.json').write_text(
        json.dumps({'metainfo': metainfo, 'data_list': samples})
    )
    return AudioVisualDataset(
        'train.json', data_root=str(folder), modalities=['audio'], **options
    )


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
def test_any_editor_may_write_the_list(encoding, end, tmp_path):
    text = end.join(['human/a', '', '  human/b\t', 'human/c ', ''])
    (tmp_path / 's.txt').write_bytes(text.encode(encoding))
    left = dataset(tmp_path, skip_list='s.txt')
    assert [item['sample_id'] for item in left] == ['human/d']


def test_a_blank_counts_only_where_an_id_has_it():
    assert find_skipped(['a', 'b '], ['a', 'a ', 'b']) == ({'a', 'b'}, set())
    assert find_skipped(['a '], ['a', 'a ']) == ({'a '}, set())


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('s.json', b'{"human/a": 1}', r'skip_list must be a list .*s\.json'),
        ('s.json', b'["human/a", 1]', r'skip_list must be a list .*s\.json'),
        ('s.json', b'["human/a"', r'skip_list: .*s\.json is no complete JSON'),
        ('s.json', b'', r'skip_list: .*s\.json is no complete JSON'),
        ('s.txt', b'\x80\x04\x95', r'skip_list: .*s\.txt must be a text file'),
        ('s.txt', 'a'.encode('utf-16-le'), r's\.txt must be a text file'),
    ],
)
def test_what_is_no_list_names_the_file(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        dataset(tmp_path, skip_list=name)


@pytest.mark.parametrize('wrong', [[1], {'human/a': 0}, ['human/a', None]])
def test_a_wrong_list_in_a_config_is_refused(wrong, tmp_path):
    with pytest.raises(TypeError, match='skip_list must be a list of sample'):
        dataset(tmp_path, skip_list=wrong)


@pytest.mark.parametrize(
    ('listed', 'level', 'words'),
    [
        (['human/a', 'other/x'], logging.INFO, 'out 1 sa.*1 of its 2 ids'),
        (['other/x', 'other/y'], logging.WARNING, "0 .*such as 'other/x'"),
    ],
)  # fmt: skip
def test_ids_that_match_nothing_are_said(
    listed, level, words, tmp_path, caplog, monkeypatch
):
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handlers', [caplog.handler])
    dataset(tmp_path, skip_list=listed)
    (record,) = caplog.records
    assert record.levelno == level
    assert re.search(words, record.getMessage())


def test_damaged_lists_are_read_or_named(tmp_path):
    lines = '\n'.join(IDS)
    originals = {
        'plain.txt': lines.encode(),
        'marked.txt': lines.encode('utf-8-sig'),
        'wide.txt': lines.encode('utf-16'),
        'list.json': json.dumps(IDS).encode(),
    }

    def are_ids(found: set[str]) -> bool:
        return all(isinstance(name, str) and name for name in found)

    assert not fuzz(
        lambda path: read_skip_list(str(path), ''),
        originals,
        tmp_path,
        check=are_ids,
    )
