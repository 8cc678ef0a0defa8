from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from mmgmp.datasets import AudioVisualDataset

DOMAINS = ('human', 'animal', 'cartoon')


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    """Six CSVs of the official form, with the official oddities."""
    folder = tmp_path / 'HAC_Splits'
    folder.mkdir()
    rows = {
        'train': ['shared-001.mp4,0', 'a_b.mp4,6', 'both.mp4,3'],
        'test': ['other.mp4,2', 'last.mp4,5'],
    }
    for domain in DOMAINS:
        for split, lines in rows.items():
            lines = list(lines)
            if domain == 'human' and split == 'test':
                lines.append('both.mp4,3')
            if domain == 'cartoon' and split == 'train':
                lines.append('with a space.mp4,1')
            write_split(folder, split, domain, lines)
    return folder


def write_split(
    folder: Path, split: str, domain: str, lines: list[str]
) -> Path:
    path = folder / f'HAC_{split}_only_{domain}.csv'
    path.write_bytes(''.join(f'{line}\r\n' for line in lines).encode())
    return path


def load(out_dir: Path, split: str) -> dict:
    return json.loads((out_dir / f'hac_{split}.json').read_text())


def test_annotation_of_each_clip(convert, splits, tmp_path, capsys):
    out_dir = tmp_path / 'HAC'
    assert convert.main([str(splits), str(out_dir)]) == 0
    train = load(out_dir, 'train')
    assert train['metainfo']['corpus'] == 'HAC'
    assert train['metainfo']['domains'] == list(DOMAINS)
    assert train['metainfo']['classes'] == [
        'sleeping',
        'watching tv',
        'eating',
        'drinking',
        'swimming',
        'running',
        'opening door',
    ]
    assert train['data_list'][-1] == {
        'id': 'cartoon/with a space',
        'domain': 'cartoon',
        'label': 1,
        'video': {'path': 'cartoon/videos/with a space.mp4'},
        'audio': {'path': 'cartoon/audio/with a space.wav'},
    }
    counts = Counter(s['domain'] for s in train['data_list'])
    assert counts == {'human': 3, 'animal': 3, 'cartoon': 4}
    text = capsys.readouterr().out
    assert 'train: human 3, animal 3, cartoon 4' in text
    assert 'in both train and test: 1' in text
    assert sorted(p.name for p in out_dir.iterdir()) == [
        'hac_test.json',
        'hac_train.json',
    ]


def test_flow_and_corpus_name_are_options(convert, splits, tmp_path):
    argv = [str(splits), str(tmp_path), '--flow', '--corpus', 'mine']
    assert convert.main(argv) == 0
    test = load(tmp_path, 'test')
    assert test['metainfo']['corpus'] == 'mine'
    assert test['data_list'][0]['flow'] == {
        'path_x': 'human/flow/other_flow_x.mp4',
        'path_y': 'human/flow/other_flow_y.mp4',
    }


def test_a_rendered_corpus_says_so(convert, splits, tmp_path):
    argv = [str(splits), str(tmp_path)]
    assert convert.main(argv) == 0
    assert 'synthetic' not in load(tmp_path, 'train')
    (splits.parent / 'mini_hac.json').write_text('{}')
    assert convert.main(argv) == 0
    assert load(tmp_path, 'train')['synthetic'] is True


def test_deduplicate_removes_from_train_only(convert, splits, tmp_path):
    argv = [str(splits), str(tmp_path), '--deduplicate']
    assert convert.main(argv) == 0
    train = {s['id'] for s in load(tmp_path, 'train')['data_list']}
    test = {s['id'] for s in load(tmp_path, 'test')['data_list']}
    assert 'human/both' not in train
    assert 'animal/both' in train
    assert 'human/both' in test


BAD_ROWS = [
    ('clip.mp4', 'expected "name.mp4,label", got 1 cells'),
    ('clip.mp4,1,2', 'got 3 cells'),
    ('clip.avi,1', "name of an mp4 file, got 'clip.avi'"),
    ('.mp4,1', 'name of an mp4 file'),
    ('folder/clip.mp4,1', 'name of an mp4 file'),
    ('a\tb.mp4,1', 'name of an mp4 file'),
    ('clip.mp4,7', "label must be 0 to 6, got '7'"),
    ('clip.mp4,-1', "label must be 0 to 6, got '-1'"),
    ('clip.mp4,run', "label must be 0 to 6, got 'run'"),
    ('a.mp4,2', "'a.mp4' is listed before"),
]


def test_every_bad_row_is_reported_and_nothing_written(
    convert, splits, tmp_path, capsys
):
    lines = ['a.mp4,1', *(row for row, _ in BAD_ROWS)]
    path = write_split(splits, 'train', 'animal', lines)
    other = write_split(splits, 'test', 'cartoon', ['clip.mp4,9'])
    out_dir = tmp_path / 'HAC'
    assert convert.main([str(splits), str(out_dir)]) == 1
    text = capsys.readouterr().err
    for number, (_, message) in enumerate(BAD_ROWS, start=2):
        line = next(t for t in text.splitlines() if f'{path}:{number}:' in t)
        assert message in line
    assert f'{other}:1: label must be' in text
    assert '11 problems, nothing written' in text
    assert not out_dir.exists()


