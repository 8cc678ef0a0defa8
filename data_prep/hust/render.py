"""Render a small SYNTHETIC corpus in the layout of the HUST motor data set.

Nothing in it was recorded, and it is no model of the machine: a fault is a
train of knocks that a resonance answers to, the speed is how often they come
and how much noise there is. For tests, and for trying the package.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from recordings import CLASSES, HEADER, MANIFEST, SPEEDS, file_name
from recordings import SAMPLING_RATE as RATE
from rich.progress import track
from scipy.signal import fftconvolve

from mmgmp.utils import draft_files
from mmgmp.utils.text_files import read_json

# Part of the seed: change it whenever the same seed gives other signals.
VERSION = 1


@dataclass(frozen=True)
class Fault:
    """What a class sounds like.

    Args:
        order: Knocks per revolution.
        resonance: Hz that the housing answers with.
        harmonics: Strength of the first harmonics of the slot frequency.
        strength: Of the knocks.
    """

    order: float
    resonance: float
    harmonics: tuple[float, ...]
    strength: float


FAULTS = {
    'H': Fault(12, 1800, (1.0, 0.3, 0.1), 0.3),
    'BF': Fault(14.3, 5200, (1.0, 0.3, 0.1), 1.2),
    'BOW': Fault(16, 900, (1.0, 0.9, 0.1), 1.0),
    'BROKEN': Fault(12, 3300, (0.7, 0.3, 0.9), 0.8),
    'MISAL': Fault(24, 1300, (0.4, 1.0, 0.4), 1.0),
    'UNBAL': Fault(20, 2400, (0.6, 0.6, 0.6), 0.8),
}
#: Standard deviation of the noise by domain, for vibration and sound.
NOISE = {
    '5Hz': (0.15, 0.45),
    '10Hz': (0.2, 0.5),
    '20Hz': (0.3, 0.6),
    '30Hz': (0.4, 0.7),
}
_SLOTS = 36  # of the stator, by which the harmonics are counted
#: Strength of each axis, and of the microphone with its own path.
_AXES = (1.0, 0.7, 0.4)
_SOUND_PATH = 0.8


@dataclass(frozen=True)
class Settings:
    """What a corpus is made of; equal settings give equal files.

    Args:
        seconds: Length of each recording.
        seed: Seed of everything random.
    """

    seconds: float = 2.0
    seed: int = 0

    def check(self) -> str:
        """Say what is wrong with the settings, ``''`` if nothing is."""
        if not 0.1 <= self.seconds <= 60 or self.seed < 0:
            return '--seconds must be from 0.1 to 60 and --seed >= 0'
        return ''


def render_recording(code: str, domain: str, settings: Settings) -> np.ndarray:
    """Make one recording.

    Args:
        code: Of the class.
        domain: Of the speed.
        settings: What the corpus is made of.

    Returns:
        Three axes and sound, of shape ``(L, 4)``.
    """
    key = (list(CLASSES).index(code), list(SPEEDS).index(domain))
    rng = np.random.default_rng((settings.seed, VERSION, *key))
    count = round(settings.seconds * RATE)
    time = np.arange(count) / RATE
    # A motor under load slips a little, another time by another amount.
    speed = SPEEDS[domain] * rng.uniform(0.97, 1.0)
    fault, (noise, hiss) = FAULTS[code], NOISE[domain]
    hum = _hum(fault, speed, time, rng)
    columns = [
        gain
        * (hum + _ring(fault, speed, count, rng) + rng.normal(0, noise, count))
        for gain in _AXES
    ]
    ring = _ring(fault, speed, count, rng, _SOUND_PATH)
    columns.append(0.5 * hum + ring + rng.normal(0, hiss, count))
    return np.stack(columns, 1)


def _hum(
    fault: Fault, speed: float, time: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Harmonics of the slot frequency, which moves with the speed."""
    waves = [
        gain
        * np.sin(2 * np.pi * n * _SLOTS * speed * time + rng.uniform(0, 6))
        for n, gain in enumerate(fault.harmonics, start=1)
    ]
    return 0.4 * np.sum(waves, axis=0)


