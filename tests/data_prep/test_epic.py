from __future__ import annotations

import importlib.util
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import mmcv
import numpy as np
import pytest

from mmgmp.datasets import AudioVisualDataset
from mmgmp.testing.media import write_audio, write_video
from tests.data_prep.conftest import DATA_PREP
from tests.data_prep.official_pickles import dumps, rows_of, write_split

SCRIPT = DATA_PREP / 'epic' / 'convert_annotations.py'
PARTICIPANTS = {'D1': 'P08', 'D2': 'P01', 'D3': 'P22'}


@pytest.fixture(scope='session')
def epic() -> ModuleType:
    """The script; HAC's has the same name, so not by name."""
    sys.path.insert(0, str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location('epic_convert', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules['epic_convert'] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    folder = tmp_path / 'splits'
    folder.mkdir()
    for domain, participant in PARTICIPANTS.items():
        rows = rows_of(domain, participant, 12)
        write_split(folder, domain, 'train', rows[:9])
        write_split(folder, domain, 'test', rows[9:])
    return folder


def load(out_dir: Path, split: str) -> dict:
    return json.loads((out_dir / f'epic_{split}.json').read_text())


def test_frames_layout(epic, splits, tmp_path, capsys):
    assert epic.main([str(splits), str(tmp_path / 'out'), '--flow']) == 0
    train = load(tmp_path / 'out', 'train')
    assert train['metainfo'] == {
        'corpus': 'EPIC-Kitchens',
        'classes': [
            'take',
            'put',
            'open',
            'close',
            'wash',
            'cut',
            'mix',
            'pour',
        ],
        'domains': ['D1', 'D2', 'D3'],
    }
    assert train['data_list'][0] == {
        'id': 'D1/P08_01_1000',
        'domain': 'D1',
        'label': 0,
        'video': {
            'path': 'rgb/train/D1/P08_01',
            'start_frame': 579,
            'num_frames': 31,
            'filename_tmpl': 'frame_{:010}.jpg',
            'fps': 60,
        },
        'audio': {
            'path': 'rgb/train/D1/P08_01.wav',
            'start': 69.66,
            'stop': 3610.16,
        },
        'flow': {
            'path_x': 'flow/train/D1/P08_01/u',
            'path_y': 'flow/train/D1/P08_01/v',
            'start_frame': 290,
            'num_frames': 15,
            'filename_tmpl': 'frame_{:010}.jpg',
            'fps': 30,
        },
    }
    assert capsys.readouterr().out.splitlines() == [
        'train: D1 9, D2 9, D3 9',
        'test: D1 3, D2 3, D3 3',
    ]
    names = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert names == ['epic_test.json', 'epic_train.json']


def test_clips_layout(epic, splits, tmp_path):
    argv = [str(splits), str(tmp_path), '--layout', 'clips', '--flow']
    assert epic.main(argv) == 0
    sample = load(tmp_path, 'test')['data_list'][3]
    folder = 'MM-SADA_Domain_Adaptation_Splits'
    assert sample['id'] == 'D2/P01_01_2009'
    assert sample['video'] == {
        'path': f'{folder}/video/test/D2/D2_P01_01_588_619_1.mp4'
    }
    assert sample['flow'] == {
        'path_x': f'{folder}/flow/test/D2/D2_P01_01_294_309_1_u.mp4',
        'path_y': f'{folder}/flow/test/D2/D2_P01_01_294_309_1_v.mp4',
    }
    assert sample['audio']['path'] == f'{folder}/audio/test/D2/P01_01.wav'


def test_folders_are_options_and_flow_is_left_out(epic, splits, tmp_path):
    argv = [str(splits), str(tmp_path), '--layout=clips']
    argv += ['--clips-dir=S/EPIC-mp4', '--audio-dir=S/rgb']
    assert epic.main(argv) == 0
    sample = load(tmp_path, 'train')['data_list'][0]
    assert set(sample) == {'id', 'domain', 'label', 'video', 'audio'}
    assert sample['video']['path'].startswith('S/EPIC-mp4/video/train/D1/D1_')
    assert sample['audio']['path'] == 'S/rgb/train/D1/P08_01.wav'


def test_the_dataset_reads_it(epic, splits, tmp_path):
    assert epic.main([str(splits), str(tmp_path), '--flow']) == 0
    dataset = AudioVisualDataset(
        'epic_train.json',
        domains=['D3', 'D1'],
        modalities=['video', 'audio', 'flow'],
        data_root=str(tmp_path),
    )
    assert len(dataset) == 18
    path = dataset[0]['sources']['flow']['path_x']
    assert path == f'{tmp_path}/flow/train/D1/P08_01/u'


BAD_ROWS = [
    ({'uid': 2000}, 'uid 2000 is listed before, in', 'D2_train.pkl: row 0'),
    ({'uid': 'a'}, "uid must be a whole number, got 'a'", ''),
    (
        {'participant_id': 'P09'},
        "must be P01, the kitchen of D2, got 'P09'",
        '',
    ),
    ({'video_id': 'P01_../../x'}, 'video_id must be P01_NN', ''),
    ({'video_id': 'P22_01'}, "video_id must be P01_NN, got 'P22_01'", ''),
    ({'verb_class': 8}, 'verb_class must be 0 to 7, got 8', ''),
    ({'verb_class': -1}, 'verb_class must be 0 to 7, got -1', ''),
    ({'start_frame': 0}, 'start_frame must be >= 1', ''),
    ({'stop_frame': 580}, 'stop_frame at least 2 more, got', ''),
    (
        {'start_timestamp': '1.5'},
        "timestamp: expected HH:MM:SS.ss, got '1.5'",
        '',
    ),
    ({'stop_timestamp': '00:00:00.10'}, 'must come after start_timestamp', ''),
]


@pytest.mark.parametrize(('change', 'message', 'more'), BAD_ROWS)
def test_a_bad_row_is_named(
    epic, splits, tmp_path, capsys, change, message, more
):
    rows = rows_of('D2', 'P01', 9)
    rows[4] = {**rows[4], **change}
    path = write_split(splits, 'D2', 'train', rows)
    assert epic.main([str(splits), str(tmp_path / 'out')]) == 1
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    assert lines[0].startswith(f'{path}: row 4: ')
    assert message in lines[0]
    assert more in lines[0]
    assert lines[-1] == '1 problems, nothing written'
    assert shown.out == ''
    assert not (tmp_path / 'out').exists()


def test_every_bad_row_of_every_file_is_reported(
    epic, splits, tmp_path, capsys
):
    for domain, participant in PARTICIPANTS.items():
        rows = rows_of(domain, participant, 9)
        rows[2]['verb_class'] = 99
        rows[7]['stop_frame'] = 1
        write_split(splits, domain, 'train', rows)
    (splits / 'D3_test.pkl').unlink()
    assert epic.main([str(splits), str(tmp_path / 'out')]) == 1
    shown = capsys.readouterr().err
    for domain in PARTICIPANTS:
        assert f'{domain}_train.pkl: row 2: ' in shown
        assert f'{domain}_train.pkl: row 7: ' in shown
    assert 'D3_test.pkl: no such file' in shown
    assert '7 problems, nothing written' in shown


def test_a_file_of_an_unknown_domain_is_named(epic, splits, tmp_path, capsys):
    path = write_split(splits, 'D4', 'train', rows_of('D4', 'P30', 3))
    assert epic.main([str(splits), str(tmp_path / 'out')]) == 1
    shown = capsys.readouterr().err
    assert f"{path}: domain must be one of ['D1', 'D2', 'D3']" in shown
    assert "got 'D4'" in shown
    assert not (tmp_path / 'out').exists()


class Evil:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ('content', 'name'),
    [
        (lambda path: Evil(os.system, f'touch {path}'), 'posix.system'),
        (
            lambda path: Evil(eval, f'open({str(path)!r}, "w")'),
            'builtins.eval',
        ),
        (lambda path: Evil(getattr, 'a', 'upper'), 'builtins.getattr'),
        (lambda path: Evil(Path, str(path)), 'pathlib'),
    ],
)
def test_any_other_global_is_refused(
    epic, splits, tmp_path, capsys, content, name
):
    trace = tmp_path / 'executed'
    path = splits / 'D1_test.pkl'
    path.write_bytes(pickle.dumps(content(trace), protocol=4))
    assert epic.main([str(splits), str(tmp_path / 'out')]) == 1
    shown = capsys.readouterr().err
    assert f'{path}: refused, it names the global {name}' in shown
    assert not trace.exists()
    assert not (tmp_path / 'out').exists()


def test_a_dotted_name_does_not_reach_into_an_allowed_global(
    epic, splits, tmp_path, capsys
):
    """Protocol 4 looks up ``DataFrame.eval`` attribute by attribute."""
    content = pickle.dumps(pickle.PickleBuffer, protocol=4)
    words = [b'pandas.core.frame', b'DataFrame.eval']
    names = b''.join(b'\x8c' + bytes([len(w)]) + w for w in words)
    content = b'\x80\x04' + names + b'\x93.'
    (splits / 'D1_test.pkl').write_bytes(content)
    assert epic.main([str(splits), str(tmp_path / 'out')]) == 1
    shown = capsys.readouterr().err
    assert 'the global pandas.core.frame.DataFrame.eval' in shown


def test_pandas_reads_what_the_tests_write():
    """The pickles of these tests are of the form that pandas had."""
    pd = pytest.importorskip('pandas')
    rows = rows_of('D1', 'P08', 5)
    assert pd.read_pickle(io.BytesIO(dumps(rows))).to_dict('records') == rows


def test_pickles_of_another_form_are_refused_with_the_global(
    epic, splits, tmp_path, capsys
):
    pd = pytest.importorskip('pandas')
    pd.DataFrame(rows_of('D1', 'P08', 3)).to_pickle(splits / 'D1_test.pkl')
    assert epic.main([str(splits), str(tmp_path / 'out')]) == 1
    assert 'refused, it names the global pandas.' in capsys.readouterr().err


def test_damaged_pickles_are_reported_not_raised(epic, splits, capsys):
    """Cut at any byte, or with any byte changed."""
    path = splits / 'D1_test.pkl'
    content = path.read_bytes()
    step = max(len(content) // 150, 1)
    for position in range(0, len(content), step):
        path.write_bytes(content[:position])
        _, problems = epic.convert(splits, epic.Layout())
        assert [p for p in problems if str(path) in p], position
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(bytes(damaged))
        epic.convert(splits, epic.Layout())


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        ({'a': 1}, 'is no split file, or is damaged'),
        ([], "is damaged (KeyError('uid'))"),
        ([{'uid': 1, 'video_id': 'a'}], "(KeyError('participant_id'))"),
    ],
)
def test_other_content_is_reported(
    epic, splits, tmp_path, capsys, rows, message
):
    (splits / 'D1_test.pkl').write_bytes(dumps(rows))
    assert epic.main([str(splits), str(tmp_path / 'out')]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('kind', ['missing', 'file'])
def test_a_wrong_folder_is_named(epic, tmp_path, capsys, kind):
    folder = tmp_path / 'splits'
    if kind == 'file':
        folder.write_text('no folder')
    assert epic.main([str(folder), str(tmp_path / 'out')]) == 1
    shown = capsys.readouterr().err
    assert shown.count('.pkl: ') == 6
    assert '6 problems, nothing written' in shown
    assert not (tmp_path / 'out').exists()


def test_a_failed_write_leaves_the_old_files(epic, splits, tmp_path, capsys):
    out = tmp_path / 'out'
    assert epic.main([str(splits), str(out)]) == 0
    before = (out / 'epic_train.json').read_bytes()
    (out / 'epic_test.json').unlink()
    (out / 'epic_test.json').mkdir()
    write_split(splits, 'D1', 'train', rows_of('D1', 'P08', 3))
    assert epic.main([str(splits), str(out)]) == 1
    assert 'out_dir: ' in capsys.readouterr().err
    assert (out / 'epic_train.json').read_bytes() == before
    names = sorted(path.name for path in out.iterdir())
    assert names == ['epic_test.json', 'epic_train.json']


def test_what_an_interrupted_run_left_is_written_over(epic, splits, tmp_path):
    (tmp_path / '.epic_train.json.draft').write_text('{"metainfo":')
    assert epic.main([str(splits), str(tmp_path)]) == 0
    assert not (tmp_path / '.epic_train.json.draft').exists()
    assert len(load(tmp_path, 'train')['data_list']) == 27


def test_it_runs_as_a_script(splits, tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, splits, tmp_path / 'out'],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('train: D1 9')


def write_media(root: Path, layout: str) -> np.ndarray:
    """The files of D1/P08_01, frames 1 to 40 at 60 a second; its sound."""
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 16000)
    image = np.random.default_rng(1).integers(
        0, 255, (32, 48, 3), dtype=np.uint8
    )
    frames = np.stack([np.roll(image, t, 1) for t in range(41)])
    if layout == 'frames':
        write_audio(mkdir(root / 'rgb/train/D1') / 'P08_01.wav', wave)
        folders = ['rgb/train/D1/P08_01']
        folders += [f'flow/train/D1/P08_01/{name}' for name in 'uv']
        for folder in folders:
            for number in range(1, 41):
                path = root / folder / f'frame_{number:010}.jpg'
                mmcv.imwrite(frames[number], str(path))
        return wave
    top = root / 'MM-SADA_Domain_Adaptation_Splits'
    write_audio(mkdir(top / 'audio/train/D1') / 'P08_01.wav', wave)
    video = mkdir(top / 'video/train/D1') / 'D1_P08_01_3_35_0.mp4'
    write_video(video, frames[3:35], fps=60)
    for name in 'uv':
        flow = mkdir(top / 'flow/train/D1') / f'D1_P08_01_2_18_0_{name}.mp4'
        write_video(flow, frames[2:18], fps=30)
    return wave


