from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch

from mmgmp.datasets import AudioVisualDataset
from mmgmp.models.encoders.pretrained import read_weights
from tests.datasets.conftest import pipeline

from .conftest import DATA_PREP, import_script

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
            assert stream.average_rate == 12
            assert (stream.width, stream.height) == (16, 16)
            assert info.duration == pytest.approx(stream.frames / 12, abs=1e-3)
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
    assert frames.shape == (24, 32, 32, 3)
    assert sound.shape == (32000,)
    assert np.abs(sound).max() <= 0.9
    grey = frames.mean(axis=3).reshape(24, 8, 4, 8, 4).mean(axis=(2, 4))
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


def test_every_silhouette_is_another_one(render):
    """Classes among themselves, and those of the pretext corpus."""
    silhouettes = sys.modules['silhouettes']
    axis = np.linspace(-1.6, 1.6, 97)
    outlines = [f for _, f in silhouettes.CLASSES] + [*silhouettes.PRETEXT]
    masks = [f(*np.meshgrid(axis, axis)) < 1 for f in outlines]
    assert len(silhouettes.CLASSES) == len(render.NAMES)
    for mask in masks:
        assert 0.08 < mask.mean() < 0.4
    for one, other in itertools.combinations(masks, 2):
        assert (one & other).sum() < 0.9 * (one | other).sum()


def test_no_pretext_silhouette_is_a_class_in_disguise(render):
    """Turned and scaled as one likes; a four-petal flower is a cross."""
    silhouettes = sys.modules['silhouettes']
    x, y = np.meshgrid(*2 * [np.linspace(-1.6, 1.6, 65)])

    def centred(silhouette, turn=0.0, scale=1.0):
        c, s = np.cos(turn) / scale, np.sin(turn) / scale
        mask = silhouette(c * x + s * y, c * y - s * x) < 1
        shift = [round(32 - where.mean()) for where in np.nonzero(mask)]
        return np.roll(mask, shift, (0, 1))

    def closest(silhouette):
        poses = itertools.product(
            np.arange(0, 2 * np.pi, np.pi / 12), (0.8, 0.9, 1, 1.1, 1.2)
        )
        placed = np.stack([centred(silhouette, *pose) for pose in poses])
        return max(
            ((placed & mask).sum((1, 2)) / (placed | mask).sum((1, 2))).max()
            for mask in classes
        )

    classes = [centred(outline) for _, outline in silhouettes.CLASSES]
    assert max(map(closest, silhouettes.PRETEXT)) < 0.82
    assert closest(silhouettes._polar(4, 0.4)) > 0.82


def test_domains_have_colours_of_their_own(render):
    """The mean over classes and clips; a clip alone may look like others."""
    settings = render.Settings(size=16, min_seconds=0.5, max_seconds=0.5)
    means = {
        domain: np.mean(
            [
                render.render_clip(
                    render.Clip(domain, 'train', label, number), settings
                )[0].mean(axis=(0, 1, 2))
                for label in range(7)
                for number in range(3)
            ],
            axis=0,
        )
        for domain in render.LOOKS
    }
    for one, other in itertools.combinations(means.values(), 2):
        assert np.linalg.norm(one - other) > 30


@pytest.mark.parametrize('label', [0, 5, 10, 15])
def test_pretext_clips_depend_on_their_seed_alone(render, label):
    pretext = import_script('mini_hac', 'pretext')
    clips = [
        pretext.render_pretext(label, 6, 12, 16, (seed, label))
        for seed in (0, 0, 1)
    ]
    for first, again, other in zip(*clips, strict=True):
        assert first.tobytes() == again.tobytes() != other.tobytes()


def test_the_pretext_corpus_is_whole_and_continues(render, tmp_path):
    script = import_script('mini_hac', 'render_pretext')
    command = [str(tmp_path), '--train=16', '--test=1', '--workers=1']
    script.main(command)
    before = contents(tmp_path)
    removed = tmp_path / 'videos' / 'clip_00016.mp4'
    removed.unlink()
    script.main(command)
    assert contents(tmp_path) == before
    labels = []
    for split in ('train', 'test'):
        content = json.loads(before[f'pretext_{split}.json'])
        assert 'ynthetic' in content['metainfo']['corpus']
        for entry in content['data_list']:
            labels.append(entry['label'])
            assert entry['video']['path'] in before
            assert entry['audio']['path'] in before
    assert labels == [*range(16), 0]
    assert len(before) == 2 * 17 + 2


def test_weights_are_exported_as_the_package_reads_them(render, tmp_path):
    script = import_script('mini_hac', 'export_weights')
    weight = torch.randn(3)
    prefix = 'encoders.audio.backbone.'
    state = {
        f'{prefix}conv.weight': weight,
        f'{prefix}bn.num_batches_tracked': torch.tensor(3),
        'encoders.video.backbone.conv.weight': weight,
        'cls_head.weight': weight,
    }
    torch.save({'state_dict': state}, tmp_path / 'epoch_5.pth')
    out = tmp_path / 'out.pth'
    script.main([str(tmp_path / 'epoch_5.pth'), 'audio', str(out)])
    found = read_weights(str(out))
    assert set(found) == {'conv.weight', 'bn.num_batches_tracked'}
    assert torch.equal(found['conv.weight'], weight.half())


@pytest.mark.parametrize('modality', ['video', 'audio'])
def test_the_page_names_the_weights_that_are_shipped(modality):
    page = (DATA_PREP / 'mini_hac' / 'README.md').read_text('utf-8')
    file = files('mmgmp').joinpath('weights', f'mini-hac_{modality}.pth')
    content = file.read_bytes()
    (line,) = [x for x in page.splitlines() if f'| {modality} |' in x]
    assert hashlib.sha256(content).hexdigest() in line
    assert f'{len(content) / 1e6:.1f} MB' in line


def test_sheets_show_every_class_in_every_domain(render):
    sheets = import_script('mini_hac', 'draw_sheets')
    settings = render.Settings(size=16, max_seconds=1.5)
    for draw in (sheets.draw_pictures, sheets.draw_sounds):
        figure = draw(settings)
        assert len(figure.axes) == 7 * 3
        texts = ' '.join(
            text.get_text()
            for axes in figure.axes
            for text in (*axes.texts, axes.title)
        )
        for name in (*render.NAMES, *render.LOOKS):
            assert name.replace('_', ' ') in texts
        assert 'synthetic' in figure.get_suptitle()
    for sheet in (DATA_PREP.parent / 'docs' / 'images').glob('mini-hac_*'):
        assert sheet.stat().st_size < 300e3