def test_missing_files_are_all_reported(convert, tmp_path, capsys):
    assert convert.main([str(tmp_path), str(tmp_path / 'HAC')]) == 1
    assert capsys.readouterr().err.count('no such file') == 6


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'has no rows'),
        (b'clip.mp4,1\r\n\xff\xfe\r\n', 'must be a text file in UTF-8'),
        (b'"' + b'a' * 200_000, 'cannot be read'),
        (b'whole.mp4,1\r\ncut.m', ':2: expected "name.mp4,label"'),
        (b'a.mp4,1\r\n"b.mp4,1\r\nc.mp4,1\r\n', ':2: expected "name.mp4,'),
    ],
)
def test_an_empty_broken_or_cut_file_is_named(
    convert, splits, tmp_path, capsys, content, message
):
    path = splits / 'HAC_test_only_animal.csv'
    path.write_bytes(content)
    assert convert.main([str(splits), str(tmp_path / 'HAC')]) == 1
    shown = capsys.readouterr().err
    assert str(path) in shown
    assert message in shown
    assert not (tmp_path / 'HAC').exists()


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_a_byte_order_mark_is_read(convert, splits, tmp_path, encoding):
    for path in splits.glob('*.csv'):
        text = path.read_bytes().decode()
        path.write_bytes(text.encode(encoding))
    assert convert.main([str(splits), str(tmp_path / 'HAC')]) == 0


def test_a_file_in_place_of_the_folder_is_named(convert, tmp_path, capsys):
    (tmp_path / 'HAC_Splits').write_text('no folder')
    argv = [str(tmp_path / 'HAC_Splits'), str(tmp_path / 'HAC')]
    assert convert.main(argv) == 1
    assert '6 problems, nothing written' in capsys.readouterr().err


def test_a_failed_write_leaves_the_old_files(
    convert, splits, tmp_path, capsys
):
    out = tmp_path / 'HAC'
    assert convert.main([str(splits), str(out)]) == 0
    before = (out / 'hac_train.json').read_bytes()
    write_split(splits, 'train', 'human', ['new.mp4,0'])
    (out / 'hac_test.json').unlink()
    (out / 'hac_test.json').mkdir()
    assert convert.main([str(splits), str(out)]) == 1
    assert 'out_dir: ' in capsys.readouterr().err
    assert (out / 'hac_train.json').read_bytes() == before
    names = sorted(path.name for path in out.iterdir())
    assert names == ['hac_test.json', 'hac_train.json']


def test_a_file_in_place_of_the_output_folder_is_named(
    convert, splits, tmp_path, capsys
):
    out = tmp_path / 'out'
    out.write_text('mine')
    assert convert.main([str(splits), str(out)]) == 1
    shown = capsys.readouterr().err
    assert f"'{out}'; nothing written" in shown
    assert out.read_text() == 'mine'


def test_what_an_interrupted_run_left_is_written_over(
    convert, splits, tmp_path
):
    (tmp_path / '.hac_train.json.draft').write_text('{"metainfo":')
    assert convert.main([str(splits), str(tmp_path)]) == 0
    assert not list(tmp_path.glob('.*'))
    assert len(load(tmp_path, 'train')['data_list']) == 10


def test_a_file_of_an_unknown_domain_is_named(
    convert, splits, tmp_path, capsys
):
    path = write_split(splits, 'test', 'robot', ['a.mp4,1'])
    assert convert.main([str(splits), str(tmp_path / 'HAC')]) == 1
    shown = capsys.readouterr().err
    assert f"{path}: domain must be one of ['human', 'animal'," in shown
    assert "got 'robot'" in shown
    assert not (tmp_path / 'HAC').exists()


@pytest.mark.skipif(
    'MMGMP_OFFICIAL_SPLITS' not in os.environ,
    reason='MMGMP_OFFICIAL_SPLITS names no folder with the official hac/',
)
def test_official_splits(convert, tmp_path, capsys):
    folder = Path(os.environ['MMGMP_OFFICIAL_SPLITS']) / 'hac'
    assert convert.main([str(folder), str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        'train: human 1111, animal 730, cartoon 870',
        'test: human 276, animal 176, cartoon 218',
        'in both train and test: 24',
    ]
    assert convert.main([str(folder), str(tmp_path)]) == 0
    files = ['hac_train.json', 'hac_test.json']
    target = AudioVisualDataset(
        files, domains=['human'], data_root=str(tmp_path)
    )
    assert len(target) == 1387
    assert len({item['sample_id'] for item in target}) == 1363
    assert convert.main([str(folder), str(tmp_path), '--deduplicate']) == 0
    assert 'train: human 1087,' in capsys.readouterr().out
