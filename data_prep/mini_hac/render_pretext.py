"""Render the pretext corpus on which mini-HAC's encoders are pretrained.

Writes ``videos/``, ``audio/``, ``pretext_train.json`` and
``pretext_test.json``. A run that was interrupted continues when the same
command is given again. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pretext import NUM_CLASSES, render_pretext
from render import write_media
from rich.progress import track

from mmgmp.utils import draft_files

#: Part of the seed: change it whenever the same seed gives other clips.
VERSION = 1
FPS = 12
SIZE = 64
SECONDS = (1.5, 2.0)


def write_clip(number: int, out_dir: Path, seed: int) -> dict[str, Any]:
    """Render one clip into its two files, unless both are there.

    Args:
        number: Number of the clip; its class is the remainder by 16.
        out_dir: Corpus folder.
        seed: Seed of the corpus.

    Returns:
        Its entry in the annotation file.
    """
    label = number % NUM_CLASSES
    entry = {
        'id': f'clip_{number:05d}',
        'domain': 'pretext',
        'label': label,
        'video': {'path': f'videos/clip_{number:05d}.mp4'},
        'audio': {'path': f'audio/clip_{number:05d}.wav'},
    }
    video = out_dir / 'videos' / f'{entry["id"]}.mp4'
    audio = out_dir / 'audio' / f'{entry["id"]}.wav'
    if video.exists() and audio.exists():
        return entry
    key = (seed, VERSION, number)
    seconds = np.random.default_rng(key).uniform(*SECONDS)
    frames, wave = render_pretext(label, round(seconds * FPS), FPS, SIZE, key)
    write_media(video, audio, frames, wave, FPS)
    return entry


def main(argv: Sequence[str] | None = None) -> None:
    """Render the corpus.

    Args:
        argv: Command line; ``None`` takes the process's own.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out_dir', type=Path, help='corpus folder')
    parser.add_argument('--train', type=int, default=1600, help='clips')
    parser.add_argument('--test', type=int, default=160, help='clips')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, default=os.cpu_count())
    args = parser.parse_args(argv)
    for folder in ('videos', 'audio'):
        (args.out_dir / folder).mkdir(parents=True, exist_ok=True)
    render = partial(write_clip, out_dir=args.out_dir, seed=args.seed)
    count = args.train + args.test
    with ProcessPoolExecutor(args.workers) as pool:
        clips = pool.map(render, range(count), chunksize=16)
        title = 'Rendering the pretext corpus (synthetic)'
        entries = list(track(clips, title, total=count))
    metainfo = {
        'corpus': 'mini-HAC pretext (synthetic)',
        'classes': [f'pretext_{label}' for label in range(NUM_CLASSES)],
        'domains': ['pretext'],
    }
    parts = {'train': entries[: args.train], 'test': entries[args.train :]}
    for name, part in parts.items():
        path = args.out_dir / f'pretext_{name}.json'
        text = json.dumps({'metainfo': metainfo, 'data_list': part})
        with draft_files(path) as [draft]:
            draft.write_text(text)


if __name__ == '__main__':
    main()
