from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import mmcv
import numpy as np
import pytest

from mmgmp.apis.data_check import UNUSABLE, check_data
from mmgmp.apis.media_checks import (
    FAULT_KINDS,
    CheckSettings,
    MediaJob,
    Segment,
    check_media,
)
from mmgmp.apis.published_counts import PUBLISHED
from mmgmp.datasets import AudioVisualDataset
from mmgmp.testing.media import write_audio, write_video
from tests.processes import heed_interrupts

SCRIPT = Path(__file__).parents[2] / 'tools' / 'check_data.py'
CLASSES = ['walk']
DOMAINS = ['here']


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('check_data_tool', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def frames(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
    return np.stack([np.roll(image, t, 1) for t in range(count)])


def wave(seconds: float, rate: int = 16000) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * rate))


class Corpus:
    """A corpus of good files, in which a test plants faults."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.samples: list[dict[str, Any]] = []
        self.expected: dict[str, str] = {}

    def add(self, name: str, **modalities: Any) -> dict[str, Any]:
        """A sample of one video of 2 s and its sound, both whole."""
        folder = self.root / name
        folder.mkdir()
        write_video(folder / 'v.mp4', frames(48))
        write_audio(folder / 'a.wav', wave(2))
        sample = {
            'id': name,
            'domain': 'here',
            'label': 0,
            'video': {'path': f'{name}/v.mp4'},
            'audio': {'path': f'{name}/a.wav'},
            **modalities,
        }
        self.samples.append(sample)
        return sample

    def add_flow(self, name: str) -> None:
        paths = {f'path_{axis}': f'{name}/{axis}.mp4' for axis in 'xy'}
        self.add(name, flow=paths)
        for path in paths.values():
            write_video(self.root / path, frames(24))

    def add_folder(self, name: str, first: int = 3, count: int = 5) -> None:
        entry = {
            'path': f'{name}/rgb',
            'start_frame': first,
            'num_frames': count,
            'filename_tmpl': 'frame_{:010}.jpg',
        }
        self.add(name, video=entry)
        for number, image in enumerate(frames(10), start=1):
            path = self.root / name / 'rgb' / f'frame_{number:010}.jpg'
            mmcv.imwrite(image, str(path))

    def plant(
        self,
        kind: str,
        name: str,
        change: Callable[[Path], Any],
        make: Callable[[str], Any] | None = None,
    ) -> None:
        """Add a sample, spoil its files, note what must be found."""
        (make or self.add)(name)
        change(self.root / name)
        self.expected[name] = kind

    def write(self, name: str = 'all_train.json') -> str:
        metainfo = {'classes': CLASSES, 'domains': DOMAINS}
        content = {'metainfo': metainfo, 'data_list': self.samples}
        path = self.root / name
        path.write_text(json.dumps(content))
        return str(path)


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def zero_data(path: Path) -> None:
    """Overwrite the coded pictures from the middle on."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size][24:]
        start, length = packets[0].pos, sum(p.size for p in packets)
    content = bytearray(path.read_bytes())
    content[start : start + length] = bytes(length)
    path.write_bytes(content)


def put_index_first(path: Path) -> None:
    """Move the index of an MP4 file to its front, as for streaming."""
    target = path.with_name('fast.mp4')
    options = {'movflags': 'faststart'}
    with (
        av.open(str(path)) as old,
        av.open(str(target), 'w', options=options) as new,
    ):
        copy = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                new.mux(packet)
    target.replace(path)


def silent_middle(folder: Path) -> None:
    parts = [wave(2), np.zeros(32000), wave(2)]
    write_audio(folder / 'a.wav', np.concatenate(parts))


def use(corpus: Corpus, **segment: float) -> Callable[[Path], None]:
    """Let the sample that was just added use a segment of its sound."""

    def change(folder: Path) -> None:
        corpus.samples[-1]['audio'].update(segment)

    return change