def _ring(
    fault: Fault,
    speed: float,
    count: int,
    rng: np.random.Generator,
    path: float = 1.0,
) -> np.ndarray:
    """Knocks, and how the housing rings after each of them."""
    every = RATE / (fault.order * speed)
    places = np.arange(rng.uniform(0, every), count, every)
    places = places + rng.normal(0, 0.02 * every, len(places))
    places = np.clip(places.astype(int), 0, count - 1)
    knocks = np.zeros(count)
    knocks[places] = fault.strength * rng.uniform(0.7, 1.3, len(places))
    time = np.arange(0, 0.012, 1 / RATE)
    answer = np.exp(-time / 0.003) * np.sin(
        2 * np.pi * path * fault.resonance * time
    )
    return 2 * fftconvolve(knocks, answer)[:count]


def write_recording(path: Path, columns: np.ndarray) -> None:
    """Write a text file of the form of the official ones.

    Args:
        path: The file.
        columns: Shape ``(L, 4)``.
    """
    time = np.arange(len(columns))[:, None] / RATE
    header = (
        f'Title:\t{path.stem} SYNTHETIC, not recorded\n'
        f'Frequency Limit:\t{RATE / 2.56:g}\nChannels:\t4\n'
        f'Legend\tX\tY\tZ\tSound\n{HEADER}'
    )
    with draft_files(path) as [draft]:
        np.savetxt(
            draft,
            np.hstack([time, columns]),
            fmt='%.8f' + '\t%.6f' * columns.shape[1],
            header=header,
            comments='',
        )


def claim_folder(out_dir: Path, settings: Settings, force: bool) -> str:
    """Make the folder ours: empty, of the same settings, or forced.

    Args:
        out_dir: Folder of the text files; made if missing.
        settings: What the corpus will be made of.
        force: Whether to write over what is there.

    Returns:
        Why it cannot be used, or ``''``.
    """
    wanted = {
        'description': 'Synthetic corpus in the layout of HUST motor.',
        'version': VERSION,
        **asdict(settings),
    }
    manifest = out_dir / MANIFEST
    is_used = out_dir.exists() and any(out_dir.iterdir())
    if is_used and not force and not _says(manifest, wanted):
        return (
            f'{out_dir} is not empty and does not hold this corpus with these '
            'settings; name another folder, or --force to write over it'
        )
    with draft_files(manifest) as [draft]:
        draft.write_text(json.dumps(wanted, indent=1) + '\n')
    return ''


def _says(manifest: Path, wanted: dict) -> bool:
    try:
        return read_json(manifest) == wanted
    except (OSError, ValueError):  # damaged: nobody knows what is there
        return False


def main(argv: Sequence[str] | None = None) -> int:
    """Render the corpus.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        Exit status: 0 done, 1 if the folder or a setting cannot be used.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out_dir', type=Path, help='folder of the text files')
    for name, value in asdict(Settings()).items():
        parser.add_argument(
            f'--{name}',
            type=type(value),
            default=value,
            help=f'default {value}',
        )
    parser.add_argument(
        '--force', action='store_true', help='write over a folder in use'
    )
    args = parser.parse_args(argv)
    settings = Settings(args.seconds, args.seed)
    problem = settings.check() or claim_folder(
        args.out_dir, settings, args.force
    )
    if problem:
        print(problem, file=sys.stderr)
        return 1
    wanted = [(code, domain) for domain in SPEEDS for code in CLASSES]
    for code, domain in track(wanted, 'Rendering HUST motor (synthetic)'):
        columns = render_recording(code, domain, settings)
        write_recording(args.out_dir / file_name(code, domain), columns)
    print(f'{len(wanted)} SYNTHETIC recordings: {args.out_dir}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
