from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from mmgmp.datasets import AudioVisualDataset
from tests.datasets.conftest import pipeline

from .conftest import DATA_PREP

TINY = [
    '--train-per-class=1',
    '--test-per-class=1',
    '--size=16',
    '--min-seconds=0.5',
    '--max-seconds=1',
]


def run(render, out_dir: Path, *options: str) -> int:
    return render.main([str(out_dir), *TINY, '--workers', '1', *options])


@pytest.fixture(scope='module')
def corpus(render, tmp_path_factory) -> Path:
    out_dir = tmp_path_factory.mktemp('data') / 'mini_hac'
    assert run(render, out_dir) == 0
    return out_dir


def contents(out_dir: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out_dir)): path.read_bytes()
        for path in out_dir.rglob('*')
        if path.is_file()
    }


def test_layout_is_that_of_hac(corpus):
    files = contents(corpus)
    for domain in ('human', 'animal', 'cartoon'):
        for split in ('train', 'test'):
            text = files[f'HAC_Splits/HAC_{split}_only_{domain}.csv']
            rows = text.decode().split('\r\n')[:-1]
            assert [row.split(',')[1] for row in rows] == list('0123456')
            for row in rows:
                name = row.split(',')[0].removesuffix('.mp4')
                assert f'{domain}/videos/{name}.mp4' in files
                assert f'{domain}/audio/{name}.wav' in files
    assert len(files) == 2 * 42 + 6 + 1
    assert 'ynthetic' in json.loads(files['mini_hac.json'])['description']


def test_files_are_what_they_say(corpus):
    for audio in corpus.glob('*/audio/*.wav'):
        info = soundfile.info(str(audio))
        assert (info.samplerate, info.channels) == (16000, 1)
        assert info.subtype == 'PCM_16'
        video = audio.parents[1] / 'videos' / f'{audio.stem}.mp4'
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            assert stream.average_rate == 24
            assert (stream.width, stream.height) == (16, 16)
            assert info.duration == pytest.approx(stream.frames / 24, abs=1e-3)
            assert 0.5 <= info.duration <= 1.0


def test_worker_count_does_not_matter(render, corpus, tmp_path):
    other = tmp_path / 'two'
    assert render.main([str(other), *TINY, '--workers', '2']) == 0
    assert contents(other) == contents(corpus)


def test_clips_do_not_depend_on_the_size_of_the_corpus(render):
    clip = render.Clip('animal', 'test', 5, 0)
    few = render.render_clip(clip, render.Settings(1, 1, size=16))
    many = render.render_clip(clip, render.Settings(50, 9, size=16))
    assert np.array_equal(few[0], many[0])
    assert np.array_equal(few[1], many[1])


def test_every_clip_and_seed_differs(render):
    settings = render.Settings(2, 1, size=16, max_seconds=2.0)
    clips = render.list_clips(settings)
    assert len(set(clips)) == 63
    sounds = {render.render_clip(c, settings)[1].tobytes() for c in clips}
    assert len(sounds) == 63
    other = render.Settings(2, 1, size=16, max_seconds=2.0, seed=1)
    assert render.render_clip(clips[0], other)[1].tobytes() not in sounds


def test_interrupted_run_continues(render, corpus, tmp_path, capsys):
    out_dir = tmp_path / 'again'
    assert run(render, out_dir) == 0
    for name in ('human/videos', 'animal/audio'):
        next((out_dir / name).iterdir()).unlink()
    capsys.readouterr()
    assert run(render, out_dir) == 0
    assert '2 of 42 clips rendered' in capsys.readouterr().out
    assert contents(out_dir) == contents(corpus)


def test_foreign_folder_is_refused_unless_forced(
    render, corpus, tmp_path, capsys
):
    out_dir = tmp_path / 'mine'
    out_dir.mkdir()
    (out_dir / 'thesis.txt').write_text('precious')
    assert run(render, out_dir) == 1
    assert '--force' in capsys.readouterr().err
    assert [p.name for p in out_dir.iterdir()] == ['thesis.txt']
    assert run(render, out_dir, '--force') == 0
    files = contents(out_dir)
    assert files.pop('thesis.txt') == b'precious'
    assert files == contents(corpus)


def test_other_settings_are_refused_unless_forced(render, corpus, tmp_path):
    out_dir = tmp_path / 'mini'
    assert run(render, out_dir, '--seed', '1') == 0
    assert contents(out_dir) != contents(corpus)
    assert run(render, out_dir) == 1
    assert run(render, out_dir, '--force') == 0
    assert contents(out_dir) == contents(corpus)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--size', '17'], '--size must be even'),
        (['--train-per-class', '0'], 'at least one'),
        (['--min-seconds', '3', '--max-seconds', '2'], '--min-seconds <='),
        (['--seed', '-1'], '--seed >= 0'),
    ],
)
def test_bad_settings_are_refused(render, tmp_path, capsys, options, message):
    assert run(render, tmp_path / 'new', *options) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize('domain', ['human', 'animal', 'cartoon'])
@pytest.mark.parametrize('label', range(7))
def test_motion_is_visible(render, domain, label):
    settings = render.Settings(size=32, min_seconds=2.0, max_seconds=2.0)
    clip = render.Clip(domain, 'train', label, 3)
    frames, sound = render.render_clip(clip, settings)
    assert frames.shape == (48, 32, 32, 3)
    assert sound.shape == (32000,)
    assert np.abs(sound).max() <= 0.9
    grey = frames.mean(axis=3).reshape(48, 8, 4, 8, 4).mean(axis=(2, 4))
    # Noise alone stays below 2 grey levels after this averaging.
    assert grey.std(axis=0).max() > 4


def test_whole_way_from_rendering_to_samples(convert, corpus):
    splits = str(corpus / 'HAC_Splits')
    assert convert.main([splits, str(corpus)]) == 0
    try:
        dataset = AudioVisualDataset(
            'hac_train.json',
            domains=['cartoon', 'human'],
            pipeline=pipeline(),
            data_root=str(corpus),
        )
        assert len(dataset) == 14
        for item in dataset:
            assert item['inputs']['video'].shape == (1, 3, 8, 16, 16)
            assert item['inputs']['audio'].shape == (1, 257, 98)
    finally:
        for split in ('train', 'test'):
            (corpus / f'hac_{split}.json').unlink()


@pytest.mark.parametrize(
    'script', ['mini_hac/render.py', 'hac/convert_annotations.py']
)
def test_scripts_run_from_anywhere(tmp_path, script):
    result = subprocess.run(
        [sys.executable, str(DATA_PREP / script), '--help'],
        cwd=tmp_path,
        env={'PYTHONPATH': str(DATA_PREP.parent), 'PATH': ''},
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'usage:' in result.stdout


def test_most_clips_show_the_prop_of_their_class(render):
    scenes = sys.modules['scenes']
    axis = np.linspace(-1, 1, 32)
    pictures = [
        [
            scenes._add_prop(
                boxes,
                np.full(3, 100.0),
                np.full((32, 32, 3), 100.0, np.float32),
                axis,
                np.random.default_rng(seed),
            )
            for seed in range(200)
        ]
        for boxes in scenes._PROPS
    ]
    shown = np.array([[(p != 100).any() for p in row] for row in pictures])
    assert 0.7 < shown.mean() < 0.9
    # With the same random numbers only the class makes a difference.
    first = [row[int(shown[0].argmax())].tobytes() for row in pictures]
    assert len(set(first)) == len(render.NAMES)
