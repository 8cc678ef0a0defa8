"""Render mini-HAC: a small synthetic corpus in HAC's folder layout.

Seven classes and three domains, as HAC has; nothing in it was recorded. See
README.md beside this file. A run that was interrupted continues where it
stopped when the same command is given again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from scenes import LOOKS, MOTIONS, render_frames
from sounds import SAMPLE_RATE, render_sound

from mmgmp.testing.media import write_audio, write_video
from mmgmp.utils import draft_files
from mmgmp.utils.text_files import read_json

# Part of the seed: change it whenever the same seed gives other pictures.
VERSION = 3
MANIFEST = 'mini_hac.json'
SPLITS = ('train', 'test')
NAMES = (
    'sleeping',
    'watching_tv',
    'eating',
    'drinking',
    'swimming',
    'running',
    'opening_door',
)


@dataclass(frozen=True)
class Settings:
    """What a corpus is made of; equal settings give equal clips.

    Args:
        train_per_class: Train clips per class and domain.
        test_per_class: Test clips per class and domain.
        size: Height and width in pixels, even.
        fps: Frames per second.
        min_seconds: Shortest clip.
        max_seconds: Longest clip.
        seed: Seed of everything random.
    """

    train_per_class: int = 32
    test_per_class: int = 16
    size: int = 64
    fps: int = 12
    min_seconds: float = 1.5
    max_seconds: float = 2.0
    seed: int = 0

    def check(self) -> str:
        """Say what is wrong with the settings, ``''`` if nothing is."""
        if min(self.train_per_class, self.test_per_class) < 1:
            return 'needs at least one train and one test clip per class'
        if self.size < 16 or self.size % 2:
            return f'--size must be even and >= 16, got {self.size}'
        if self.fps < 1 or self.seed < 0:
            return '--fps must be > 0 and --seed >= 0'
        if not 0.25 <= self.min_seconds <= self.max_seconds:
            return (
                'needs 0.25 <= --min-seconds <= --max-seconds, got '
                f'{self.min_seconds} and {self.max_seconds}'
            )
        return ''


@dataclass(frozen=True)
class Clip:
    """Which clip of the corpus.

    Args:
        domain: Domain name.
        split: ``'train'`` or ``'test'``.
        label: Class number.
        number: Number within domain, split and class.
    """

    domain: str
    split: str
    label: int
    number: int

    @property
    def name(self) -> str:
        """File name without ending; as in HAC, domains share names."""
        return f'{NAMES[self.label]}_{self.split}_{self.number:03d}'


def list_clips(settings: Settings) -> list[Clip]:
    """List every clip of a corpus.

    Args:
        settings: What it is made of.

    Returns:
        The clips, by domain, split and class.
    """
    counts = (settings.train_per_class, settings.test_per_class)
    return [
        Clip(domain, split, label, number)
        for domain in LOOKS
        for split, count in zip(SPLITS, counts, strict=True)
        for label in range(len(NAMES))
        for number in range(count)
    ]


def render_clip(
    clip: Clip, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """Make the picture and sound of one clip.

    They depend on the clip and the settings alone, not on the other clips,
    nor on how many processes share the work.

    Args:
        clip: Which clip.
        settings: What the corpus is made of.

    Returns:
        Frames, uint8 of shape ``(T, size, size, 3)``, and the waveform at
        16 kHz, of shape ``(L,)``.
    """
    key = (
        settings.seed,
        VERSION,
        list(LOOKS).index(clip.domain),
        SPLITS.index(clip.split),
        clip.label,
        clip.number,
    )
    rng = np.random.default_rng(key)
    seconds = rng.uniform(settings.min_seconds, settings.max_seconds)
    num_frames = round(seconds * settings.fps)
    frames = render_frames(
        clip.domain, clip.label, num_frames, settings.fps, settings.size, rng
    )
    seconds = num_frames / settings.fps
    return frames, render_sound(clip.domain, clip.label, seconds, rng)


def write_clip(clip: Clip, settings: Settings, out_dir: Path) -> bool:
    """Render one clip into its two files, unless both are there.

    Args:
        clip: Which clip.
        settings: What the corpus is made of.
        out_dir: Corpus folder.

    Returns:
        Whether anything had to be rendered.
    """
    video = out_dir / clip.domain / 'videos' / f'{clip.name}.mp4'
    audio = out_dir / clip.domain / 'audio' / f'{clip.name}.wav'
    if video.exists() and audio.exists():
        return False
    frames, waveform = render_clip(clip, settings)
    write_media(video, audio, frames, waveform, settings.fps)
    return True


def write_media(
    video: Path, audio: Path, frames: np.ndarray, sound: np.ndarray, fps: int
) -> None:
    """Write the two files of a clip; each is whole or not there.

    Args:
        video: mp4 file.
        audio: wav file.
        frames: uint8 of shape ``(T, size, size, 3)``.
        sound: Waveform at 16 kHz.
        fps: Frames per second.
    """
    # The ending of a draft names its format.
    drafts = {path: path.with_name(f'.{path.name}') for path in (video, audio)}
    write_video(drafts[video], frames, fps, gop_size=fps)
    write_audio(drafts[audio], sound, SAMPLE_RATE)
    for path, draft in drafts.items():
        os.replace(draft, path)


def write_splits(clips: Sequence[Clip], out_dir: Path) -> None:
    """Write the six CSVs as HAC has them: no header, CRLF.

    Args:
        clips: Every clip.
        out_dir: Corpus folder.
    """
    folder = out_dir / 'HAC_Splits'
    folder.mkdir(exist_ok=True)
    for domain in LOOKS:
        for split in SPLITS:
            rows = [
                f'{clip.name}.mp4,{clip.label}\r\n'
                for clip in clips
                if (clip.domain, clip.split) == (domain, split)
            ]
            path = folder / f'HAC_{split}_only_{domain}.csv'
            draft = path.with_name(f'.{path.name}')
            draft.write_bytes(''.join(rows).encode())
            os.replace(draft, path)


def claim_folder(out_dir: Path, settings: Settings, force: bool) -> str:
    """Make the folder ours: empty, of the same settings, or forced.

    Args:
        out_dir: Corpus folder; made if missing.
        settings: What the corpus will be made of.
        force: Whether to write over what is there.

    Returns:
        Why it cannot be used, or ``''``.
    """
    wanted = {
        'description': 'Synthetic corpus in the layout of HAC.',
        'version': VERSION,
        'motions': list(MOTIONS),
        **asdict(settings),
    }
    manifest = out_dir / MANIFEST
    clips = list_clips(settings)
    is_ours = manifest.exists() and _says(manifest, wanted)
    if out_dir.exists() and any(out_dir.iterdir()) and not (is_ours or force):
        return (
            f'{out_dir} is not empty and does not hold this corpus with these '
            'settings; name another folder, or --force to write over it'
        )
    for domain in LOOKS:
        for kind in ('videos', 'audio'):
            (out_dir / domain / kind).mkdir(parents=True, exist_ok=True)
    if force:
        for clip in clips:
            name = out_dir / clip.domain / 'videos' / f'{clip.name}.mp4'
            name.unlink(missing_ok=True)
    with draft_files(manifest) as [draft]:
        draft.write_text(json.dumps(wanted, indent=1) + '\n')
    return ''


def _says(manifest: Path, wanted: dict[str, Any]) -> bool:
    try:
        return read_json(manifest) == wanted
    except (OSError, ValueError):  # damaged: nobody knows what is there
        return False


def render_corpus(out_dir: Path, settings: Settings, workers: int = 2) -> int:
    """Render what is missing, then write the CSVs.

    Args:
        out_dir: Corpus folder, claimed before.
        settings: What the corpus is made of.
        workers: Processes; 1 renders in this one.

    Returns:
        Number of clips rendered.
    """
    clips = list_clips(settings)
    if workers == 1:
        rendered = [
            write_clip(clip, settings, out_dir)
            for clip in track(clips, 'Rendering mini-HAC (synthetic)')
        ]
    else:
        with ProcessPoolExecutor(workers) as pool:
            jobs = [
                pool.submit(write_clip, clip, settings, out_dir)
                for clip in clips
            ]
            bar = track(
                as_completed(jobs),
                'Rendering mini-HAC (synthetic)',
                total=len(jobs),
            )
            rendered = [job.result() for job in bar]
    write_splits(clips, out_dir)
    return sum(rendered)


def main(argv: Sequence[str] | None = None) -> int:
    """Render the corpus.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        Exit status: 0 done, 1 if the folder or a setting cannot be used.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out_dir', type=Path, help='corpus folder')
    for name, value in asdict(Settings()).items():
        parser.add_argument(
            f'--{name.replace("_", "-")}',
            type=type(value),
            default=value,
            help=f'default {value}',
        )
    parser.add_argument('--workers', type=int, default=2, help='processes')
    parser.add_argument(
        '--force', action='store_true', help='write over a folder in use'
    )
    args = vars(parser.parse_args(argv))
    out_dir, workers = args.pop('out_dir'), max(args.pop('workers'), 1)
    force = args.pop('force')
    settings = Settings(**args)
    problem = settings.check() or claim_folder(out_dir, settings, force)
    if problem:
        print(problem, file=sys.stderr)
        return 1
    count = render_corpus(out_dir, settings, workers)
    print(f'{count} of {len(list_clips(settings))} clips rendered: {out_dir}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