def plant_all(corpus: Corpus) -> None:
    """Every kind of fault, for every kind of file."""
    for number in range(3):
        corpus.add(f'good {number}')
    corpus.add_flow('good flow')
    corpus.add_folder('good folder')

    plant = corpus.plant
    plant('missing', 'no video', lambda f: (f / 'v.mp4').unlink())
    plant('missing', 'no sound', lambda f: (f / 'a.wav').unlink())
    plant('missing', 'no y', lambda f: (f / 'y.mp4').unlink(), corpus.add_flow)
    plant(
        'missing',
        'no folder',
        lambda f: shutil.rmtree(f / 'rgb'),
        corpus.add_folder,
    )
    plant('truncated', 'cut video', lambda f: cut(f / 'v.mp4'))
    plant(
        'truncated',
        'cut streaming video',
        lambda f: (put_index_first(f / 'v.mp4'), cut(f / 'v.mp4')),
    )
    plant('truncated', 'cut sound', lambda f: cut(f / 'a.wav'))
    plant('truncated', 'empty video', lambda f: (f / 'v.mp4').write_bytes(b''))
    plant(
        'truncated',
        'cut image',
        lambda f: cut(f / 'rgb/frame_0000000004.jpg'),
        corpus.add_folder,
    )
    plant(
        'truncated',
        'empty image',
        lambda f: (f / 'rgb/frame_0000000007.jpg').write_bytes(b''),
        corpus.add_folder,
    )
    plant(
        'undecodable',
        'text video',
        lambda f: (f / 'v.mp4').write_text('a b' * 99),
    )
    plant(
        'undecodable', 'text sound', lambda f: (f / 'a.wav').write_text('ab')
    )
    plant('undecodable', 'damaged video', lambda f: zero_data(f / 'v.mp4'))
    plant(
        'undecodable',
        'text image',
        lambda f: (f / 'rgb/frame_0000000003.jpg').write_text('ab'),
        corpus.add_folder,
    )
    plant(
        'undecodable',
        'sound as video',
        lambda f: shutil.copy(f / 'a.wav', f / 'v.mp4'),
    )
    plant(
        'frame-count',
        'shorter y',
        lambda f: write_video(f / 'y.mp4', frames(23)),
        corpus.add_flow,
    )
    plant(
        'frame-count',
        'lost image',
        lambda f: (f / 'rgb/frame_0000000005.jpg').unlink(),
        corpus.add_folder,
    )
    plant(
        'frame-count',
        'folder ends',
        lambda f: corpus.samples[-1]['video'].update(num_frames=9),
        corpus.add_folder,
    )
    plant(
        'too-short',
        'sound ends before video',
        lambda f: write_audio(f / 'a.wav', wave(1.2)),
    )
    plant(
        'too-short',
        'tiny sound',
        lambda f: write_audio(f / 'a.wav', wave(0.05)),
    )
    plant('too-short', 'segment ends late', use(corpus, start=1, stop=3))
    plant('too-short', 'segment begins late', use(corpus, start=2.2, stop=2.4))
    plant(
        'too-short',
        'video segment ends late',
        lambda f: corpus.samples[-1]['video'].update(start=0, stop=3),
    )
    plant(
        'silent',
        'all silent',
        lambda f: write_audio(f / 'a.wav', np.zeros(32000)),
    )
    plant(
        'silent',
        'silent segment',
        lambda f: (silent_middle(f), use(corpus, start=2, stop=4)(f)),
    )
    plant(
        'sample-rate',
        'other rate',
        lambda f: write_audio(f / 'a.wav', wave(2, 8000), 8000),
    )


@pytest.fixture(scope='module')
def planted(tmp_path_factory) -> Corpus:
    corpus = Corpus(tmp_path_factory.mktemp('planted'))
    plant_all(corpus)
    corpus.write()
    return corpus


@pytest.mark.parametrize('workers', [1, 2])
def test_every_planted_fault_is_found_and_no_other(planted, workers):
    report = check_data(['all_train.json'], str(planted.root), workers=workers)
    found = {
        (sample, fault.kind)
        for fault in report.faults
        for sample in fault.samples
    }
    assert found == set(planted.expected.items())
    assert report.is_complete
    assert report.num_samples == len(planted.samples)
    others = {'annotation', 'count', 'few', 'lacking', 'unreadable'}
    kinds = set(FAULT_KINDS) - others
    assert set(report.counts) == kinds
    for fault in report.faults:
        assert Path(fault.path).is_relative_to(planted.root)
        assert fault.message


