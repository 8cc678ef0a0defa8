"""Epochs from files or a feature cache, timed by what they do."""

from __future__ import annotations

import functools
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner

from mmgmp.datasets import AudioVisualDataset
from mmgmp.registry import MODELS, TRANSFORMS
from mmgmp.testing.media import write_audio, write_video
from mmgmp.utils.protocol import resolve_protocol

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
METHODS = {'ERM': 'base/erm', 'GMP': 'gmp/gmp'}
DOMAINS = ('human', 'animal', 'cartoon')
#: Transforms that read files; all others change what was read.
_READERS = (
    'PyAVSeekInit',
    'PyAVSeekDecode',
    'LoadAudioSegment',
    'CachedViews',
)


def moving_picture(height: int, width: int, count: int) -> np.ndarray:
    """Return coloured tiles that move by three pixels per frame.

    Args:
        height: In pixels.
        width: In pixels.
        count: Number of frames.
    """
    random = np.random.default_rng(0)
    shape = (height // 30 + 1, width // 30 + 1, 3)
    tiles = random.integers(0, 255, shape, dtype=np.uint8)
    still = np.kron(tiles, np.ones((30, 30, 1), np.uint8))
    return np.stack(
        [np.roll(still, 3 * t, 1)[:height, :width] for t in range(count)]
    )


def render(
    folder: Path,
    clips: int,
    size: tuple[int, int] = (256, 340),
    fps: int = 25,
    seconds: int = 10,
) -> None:
    """Write a corpus in the form of HAC, clips of two source domains.

    Args:
        folder: Where to.
        clips: Number of clips.
        size: Height and width in pixels.
        fps: Frames per second.
        seconds: Length of each.
    """
    random = np.random.default_rng(0)
    frames = moving_picture(*size, fps * seconds)
    data = []
    for number in range(clips):
        name = f'{number:03d}'
        own = frames + random.integers(0, 255, 3, dtype=np.uint8)
        write_video(folder / f'{name}.mp4', own, fps=fps)
        sound = random.uniform(-0.5, 0.5, 16000 * seconds)
        write_audio(folder / f'{name}.wav', sound)
        data.append(
            {
                'id': name,
                'domain': DOMAINS[1 + number % 2],
                'label': number % 7,
                'video': {'path': f'{name}.mp4'},
                'audio': {'path': f'{name}.wav'},
            }
        )
    classes = [f'class {number}' for number in range(7)]
    metainfo = {'corpus': 'HAC', 'classes': classes, 'domains': DOMAINS[1:]}
    for split in ('train', 'test'):
        text = json.dumps({'metainfo': metainfo, 'data_list': data})
        (folder / f'hac_{split}.json').write_text(text)


def read(
    method: str,
    folder: Path,
    batch: int,
    workers: int = 0,
    corpus: str = 'hac',
    **protocol: Any,
) -> Config:
    """Return a shipped config on the rendered clips.

    Args:
        method: Key of :data:`METHODS`.
        folder: Where they were rendered.
        batch: Clips per batch.
        workers: Of the data loaders.
        corpus: ``'hac'`` for the paper's networks, or ``'mini-hac'``.
        **protocol: Options of the protocol.
    """
    config = Config.fromfile(CONFIGS / f'{METHODS[method]}_{corpus}.py')
    options: dict[str, Any] = {
        'load_from': str(folder / 'frozen.pth'),
        'protocol.domains': list(DOMAINS[1:]),
        'protocol.target': DOMAINS[1],
        'protocol.sources': list(DOMAINS[1:]),
        'protocol.allow_seen_target': True,
    }
    for encoder in config.model.encoders.values():
        encoder.pretrained = None
    for part in ('train', 'val', 'test'):
        options |= {
            f'{part}_dataloader.batch_size': batch,
            f'{part}_dataloader.num_workers': workers,
            f'{part}_dataloader.persistent_workers': workers > 0,
            f'{part}_dataloader.dataset.data_root': str(folder),
        }
    options |= {f'protocol.{key}': value for key, value in protocol.items()}
    config.merge_from_dict(options)
    return config


def write_weights(config: Config, folder: Path) -> None:
    """Write the random weights that all trainings start from.

    Args:
        config: Of :func:`read`.
        folder: Where the clips are.
    """
    model = MODELS.build(resolve_protocol(config).model)
    torch.save(model.state_dict(), folder / 'frozen.pth')


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)

    def timed(self, stage: str, function: Callable) -> Callable:
        """Return a function that adds what it takes to a stage.

        Args:
            stage: Name.
            function: To be timed.
        """

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = _now()
            try:
                return function(*args, **kwargs)
            finally:
                self._seconds[stage] += _now() - start

        return timed

    def take(self) -> dict[str, float]:
        """Return what was added, and begin again."""
        taken, self._seconds = self._seconds, defaultdict(float)
        return taken


