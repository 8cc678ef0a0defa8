"""Turn the text files of the HUST motor data set into windows of arrays.

See README.md beside this file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from recordings import (
    CLASSES,
    HEADER,
    MANIFEST,
    SAMPLING_RATE,
    SOUND,
    SPEEDS,
    VIBRATION,
    Layout,
    file_name,
    find_files,
    read_recording,
)
from rich.progress import track

from mmgmp.utils import draft_files
from mmgmp.utils.annotation_output import write_annotations

SPLITS = ('train', 'test')
FOLDER = 'signals'
Signals = dict[str, np.ndarray]


@dataclass(frozen=True)
class Windows:
    """How a recording is cut.

    Args:
        length: Samples of a window.
        step: Samples from the start of one window to that of the next.
        train_fraction: Share of a recording, from its start, whose windows
            are trained on; those of the rest are held out.
    """

    length: int = 1024
    step: int = 1024
    train_fraction: float = 0.7

    def check(self) -> str:
        """Say what is wrong, ``''`` if nothing is."""
        if min(self.length, self.step) < 1:
            return '--window and --step must be >= 1'
        if not 0 < self.train_fraction < 1:
            return (
                '--train-fraction must be between 0 and 1, got '
                f'{self.train_fraction}'
            )
        return ''

    def starts(self, total: int) -> dict[str, range]:
        """First samples of the windows of a recording, by split.

        No window lies on both sides of the border, so that no sample of a
        held-out window is trained on.

        Args:
            total: Samples of the recording.

        Example:
            >>> Windows(10, 5, 0.5).starts(60)
            {'train': range(0, 21, 5), 'test': range(30, 51, 5)}
        """
        border = int(self.train_fraction * total)
        return {
            'train': range(0, border - self.length + 1, self.step),
            'test': range(border, total - self.length + 1, self.step),
        }


def read_all(
    raw_dir: Path, layout: Layout, problems: list[str]
) -> dict[tuple[str, str], Signals]:
    """Read the 24 recordings.

    Args:
        raw_dir: Folder of the text files.
        layout: How they are read.
        problems: Takes one text per file that is missing or unusable.

    Returns:
        Arrays ``(L, C)`` by modality, by domain and class code.
    """
    files = find_files(raw_dir)
    found: dict[tuple[str, str], Signals] = {}
    wanted = [(domain, code) for domain in SPEEDS for code in CLASSES]
    for domain, code in track(wanted, 'Reading', transient=True):
        name = file_name(code, domain)
        paths = files.get(name.upper(), [])
        if len(paths) != 1:
            text = f'there twice: {paths}' if paths else 'no such file'
            problems.append(f'{raw_dir / name}: {text}')
            continue
        [path] = paths
        try:
            vibration, sound = read_recording(path, layout)
        except (OSError, ValueError) as error:
            problems.append(f'{path}: {error}')
        else:
            found[domain, code] = {'vibration': vibration, 'sound': sound}
    return found


def make_samples(
    domain: str, code: str, total: int, windows: Windows
) -> dict[str, list[dict[str, Any]]]:
    """Describe the windows of one recording, by split.

    Args:
        domain: Its domain.
        code: Code of its class.
        total: Its number of samples.
        windows: How it is cut.
    """
    stem = f'{code}_{domain.upper()}'
    return {
        split: [
            {
                'id': f'{domain}/{code}/{start:07d}',
                'domain': domain,
                'label': list(CLASSES).index(code),
                **{
                    modality: {
                        'path': f'{FOLDER}/{stem}_{modality}.npy',
                        'start_sample': start,
                        'num_samples': windows.length,
                    }
                    for modality in ('vibration', 'sound')
                },
            }
            for start in starts
        ]
        for split, starts in windows.starts(total).items()
    }


def annotate(
    recordings: dict[tuple[str, str], Signals],
    windows: Windows,
    rate: float,
    is_synthetic: bool,
    problems: list[str],
) -> dict[str, dict[str, Any]]:
    """Make the annotations of all recordings, by split.

    Args:
        recordings: What :func:`read_all` returned.
        windows: How they are cut.
        rate: Hz, for the metainfo.
        is_synthetic: Whether the files were rendered.
        problems: Takes one text per recording without a window of a split.
    """
    lists: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for (domain, code), signals in recordings.items():
        total = len(signals['sound'])
        for split, samples in make_samples(
            domain, code, total, windows
        ).items():
            lists[split] += samples
            if not samples:
                problems.append(
                    f'{file_name(code, domain)}: {total} samples leave no '
                    f'window of {windows.length} in {split}; use a shorter '
                    '--window or another --train-fraction'
                )
    metainfo = {
        'corpus': 'HUST motor' + ' (synthetic)' * is_synthetic,
        'classes': list(CLASSES.values()),
        'domains': list(SPEEDS),
        'sampling_rate': rate,
    }
    mark = {'synthetic': True} if is_synthetic else {}
    return {
        split: {'metainfo': metainfo, **mark, 'data_list': samples}
        for split, samples in lists.items()
    }


def write_arrays(
    recordings: dict[tuple[str, str], Signals], out_dir: Path
) -> None:
    """Write the arrays that the annotations will name.

    Args:
        recordings: What :func:`read_all` returned.
        out_dir: Data root.
    """
    for (domain, code), signals in recordings.items():
        for modality, array in signals.items():
            name = f'{code}_{domain.upper()}_{modality}.npy'
            path = out_dir / FOLDER / name
            with draft_files(path) as [draft], draft.open('wb') as file:
                np.save(file, array)


def summarise(
    recordings: dict[tuple[str, str], Signals],
    annotations: dict[str, dict[str, Any]],
) -> Iterator[str]:
    """Count what was converted.

    Args:
        recordings: What :func:`read_all` returned.
        annotations: What :func:`annotate` returned.

    Yields:
        One line on the recordings, and one per split.
    """
    lengths = sorted({len(s['sound']) for s in recordings.values()})
    yield f'{len(recordings)} recordings of {lengths} samples'
    for split, annotation in annotations.items():
        samples = annotation['data_list']
        counts = ', '.join(
            f'{domain} {sum(s["domain"] == domain for s in samples)}'
            for domain in SPEEDS
        )
        yield f'{split}: {counts}'


def read_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: Command line; ``None`` takes the process's own.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('raw_dir', type=Path, help='folder of the text files')
    parser.add_argument('out_dir', type=Path, help='data root to write to')
    for name, default, text in (
        ('window', Windows.length, 'samples of a window'),
        ('step', None, 'samples between the starts of two windows; the '
         'default is --window: none overlap'),
        ('train-fraction', Windows.train_fraction, 'share of each recording, '
         'from its start, that is trained on'),
        ('header', HEADER, 'beginning of the last line before the numbers'),
        ('sound', SOUND, 'column of the microphone, from 0'),
        ('time', 0, 'column of the seconds, -1 if there is none'),
        ('sampling-rate', float(SAMPLING_RATE), 'Hz'),
    ):  # fmt: skip
        kind = int if default is None else type(default)
        parser.add_argument(
            f'--{name}',
            type=kind,
            default=default,
            help=text if default is None else f'{text}; default {default!r}',
        )
    parser.add_argument(
        '--vibration',
        type=int,
        nargs='+',
        default=VIBRATION,
        help=f'columns of the axes; default {VIBRATION}',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Convert, or report every unusable file and write nothing.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        Exit status: 0 done, 1 if there are problems.
    """
    args = read_arguments(argv)
    step = args.window if args.step is None else args.step
    windows = Windows(args.window, step, args.train_fraction)
    problems = [text] if (text := windows.check()) else []
    recordings, annotations = {}, {}
    if not problems:
        layout = Layout(
            args.header,
            tuple(args.vibration),
            args.sound,
            args.time,
            args.sampling_rate,
        )
        recordings = read_all(args.raw_dir, layout, problems)
        annotations = annotate(
            recordings,
            windows,
            args.sampling_rate,
            any(args.raw_dir.rglob(MANIFEST)),
            problems,
        )
    try:
        if not problems:
            write_arrays(recordings, args.out_dir)
    except OSError as error:
        problems.append(f'{args.out_dir}: {error}')
    if not write_annotations(args.out_dir, 'hust', annotations, problems):
        return 1
    print(*summarise(recordings, annotations), sep='\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