def test_the_tool_writes_a_report_and_a_skip_list(planted, tool, tmp_path):
    report, skip = tmp_path / 'report.json', tmp_path / 'skip.txt'
    argv = ['all_train.json', '--root', str(planted.root), '--workers=1']
    argv += ['--report', str(report), '--skip-list', str(skip)]
    assert tool.main(argv) == 1
    content = json.loads(report.read_text())
    assert content['is_complete']
    kinds = {fault['kind'] for fault in content['faults']}
    assert kinds == set(planted.expected.values())
    assert sum(content['counts'].values()) == len(content['faults'])
    unusable = {n for n, kind in planted.expected.items() if kind in UNUSABLE}
    assert set(skip.read_text().splitlines()) == unusable
    dataset = AudioVisualDataset(
        'all_train.json',
        modalities=['audio'],
        data_root=str(planted.root),
        skip_list=str(skip),
        pipeline=[
            dict(
                type='MultiModalPipeline',
                audio=[
                    dict(type='LoadAudioSegment', on_silence='keep'),
                    dict(type='LogSpectrogram', num_samples=16000),
                ],
            ),
            dict(type='PackMultiModalInputs'),
        ],
    )
    assert len(dataset) == len(planted.samples) - len(unusable)
    for sample in dataset:
        assert sample['inputs']['audio'].isfinite().all()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'report.json',
        'skip.txt',
    ]


def test_which_faults_are_skipped_is_an_option(planted, tool, tmp_path):
    skip = tmp_path / 'skip.json'
    argv = ['all_train.json', '--root', str(planted.root), '--workers=1']
    argv += ['--skip-list', str(skip), '--skip', 'silent', 'sample-rate']
    assert tool.main(argv) == 1
    assert json.loads(skip.read_text()) == [
        'all silent',
        'other rate',
        'silent segment',
    ]


def test_modalities_and_rate_are_options(planted, tool, capsys):
    argv = ['all_train.json', '--root', str(planted.root), '--workers=1']
    argv += ['--modalities', 'audio', '--sample-rate', '0', '--show', '1']
    assert tool.main(argv) == 1
    shown = capsys.readouterr().out
    assert 'sample-rate' not in shown
    assert 'frame-count' not in shown
    assert '... and ' in shown


def good(tmp_path: Path, count: int = 2) -> Corpus:
    (tmp_path / 'corpus').mkdir()
    corpus = Corpus(tmp_path / 'corpus')
    for number in range(count):
        corpus.add(f's{number}')
    corpus.write()
    return corpus


def test_a_sound_corpus_exits_with_0(tool, tmp_path, capsys):
    corpus = good(tmp_path)
    argv = ['all_train.json', '--root', str(corpus.root), '--workers=1']
    skip = tmp_path / 'skip.txt'
    assert tool.main([*argv, '--skip-list', str(skip)]) == 0
    assert tool.main([*argv, '--quick']) == 0
    assert '2 samples, 4 files' in capsys.readouterr().out
    assert skip.read_text() == ''


def test_quick_still_sees_what_headers_and_ends_show(planted):
    report = check_data(
        ['all_train.json'],
        str(planted.root),
        CheckSettings(full=False),
    )
    found = {s for fault in report.faults for s in fault.samples}
    unseen = set(planted.expected) - found
    assert unseen == {'cut image'}


BAD_ENTRIES = [
    (lambda s: s.pop('label'), "has no ['label']"),
    (lambda s: s.update(domain='moon'), "domain must be one of ['here']"),
    (lambda s: s.update(label=2), 'number from 0 to 0, got 2'),
    (lambda s: s.update(id='s0'), "id 's0' is listed before, in entry 0"),
    (lambda s: s.update(id=7), 'id must be a text, got 7'),
    (lambda s: s.update(audio={'file': 'a'}), 'audio must name a path'),
    (lambda s: s['audio'].update(start=2, stop=1), 'stop must come after'),
    (
        lambda s: s['video'].update(num_frames=0),
        'num_frames must be a whole number >= 1',
    ),
    (lambda s: s['video'].update(num_frames=4), 'filename_tmpl'),
    (lambda s: (s.pop('video'), s.pop('audio')), 'has no modality'),
]