def mkdir(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


LOADERS = {
    'frames': {
        'video': [None, dict(type='RawFrameDecode')],
        'flow': [None, dict(type='LoadFlowFrames')],
    },
    'clips': {
        'video': [dict(type='PyAVSeekInit'), dict(type='PyAVSeekDecode')],
        'flow': [
            dict(type='PyAVSeekFlowInit'),
            dict(type='PyAVSeekFlowDecode'),
        ],
    },
}


def image_list(layout: str, name: str, clip_len: int, interval: int) -> list:
    before, after = LOADERS[layout][name]
    steps = [
        before,
        dict(
            type='SampleFrames',
            clip_len=clip_len,
            frame_interval=interval,
            test_mode=True,
        ),
        after,
        dict(type='Resize', scale=(16, 16), keep_ratio=False),
        dict(type='StackFlow') if name == 'flow' else None,
        dict(type='FormatShape', input_format='NCTHW'),
    ]
    return [step for step in steps if step]


@pytest.mark.parametrize('layout', ['frames', 'clips'])
def test_both_layouts_load_through_the_published_windows(
    epic, splits, tmp_path, layout
):
    row = rows_of('D1', 'P08', 1)[0]
    row.update(start_frame=3, stop_frame=35)
    row.update(start_timestamp='00:00:00.05', stop_timestamp='00:00:00.60')
    write_split(splits, 'D1', 'train', [row])
    root = tmp_path / 'EPIC'
    assert (
        epic.main([str(splits), str(root), '--flow', '--layout', layout]) == 0
    )
    wave = write_media(root, layout)
    pipeline = dict(
        type='MultiModalPipeline',
        video=image_list(layout, 'video', 32, 2),
        audio=[dict(type='LoadAudioSegment')],
        flow=image_list(layout, 'flow', 8, 4),
    )
    dataset = AudioVisualDataset(
        'epic_train.json',
        domains=['D1'],
        modalities=['video', 'audio', 'flow'],
        data_root=str(root),
        pipeline=[pipeline],
    )
    sample = dataset[0]
    # 32 frames of the action, 16 of its flow: both loop in their windows.
    assert sample['video']['total_frames'] == 32
    assert sample['flow']['total_frames'] == 16
    assert sample['video']['imgs'].shape == (1, 3, 32, 16, 16)
    assert sample['flow']['imgs'].shape == (1, 2, 8, 16, 16)
    first = {'frames': (3, 2), 'clips': (0, 0)}[layout]
    assert sample['video']['frame_inds'][0] == first[0]
    assert sample['flow']['frame_inds'].tolist() == [
        first[1] + 4 * step % 16 for step in range(8)
    ]
    # 0.05 to 0.60 s of the sound of the whole video, to the sample.
    heard = sample['audio']['waveform']
    assert heard.shape == (8800,)
    assert np.abs(heard - wave[800:9600]).max() < 1e-4


def assert_as_pandas_reads(epic, folder):
    pd = pytest.importorskip('pandas')
    for path in sorted(folder.glob('*.pkl')):
        rows = epic.read_rows(path)
        frame = pd.read_pickle(path)
        assert frame[list(rows[0])].to_dict('records') == rows


@pytest.mark.skipif(
    'MMGMP_OFFICIAL_SPLITS' not in os.environ,
    reason='MMGMP_OFFICIAL_SPLITS names no folder with the official epic/',
)
@pytest.mark.parametrize('layout', ['frames', 'clips'])
def test_official_splits(epic, tmp_path, capsys, layout):
    folder = Path(os.environ['MMGMP_OFFICIAL_SPLITS']) / 'epic'
    argv = [str(folder), str(tmp_path), '--flow', '--layout', layout]
    assert epic.main(argv) == 0
    assert capsys.readouterr().out.splitlines() == [
        'train: D1 1543, D2 2495, D3 3897',
        'test: D1 435, D2 750, D3 974',
    ]
    assert_as_pandas_reads(epic, folder)
    samples = load(tmp_path, 'train')['data_list']
    samples += load(tmp_path, 'test')['data_list']
    assert len({sample['id'] for sample in samples}) == 10094
    target = AudioVisualDataset(
        'epic_test.json', domains=['D1'], data_root=str(tmp_path)
    )
    labels = [target.get_cat_ids(i)[0] for i in range(len(target))]
    counts = [labels.count(number) for number in range(8)]
    assert counts == [124, 104, 52, 34, 66, 13, 20, 22]
    if layout == 'frames':
        # The published code loops clips shorter than its 64-frame window.
        short = [
            s['domain']
            for s in samples[: -(435 + 750 + 974)]
            if s['video']['num_frames'] < 64
        ]
        assert [short.count(d) for d in PARTICIPANTS] == [185, 635, 1291]
