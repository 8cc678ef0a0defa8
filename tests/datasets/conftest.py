from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmgmp.testing.media import write_audio, write_video

CLASSES = ['walk', 'run', 'sit']


def moving_frames(count: int, seed: int = 0) -> np.ndarray:
    """Blocks that shift by one pixel a frame, so every frame differs."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 255, (4, 8, 3), dtype=np.uint8)
    image = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
    grain = rng.integers(0, 20, image.shape, dtype=np.uint8)
    return np.stack([np.roll(image, t, 1) // 2 + grain for t in range(count)])


@pytest.fixture(scope='session')
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of 2 s per class in each of three domains, on disk."""
    root = tmp_path_factory.mktemp('corpus')
    samples = []
    for number, domain in enumerate(('human', 'animal', 'cartoon')):
        folder = root / domain
        folder.mkdir()
        for index in range(6):
            seed = 10 * number + index
            name = f'clip {index}'
            write_video(folder / f'{name}.mp4', moving_frames(48, seed))
            wave = np.random.default_rng(seed).uniform(-0.5, 0.5, 32000)
            write_audio(folder / f'{name}.wav', wave)
            samples.append(
                {
                    'id': f'{domain}/{name}',
                    'domain': domain,
                    'label': index % 3,
                    'video': {'path': f'{domain}/{name}.mp4'},
                    'audio': {'path': f'{domain}/{name}.wav'},
                }
            )
    write_annotation(root / 'train.json', samples)
    return root


def write_annotation(
    path: Path, samples: list[dict[str, Any]], **metainfo: Any
) -> None:
    content = {
        'corpus': 'toy',
        'classes': CLASSES,
        'domains': ['human', 'animal', 'cartoon'],
        **metainfo,
    }
    path.write_text(json.dumps({'metainfo': content, 'data_list': samples}))


@pytest.fixture
def edited(
    corpus: Path, tmp_path: Path
) -> Callable[[Callable[[list[dict[str, Any]]], Any]], str]:
    """Write a changed copy of the annotation, give its path."""

    def edit(change: Callable[[list[dict[str, Any]]], Any]) -> str:
        samples = json.loads((corpus / 'train.json').read_text())['data_list']
        change(samples)
        write_annotation(tmp_path / 'edited.json', samples)
        return str(tmp_path / 'edited.json')

    return edit


def pipeline(audio_crop: str = 'clip') -> list[dict[str, Any]]:
    video = [
        dict(type='PyAVSeekInit'),
        dict(type='SampleFrames', clip_len=8, frame_interval=2),
        dict(type='PyAVSeekDecode'),
        dict(type='Resize', scale=(16, 16), keep_ratio=False),
        dict(type='Flip', flip_ratio=0.5),
        dict(type='FormatShape', input_format='NCTHW'),
    ]
    audio = [
        dict(type='LoadAudioSegment', crop=audio_crop),
        dict(type='LogSpectrogram', num_samples=16000),
        dict(type='SpectrogramNoise'),
        dict(type='FrequencyMask'),
    ]
    return [
        dict(type='MultiModalPipeline', video=video, audio=audio),
        dict(type='PackMultiModalInputs'),
    ]