@pytest.mark.parametrize(('change', 'message'), BAD_ENTRIES)
def test_bad_entries_are_reported_with_file_and_row(tmp_path, change, message):
    corpus = good(tmp_path)
    change(corpus.samples[1])
    path = corpus.write()
    report = check_data([path], str(corpus.root))
    assert list(report.counts) == ['annotation']
    [fault] = report.faults
    assert fault.path == path
    assert fault.message.startswith('entry 1: ')
    assert message in fault.message


def test_unchanged_files_are_not_opened_again(tool, tmp_path, capsys):
    corpus = good(tmp_path, count=3)
    (corpus.root / 's1' / 'v.mp4').unlink()
    cut(corpus.root / 's2' / 'a.wav')
    argv = ['all_train.json', '--root', str(corpus.root), '--workers=1']
    argv += ['--report', str(tmp_path / 'report.json')]
    assert tool.main(argv) == 1
    assert '(0 of them checked before)' in capsys.readouterr().out
    assert tool.main(argv) == 1
    # All but the missing one, and the fault of the cut one is still there.
    shown = capsys.readouterr().out
    assert '(5 of them checked before)' in shown
    assert 'truncated' in shown
    for name in ('s1/v.mp4', 's2/a.wav'):
        shutil.copy(corpus.root / f's0/{name[3:]}', corpus.root / name)
    assert tool.main(argv) == 0
    assert '(4 of them checked before)' in capsys.readouterr().out
    assert tool.main([*argv, '--quick']) == 0
    assert '(0 of them checked before)' in capsys.readouterr().out


def test_a_stopped_run_continues(tmp_path):
    corpus = good(tmp_path, count=1)
    for number in range(1, 1500):
        sample = json.loads(json.dumps(corpus.samples[0]))
        sample['id'] = f's{number}'
        sample['audio']['path'] = f's0/{number}.wav'
        os.link(corpus.root / 's0/a.wav', corpus.root / f's0/{number}.wav')
        del sample['video']
        corpus.samples.append(sample)
    corpus.write()
    report = tmp_path / 'report.json'
    command = [sys.executable, str(SCRIPT), 'all_train.json', '--root']
    command += [str(corpus.root), '--report', str(report), '--workers', '1']
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        preexec_fn=heed_interrupts,
    )
    end = time.monotonic() + 60
    while not report.exists() and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    shown = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130, shown
    assert 'is kept to continue' in shown
    content = json.loads(report.read_text())
    assert not content['is_complete']
    assert 0 <= len(content['files']) < 1501
    again = check_data(
        ['all_train.json'], str(corpus.root), report_path=str(report)
    )
    assert again.num_reused == len(content['files'])
    assert again.is_complete
    assert not again.faults


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['absent.json'], 'absent.json does not exist'),
        (['all_train.json', '--root', 'absent'], 'absent is no folder'),
        (['cut.json'], 'cut.json is no complete JSON'),
        (['list.json'], 'must hold metainfo'),
        (['all_train.json', '--report', 'cut.json'], 'no report of this tool'),
        (
            ['all_train.json', '--report', 'all_train.json'],
            'no report of this tool',
        ),
        (['all_train.json', '--workers', '0'], 'workers must be >= 1, got 0'),
        (['all.json', '--expect', 'hac'], 'must end in train or test'),
        (['all_train.json', '--report', 's0'], 's0'),
    ],
)
def test_what_cannot_be_checked_exits_with_2(
    tool, tmp_path, capsys, monkeypatch, arguments, message
):
    corpus = good(tmp_path)
    corpus.write('all.json')
    (corpus.root / 'cut.json').write_text('{"metainfo": {')
    (corpus.root / 'list.json').write_text('[]')
    monkeypatch.chdir(corpus.root)
    before = sorted(corpus.root.rglob('*'))
    assert tool.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert sorted(corpus.root.rglob('*')) == before


