from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from .scripts import load_script

HEADER = 'label,youtube_id,time_start,time_end,split,is_cc\n'
ROWS = {
    'train': [
        'singing,aaaaaaaaaa0,3,13,train,0',
        '"tap dancing",aaaaaaaaaa1,0,10,train,0',
        'abseiling,aaaaaaaaaa2,0,10,train,0',
    ],
    'test': [
        'tap dancing,-_aaaaaaaa3,5,15,test,0',
        'singing,-_aaaaaaaa4,12,22,test,0',
    ],
}


@pytest.fixture(scope='module')
def script() -> ModuleType:
    return load_script('kinetics_sounds')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Empty clips under the usual names, and two CSVs."""
    for split, rows in ROWS.items():
        (tmp_path / f'{split}.csv').write_text(HEADER + '\n'.join(rows))
        for row in rows[:2]:
            _, name, start, stop, *_ = row.split(',')
            stem = f'{name}_{int(start):06d}_{int(stop):06d}'
            for path in (f'{split}/{stem}.mp4', f'audio/{split}/{stem}.wav'):
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).touch()
    (tmp_path / 'classes.txt').write_text('# two\ntap dancing\nsinging\n')
    return tmp_path


def run(script: ModuleType, root: Path, *words: object) -> int:
    own = ['--train', root / 'train.csv', '--test', root / 'test.csv']
    own += ['--classes', root / 'classes.txt']
    return script.main([str(word) for word in (root, root, *own, *words)])


def load(root: Path, split: str) -> dict:
    return json.loads((root / f'kinetics_sounds_{split}.json').read_text())


def test_annotation_of_each_clip(script, root, capsys):
    assert run(script, root) == 0
    train = load(root, 'train')
    assert train['metainfo'] == {
        'corpus': 'Kinetics-Sounds',
        'classes': ['tap dancing', 'singing'],
        'domains': ['kinetics-sounds'],
    }
    assert [s['label'] for s in train['data_list']] == [1, 0]
    assert train['data_list'][0] == {
        'id': 'kinetics-sounds/aaaaaaaaaa0_000003_000013',
        'domain': 'kinetics-sounds',
        'label': 1,
        'video': {'path': 'train/aaaaaaaaaa0_000003_000013.mp4'},
        'audio': {'path': 'audio/train/aaaaaaaaaa0_000003_000013.wav'},
    }
    assert capsys.readouterr().out.splitlines() == [
        'train: 2 of 2 listed clips, 0 left out for a missing file',
        'test: 2 of 2 listed clips, 0 left out for a missing file',
    ]


def test_missing_clips_are_an_error_or_are_listed(script, root, capsys):
    [gone] = (root / 'test').glob('*3_*.mp4')
    gone.unlink()
    assert run(script, root) == 1
    assert f'{gone}: no such file' in capsys.readouterr().err
    missing = root / 'missing.txt'
    assert run(script, root, '--allow-missing', missing) == 0
    assert missing.read_text() == f'test/{gone.name}\n'
    assert 'test: 1 of 2 listed clips, 1 left' in capsys.readouterr().out
    assert [s['label'] for s in load(root, 'test')['data_list']] == [1]


def test_a_template_that_finds_nothing_writes_nothing(script, root, capsys):
    words = '--video', '{folder}/{name}.mp4', '--allow-missing', root / 'm'
    assert run(script, root, *words) == 1
    told = capsys.readouterr().err
    assert 'train: no clip has its files; are they where' in told
    assert not (root / 'm').exists()


@pytest.mark.parametrize('path', ['{split}.mp4', '{name}{clip}.mp4', 'a.mp4'])
def test_a_path_needs_the_name(script, root, path, capsys):
    with pytest.raises(SystemExit):
        run(script, root, '--video', path)
    assert '--video must have the field name' in capsys.readouterr().err


BAD_ROWS = [
    ('singing,short,0,10,train', 'youtube_id must have 11 letters'),
    ('singing,aaaaaaaaaa5,10,10,train', 'must come after time_start'),
    ('singing,aaaaaaaaaa6,0.5,10,train', 'whole seconds, got 0.5'),
    ('singing,aaaaaaaaaa7,0,10,test', 'are two files exchanged?'),
    ('singing,aaaaaaaaaa8', 'must come after time_start'),
    ('singing,aaaaaaaaaa0,3,13,train', 'is listed before, in'),
    ('singing,-_aaaaaaaa4,12,22,train', 'is listed before, in'),
]


def test_every_bad_row_is_reported(script, root, capsys):
    with (root / 'train.csv').open('a') as file:
        file.write('\n' + '\n'.join(row for row, _ in BAD_ROWS))
    assert run(script, root, '--allow-missing', root / 'm') == 1
    shown = capsys.readouterr().err
    for _, message in BAD_ROWS:
        assert message in shown
    for number in range(5, 10):
        assert f'train.csv:{number}: ' in shown
    assert '7 problems, nothing written' in shown
    assert not list(root.glob('*.json'))


def test_wrong_lists_are_named(script, root, capsys):
    classes = root / 'classes.txt'
    classes.write_text('singing\nsnigging\n')
    assert run(script, root) == 1
    assert "no clip of the classes ['snigging']" in capsys.readouterr().err
    classes.write_text('singing\nsinging\n')
    assert run(script, root) == 1
    assert "['singing'] twice" in capsys.readouterr().err
    classes.write_text('singing\ntap dancing\n')
    (root / 'test.csv').write_text('singing,x\n')
    (root / 'train.csv').unlink()
    assert run(script, root) == 1
    shown = capsys.readouterr().err
    assert 'train.csv: no such file' in shown
    assert "lacks ['label', 'youtube_id', 'time_start'" in shown


@pytest.mark.parametrize('count', [31, 32])
def test_the_lists_of_classes(script, count):
    problems: list[str] = []
    path = Path(script.__file__).with_name(f'classes_{count}.txt')
    names = script.read_classes(path, problems)
    assert problems == []
    assert len(names) == count
    assert names == sorted(names)
    assert ('strumming guitar' in names) is (count == 32)
