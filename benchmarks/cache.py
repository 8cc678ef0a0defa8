"""An epoch from mp4 and wav against one from a feature cache.

    python benchmarks/cache.py --clips 8 --batch 4 --rounds 3 --workers 0

At the paper's size (SlowFast-R101 on 32 x 224 x 224, ResNet-18 on 257 x 1004,
layer4 and heads trained), on clips that it renders itself: 10 seconds of
340 x 256 H.264 and 16 kHz sound, as HAC's are. Weights are random: no time
depends on them. Prints a Markdown table and the raw numbers as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmgmp.apis.feature_cache import fill_cache
from mmgmp.registry import MODELS
from mmgmp.testing.media import write_audio, write_video
from mmgmp.utils.protocol import resolve_protocol

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
METHODS = {'ERM': 'base/erm_hac.py', 'GMP': 'gmp/gmp_hac.py'}
DOMAINS = ('human', 'animal', 'cartoon')


def render(folder: Path, clips: int) -> None:
    """Write a corpus in the form of HAC, clips of the source domains."""
    random = np.random.default_rng(0)
    data = []
    for number in range(clips):
        base = random.integers(0, 255, (9, 12, 3), dtype=np.uint8)
        still = np.kron(base, np.ones((30, 30, 1), np.uint8))
        frames = np.stack(
            [np.roll(still, 3 * t, 1)[:256, :340] for t in range(250)]
        )
        name = f'{number:03d}'
        write_video(folder / f'{name}.mp4', frames, fps=25)
        write_audio(folder / f'{name}.wav', random.uniform(-0.5, 0.5, 160000))
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
    method: str, folder: Path, args: argparse.Namespace, **protocol: Any
) -> Config:
    """A shipped config on the rendered clips."""
    config = Config.fromfile(CONFIGS / METHODS[method])
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
            f'{part}_dataloader.batch_size': args.batch,
            f'{part}_dataloader.num_workers': args.workers,
            f'{part}_dataloader.persistent_workers': args.workers > 0,
            f'{part}_dataloader.dataset.data_root': str(folder),
        }
    options |= {f'protocol.{key}': value for key, value in protocol.items()}
    config.merge_from_dict(options)
    return config


class Epochs:
    """Epochs of a config, timed by what they spend their time on."""

    def __init__(self, config: Config) -> None:
        config = resolve_protocol(config)
        torch.manual_seed(0)
        self.model = MODELS.build(config.model).train()
        self.loader = Runner.build_dataloader(config.train_dataloader, seed=0)
        self.wrapper = build_optim_wrapper(self.model, config.optim_wrapper)
        self.encoding = 0.0
        for encoder in self.model.encoders.values():
            encoder.forward_frozen = self._timed(encoder.forward_frozen)

    def _timed(self, function: Any) -> Any:
        def timed(inputs: Any) -> Any:
            start = time.perf_counter()
            found = function(inputs)
            self.encoding += time.perf_counter() - start
            return found

        return timed

    def run(self) -> dict[str, float]:
        """Train one epoch and return seconds by stage."""
        self.encoding, stepping = 0.0, 0.0
        start = time.perf_counter()
        for data in self.loader:
            before = time.perf_counter()
            self.model.train_step(data, self.wrapper)
            stepping += time.perf_counter() - before
        total = time.perf_counter() - start
        return {
            'epoch': total,
            'data': total - stepping,
            'frozen': self.encoding,
            'trained': stepping - self.encoding,
        }


def measure(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Fill a cache, then time epochs of all variants by turns."""
    render(folder, args.clips)
    config = resolve_protocol(read('ERM', folder, args))
    torch.save(MODELS.build(config.model).state_dict(), folder / 'frozen.pth')
    start = time.perf_counter()
    report = fill_cache(
        read('ERM', folder, args), folder / 'cache', dtype=args.dtype
    )
    filling = time.perf_counter() - start
    variants = {
        f'{method}, {name}': Epochs(read(method, folder, args, **options))
        for method in METHODS
        for name, options in (
            ('files', {}),
            ('cache', {'cache': str(folder / 'cache')}),
        )
    }
    times: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    for number in range(args.rounds + 1):
        for name, epochs in variants.items():
            taken = epochs.run()
            if number:  # the first round warms up
                times[name].append(taken)
    medians = {
        name: {
            key: statistics.median(t[key] for t in taken) for key in taken[0]
        }
        for name, taken in times.items()
    }
    return {
        'options': vars(args),
        'torch': torch.__version__,
        'threads': torch.get_num_threads(),
        'bytes_per_view': report.bytes_per_view['train'],
        'seconds_per_filled_view': filling / (2 * args.clips),
        'medians': medians,
    }


def print_table(found: dict[str, Any], clips: int) -> None:
    """Print what was measured."""
    print('| | epoch [s] | clips/s | data [s] | frozen [s] | rest [s] | x |')
    print('| --- | --- | --- | --- | --- | --- | --- |')
    medians = found['medians']
    for name, taken in medians.items():
        method = name.partition(',')[0]
        gain = medians[f'{method}, files']['epoch'] / taken['epoch']
        cells = [f'{taken[key]:.2f}' for key in ('data', 'frozen', 'trained')]
        print(
            f'| {name} | {taken["epoch"]:.2f} | {clips / taken["epoch"]:.2f} '
            f'| {" | ".join(cells)} | {gain:.2f} |'
        )
    sizes = found['bytes_per_view'].items()
    print(', '.join(f'{m} {b / 1e6:.2f} MB' for m, b in sizes), 'per view')
    print(f'{found["seconds_per_filled_view"]:.2f} s to fill a view')


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('--clips', type=int, default=8)
    add('--batch', type=int, default=4)
    add('--rounds', type=int, default=3)
    add('--workers', type=int, default=0)
    add('--dtype', default='float32')
    args = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory() as folder,
        DefaultScope.overwrite_default_scope('mmaction'),
    ):
        found = measure(Path(folder), args)
    print_table(found, args.clips // args.batch * args.batch)
    print(json.dumps(found))
    return 0


if __name__ == '__main__':
    sys.exit(main())