def test_ids_that_fit_no_line_are_refused_in_a_text_list(
    tool, tmp_path, capsys
):
    corpus = good(tmp_path)
    corpus.samples[0]['id'] = ' s0'
    (corpus.root / 's0/a.wav').unlink()
    argv = [corpus.write(), '--root', str(corpus.root), '--workers=1']
    skip = tmp_path / 'skip.txt'
    assert tool.main([*argv, '--skip-list', str(skip)]) == 2
    assert "[' s0'] do not fit a line each" in capsys.readouterr().err
    assert not skip.exists()


def test_a_wrong_root_is_suspected(tool, tmp_path, capsys):
    corpus = good(tmp_path)
    argv = [str(corpus.root / 'all_train.json'), '--root', str(tmp_path)]
    assert tool.main([*argv, '--workers=1']) == 1
    assert 'is --root right' in capsys.readouterr().err


def test_values_that_are_not_finite_are_found(tmp_path):
    import soundfile

    values = wave(1)
    values[7000] = np.nan
    path = str(tmp_path / 'a.wav')
    soundfile.write(path, values, 16000, 'FLOAT')
    job = MediaJob('sound', (path,), '', (Segment('a'),))
    [fault] = check_media(job, CheckSettings()).faults
    assert (fault.kind, 'finite' in fault.message) == ('undecodable', True)


def published_samples(corpus: str, split: str) -> list[dict[str, Any]]:
    return [
        {'id': f'{domain}/{label}/{i}', 'domain': domain, 'label': label}
        for domain, counts in PUBLISHED[corpus][split].items()
        for label, count in enumerate(counts)
        for i in range(count)
    ]


@pytest.mark.parametrize('corpus', ['epic', 'hac'])
def test_published_counts(tool, tmp_path, capsys, corpus):
    """One more, one less: the domain is named with its classes."""
    write_audio(tmp_path / 'a.wav', wave(0.15))
    domains = list(PUBLISHED[corpus]['train'])
    metainfo = {
        'classes': list(PUBLISHED[corpus]['classes']),
        'domains': domains,
    }
    files = []
    for split in ('train', 'test'):
        samples = published_samples(corpus, split)
        for sample in samples:
            sample['audio'] = {'path': 'a.wav'}
        path = tmp_path / f'{corpus}_{split}.json'
        content = {'metainfo': metainfo, 'data_list': samples}
        path.write_text(json.dumps(content))
        files.append(str(path))
    argv = [*files, '--root', str(tmp_path), '--expect', corpus]
    assert tool.main([*argv, '--workers=1']) == 0
    content['data_list'].pop()
    path.write_text(json.dumps(content))
    assert tool.main([*argv, '--workers=1']) == 1
    total = sum(PUBLISHED[corpus]['test'][domains[2]])
    shown = capsys.readouterr().out
    assert (
        f'test {domains[2]}: {total - 1} samples, published {total}' in shown
    )
    content['metainfo']['classes'].reverse()
    path.write_text(json.dumps(content))
    assert tool.main([*argv, '--workers=1']) == 1
    assert 'are not the published ones' in capsys.readouterr().out


def test_a_folder_in_place_of_a_file_is_one_fault(tmp_path):
    """And does not end the check."""
    corpus = good(tmp_path)
    for name in ('v.mp4', 'a.wav'):
        (corpus.root / 's0' / name).unlink()
        (corpus.root / 's0' / name).mkdir()
    report = check_data([corpus.write()], str(corpus.root))
    assert report.is_complete
    assert report.sample_ids() == ['s0']
    assert report.counts == {'undecodable': 2}


def test_frames_may_count_from_zero(tmp_path):
    (tmp_path / 'corpus').mkdir()
    corpus = Corpus(tmp_path / 'corpus')
    corpus.add_folder('s0', first=0, count=3)
    report = check_data([corpus.write()], str(corpus.root))
    [fault] = report.faults
    assert 'the first frame_0000000000.jpg' in fault.message


def test_published_totals():
    totals = {
        (corpus, split): [sum(c) for c in PUBLISHED[corpus][split].values()]
        for corpus in PUBLISHED
        for split in ('train', 'test')
    }
    assert totals == {
        ('epic', 'train'): [1543, 2495, 3897],
        ('epic', 'test'): [435, 750, 974],
        ('hac', 'train'): [1111, 730, 870],
        ('hac', 'test'): [276, 176, 218],
    }
