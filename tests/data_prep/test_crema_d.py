from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mmgmp.datasets import AudioVisualDataset
from mmgmp.testing.media import write_audio, write_video

from .scripts import load_script

NAMES = (
    '1001_IEO_NEU_XX',
    '1001_TIE_ANG_XX',
    '1002_IEO_HAP_LO',
    '1002_IEO_SAD_HI',
    '1003_ITS_FEA_MD',
    '1040_ITH_SAD_XX',
)


@pytest.fixture(scope='module')
def script() -> ModuleType:
    return load_script('crema_d')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Empty files under the official names."""
    folder = tmp_path / 'CREMA-D'
    for name in NAMES:
        # As it is called in the official folder of sounds.
        sound = name.replace('1040_ITH_SAD_XX', '1040_ITH_SAD_X')
        for path in (f'VideoFlash/{name}.flv', f'AudioWAV/{sound}.wav'):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
    return folder


def write_list(path: Path, names: tuple[str, ...] | list[str]) -> Path:
    rows = (f'{name},{name.split("_")[2]}\r\n' for name in names)
    path.write_bytes(b'\xef\xbb\xbf' + ''.join(rows).encode())
    return path


@pytest.fixture
def lists(tmp_path: Path) -> list[str]:
    train = write_list(tmp_path / 'train.csv', NAMES[:4])
    test = write_list(tmp_path / 'test.csv', NAMES[4:])
    return ['--train-list', str(train), '--test-list', str(test)]


def load(root: Path, split: str) -> dict:
    return json.loads((root / f'crema_d_{split}.json').read_text())


def test_the_released_lists(script, root, lists, capsys):
    assert script.main([str(root), str(root), *lists]) == 0
    test = load(root, 'test')
    assert test['metainfo'] == {
        'corpus': 'CREMA-D',
        'classes': ['neutral', 'happy', 'sad', 'fear', 'disgust', 'anger'],
        'domains': ['crema-d'],
    }
    assert test['data_list'][1] == {
        'id': 'crema-d/1040_ITH_SAD_XX',
        'domain': 'crema-d',
        'label': 2,
        'video': {'path': 'VideoFlash/1040_ITH_SAD_XX.flv'},
        'audio': {'path': 'AudioWAV/1040_ITH_SAD_X.wav'},
    }
    labels = [s['label'] for s in load(root, 'train')['data_list']]
    assert labels == [0, 5, 1, 2]
    text = capsys.readouterr().out
    assert 'train: 4 clips of 2 actors (neutral 1, happy 1, sad 1,' in text
    assert 'test: 2 clips of 2 actors' in text


def test_no_actor_is_in_two_splits(script, root, capsys):
    found = set()
    for seed in range(8):
        words = ['--test-actors', '1', '--val-actors', '1', '--seed', seed]
        argv = map(str, [root, root, *words])
        assert script.main(list(argv)) == 0
        actors = [
            {s['id'].split('/')[1][:4] for s in load(root, split)['data_list']}
            for split in ('train', 'val', 'test')
        ]
        assert [len(a) for a in actors] == [2, 1, 1]
        assert len(set.union(*actors)) == 4
        found |= actors[2]
    assert len(found) > 1
    # For good: a digest, not a generator.
    assert script.split_by_actor(NAMES, {'test': 2}, 0) == {
        'train': [n for n in NAMES if n[:4] in ('1002', '1040')],
        'test': [n for n in NAMES if n[:4] in ('1001', '1003')],
    }
    argv = [str(root), str(root), '--test-actors', '4', '--seed', '0']
    assert script.main(argv) == 1
    assert 'must leave some of the 4 actors' in capsys.readouterr().err


@pytest.mark.parametrize(
    'words',
    [
        [],
        ['--test-actors', '2'],
        ['--train-list', 'a.csv'],
        ['--train-list', 'a', '--test-list', 'b', '--test-actors', '1'],
        ['--test-actors', '1', '--seed', '0', '--audio-files', '*.wav'],
    ],
)
def test_a_split_is_never_guessed(script, root, words, capsys):
    with pytest.raises(SystemExit):
        script.main([str(root), str(root), *words])
    assert 'name the split' in capsys.readouterr().err or words[-1] == '*.wav'


BAD_ROWS = [
    ('1001_IEO_JOY_HI,JOY', "emotion must be one of ['NEU', 'HAP',"),
    ('1001_IEO_HAP_UP,HAP', "level must be one of ['LO', 'MD',"),
    ('1001-IEO-HAP,HAP', 'expected ACTOR_SENTENCE_EMOTION_LEVEL'),
    ('1001_IEO_HAP_HI,SAD', "the name says HAP, the second cell 'SAD'"),
    ('1001_IEO_HAP_HI,HAP,1', 'got 3 cells'),
]


def test_bad_rows_and_clips_listed_twice(script, root, lists, capsys):
    train = Path(lists[1])
    rows = [row for row, _ in BAD_ROWS]
    rows += [f'{NAMES[0]},NEU', NAMES[0], f'{NAMES[5]},SAD']
    train.write_text('\n'.join(rows))
    assert script.main([str(root), str(root), *lists]) == 1
    shown = capsys.readouterr().err
    for number, (_, message) in enumerate(BAD_ROWS, start=1):
        line = next(t for t in shown.splitlines() if f':{number}:' in t)
        assert message in line
    assert f'{NAMES[0]} is listed before in train, now in train' in shown
    assert f'{NAMES[5]} is listed before in train, now in test' in shown
    assert '7 problems, nothing written' in shown
    assert not list(root.glob('*.json'))


def test_a_missing_sound_is_an_error_or_is_listed(script, root, lists, capsys):
    (root / f'AudioWAV/{NAMES[0]}.wav').unlink()
    assert script.main([str(root), str(root), *lists]) == 1
    shown = capsys.readouterr().err
    assert f'AudioWAV/{NAMES[0]}.wav: no such file' in shown
    missing = root / 'missing.txt'
    words = ['--allow-missing', str(missing)]
    assert script.main([str(root), str(root), *lists, *words]) == 0
    assert missing.read_text() == f'AudioWAV/{NAMES[0]}.wav\n'
    assert 'left out: 1 files missing' in capsys.readouterr().out
    assert len(load(root, 'train')['data_list']) == 3


def test_files_of_another_name_or_folder_are_named(script, root, capsys):
    argv = [str(root), str(root), '--test-actors', '1', '--seed', '0']
    (root / 'VideoFlash/1001_IEO_JOY_HI.flv').touch()
    assert script.main(argv) == 1
    assert "got 'JOY'" in capsys.readouterr().err
    assert script.main([str(root / 'no'), *argv[1:]]) == 1
    assert 'hold no clips' in capsys.readouterr().err


def test_real_flash_videos_are_read(script, root, lists):
    for name in NAMES:
        frames = np.full((6, 16, 16, 3), 90, np.uint8)
        video = root / f'VideoFlash/{name}.flv'
        write_video(video, frames, codec='flv1', max_b_frames=0)
        audio = root / script.find_file(root, 'AudioWAV', name, '.wav')
        write_audio(audio, np.sin(np.arange(4000.0)))
    assert script.main([str(root), str(root), *lists]) == 0
    sample = AudioVisualDataset(
        'crema_d_test.json',
        domains=['crema-d'],
        modalities=['video', 'audio'],
        data_root=str(root),
        pipeline=[
            dict(
                type='MultiModalPipeline',
                video=[
                    dict(type='PyAVSeekInit'),
                    dict(type='SampleFrames', clip_len=1, num_clips=3),
                    dict(type='PyAVSeekDecode'),
                    dict(type='FormatShape', input_format='NCHW'),
                ],
                audio=[
                    dict(type='LoadAudioSegment', crop='entry'),
                    dict(type='LogSpectrogram', num_samples=4000),
                ],
            ),
            dict(type='PackMultiModalInputs'),
        ],
    )[1]
    assert sample['inputs']['video'].shape == (3, 3, 16, 16)
    assert sample['inputs']['audio'].shape == (1, 257, 22)
    assert sample['data_samples'].sample_id == 'crema-d/1040_ITH_SAD_XX'