def _now() -> float:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


#: Of the process that reads; each worker of a loader has its copy.
_READING = Clock()


@functools.cache
def _time_reading() -> None:
    for name in _READERS:
        kind = TRANSFORMS.get(name)
        kind.transform = _READING.timed('decode', kind.transform)
    AudioVisualDataset.prepare_data = _READING.timed(
        'sample', AudioVisualDataset.prepare_data
    )


def timed_loader(config: Config) -> Any:
    """Return the loader of a training; batches come with their seconds.

    Args:
        config: Of :func:`read`.
    """
    _time_reading()
    config = resolve_protocol(config)
    loader = Runner.build_dataloader(config.train_dataloader, seed=0)
    collate = _READING.timed('collate', loader.collate_fn)
    # Called where the samples were read; workers are forked.
    loader.collate_fn = lambda rows: (collate(rows), dict(_READING.take()))
    return loader


class Training:
    """A model and its optimizer, timed by stage.

    Args:
        config: Of :func:`read`.
        device: ``'cpu'`` or ``'cuda'``.
    """

    def __init__(self, config: Config, device: str = 'cpu') -> None:
        config = resolve_protocol(config)
        torch.manual_seed(0)
        self.model = MODELS.build(config.model).to(device).train()
        self.wrapper = build_optim_wrapper(self.model, config.optim_wrapper)
        self.clock = Clock()
        timed = self.clock.timed
        for encoder in self.model.encoders.values():
            encoder.forward_frozen = timed('frozen', encoder.forward_frozen)
        prepare = self.model.data_preprocessor
        prepare.forward = timed('transfer', prepare.forward)
        self.wrapper.update_params = timed(
            'update', self.wrapper.update_params
        )
        optimizer = self.wrapper.optimizer
        optimizer.step = timed('optimizer', optimizer.step)
        self._step = timed('step', self.model.train_step)
        self._backward = timed('backward', torch.autograd.backward)

    def epoch(self, loader: Any) -> dict[str, float]:
        """Train one epoch.

        Args:
            loader: Of :func:`timed_loader`.

        Returns:
            Seconds. ``decode``, ``augment`` and ``collate`` are those of the
            processes that read, ``waiting`` is what the training waited
            for them; that and the rest from ``transfer`` on make an epoch.
        """
        self.clock.take()
        reading: dict[str, float] = defaultdict(float)
        start = _now()
        for data, seconds in loader:
            for stage, value in seconds.items():
                reading[stage] += value
            with mock.patch.object(torch.autograd, 'backward', self._backward):
                self._step(data, self.wrapper)
        total, own = _now() - start, self.clock.take()
        inner = own['transfer'] + own['frozen'] + own['update']
        return {
            'epoch': total,
            'decode': reading['decode'],
            'augment': reading['sample'] - reading['decode'],
            'collate': reading['collate'],
            'waiting': total - own['step'],
            'transfer': own['transfer'],
            'frozen': own['frozen'],
            'forward': own['step'] - inner,
            'backward': own['backward'],
            'rule': own['update'] - own['backward'] - own['optimizer'],
            'optimizer': own['optimizer'],
        }


def by_turns(
    variants: Mapping[str, Callable[[], dict[str, float]]], rounds: int
) -> dict[str, dict[str, float]]:
    """Run all by turns, and return the medians of what each took.

    Args:
        variants: Return seconds by stage, by name.
        rounds: After one that is not counted.
    """
    times: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, run in variants.items():
            taken = run()
            if number:
                times[name].append(taken)
    return {
        name: {
            key: statistics.median(t[key] for t in taken) for key in taken[0]
        }
        for name, taken in times.items()
    }
