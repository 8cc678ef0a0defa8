"""Recognise the actions in video files with a trained checkpoint.

    python demo/demo.py $(ls work_dirs/gmp/best_*.pth) clip.mp4
    python demo/demo.py CHECKPOINT FOLDER --on-error skip --out found.csv

The checkpoint holds its config as data; for one that does not, name it with
``--config``. Nothing in a checkpoint is executed, a config is. Of one clip
all scores of the fused model and of each modality's branch are printed, of
several a row each; ``--out-dir`` writes annotated videos.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

import mmgmp  # noqa: F401 (repairs MMAction2 before anything imports it)
from mmgmp.apis import MMGMPInferencer
from mmgmp.utils import draft_files
from mmgmp.utils.plain_text import csv_cell

#: Endings of the files that are looked for in a folder.
VIDEOS = (
    '.3gp', '.avi', '.flv', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg',
    '.ts', '.webm', '.wmv',
)  # fmt: skip
Scores = Mapping[str, float]


@dataclass(frozen=True)
class Found:
    """What came of one clip: a prediction, or why there is none."""

    path: str
    prediction: Mapping[str, Any] | None
    error: str = ''
    video: str = ''

    @property
    def branches(self) -> dict[str, Scores]:
        """Scores by class, by branch; none of a clip that failed."""
        if self.prediction is None:
            return {}
        scores = self.prediction['scores']
        return {'fused': scores, **self.prediction['modality_scores']}

    def guess(self, branch: str) -> tuple[str, float]:
        """Return what a branch takes the clip for, ``''`` if it is not there.

        Args:
            branch: ``'fused'`` or a modality.
        """
        scores = self.branches.get(branch)
        if not scores:
            return '', 0.0
        name = max(scores, key=lambda name: scores[name])
        return name, scores[name]


def find_clips(paths: Sequence[Path]) -> list[Path]:
    """Replace folders by the videos in them, at any depth.

    Args:
        paths: Files and folders.

    Raises:
        ValueError: If a folder holds no video.
    """
    clips: list[Path] = []
    for path in paths:
        found = [path]
        if path.is_dir():
            found = sorted(
                file
                for file in path.rglob('*')
                if file.suffix.lower() in VIDEOS and file.is_file()
            )
        if not found:
            raise ValueError(
                f'{path} holds no video, that is no file with one of the '
                f'endings {list(VIDEOS)}'
            )
        clips += found
    return clips


def recognise(
    inferencer: MMGMPInferencer,
    clips: Sequence[Any],
    on_error: str = 'raise',
    batch_size: int = 4,
    out_dir: str | None = None,
) -> Iterator[Found]:
    """Recognise clips, a batch at a time.

    Args:
        inferencer: With the model.
        clips: As the inferencer takes them, with a path of a video.
        on_error: ``'skip'`` goes on after a clip that cannot be read.
        batch_size: Clips at a time.
        out_dir: Where annotated videos go, None for none.

    Yields:
        What came of each clip, in their order.

    Raises:
        OSError: If a clip cannot be read and is not to be skipped.
        ValueError: If one cannot be used and is not to be skipped.
    """
    for start in range(0, len(clips), batch_size):
        batch = clips[start : start + batch_size]
        try:
            results = _recognise_batch(inferencer, batch, start, out_dir)
        except (OSError, ValueError):
            if on_error == 'raise':
                raise
            # One of them is broken; the others are not to suffer for it.
            results = [
                _recognise_or_say(inferencer, clip, number, out_dir)
                for number, clip in enumerate(batch, start=start)
            ]
        yield from results


def _recognise_or_say(
    inferencer: MMGMPInferencer, clip: Any, number: int, out_dir: str | None
) -> Found:
    try:
        (found,) = _recognise_batch(inferencer, [clip], number, out_dir)
    except (OSError, ValueError) as error:
        return Found(_path_of(clip), None, str(error))
    return found


def _recognise_batch(
    inferencer: MMGMPInferencer,
    batch: Sequence[Any],
    start: int,
    out_dir: str | None,
) -> list[Found]:
    results = inferencer(
        list(batch),
        batch_size=len(batch),
        out_dir=out_dir,
        first_number=start,
    )
    videos = results['visualization'] or [''] * len(batch)
    return [
        Found(_path_of(clip), prediction, video=video)
        for clip, prediction, video in zip(
            batch, results['predictions'], videos, strict=True
        )
    ]


def _path_of(clip: Any) -> str:
    return str(clip['video'] if isinstance(clip, Mapping) else clip)


def score_table(found: Found, top: int) -> Table:
    """Lay all scores of one clip out.

    Args:
        found: What came of it.
        top: Classes to show.

    Returns:
        The table; its first row says what each branch takes the clip for.
    """
    # Text, not markup: names come from files of others.
    name, _ = found.guess('fused')
    table = Table(title=Text(f'{Path(found.path).name}: {name}'))
    branches = found.branches
    for column in ('class', *branches):
        table.add_column(column, justify='right')
    guesses = (Text(found.guess(branch)[0]) for branch in branches)
    table.add_row('first guess', *guesses, end_section=True)
    ranked = sorted(branches['fused'].items(), key=lambda item: -item[1])
    for class_name, _ in ranked[:top]:
        table.add_row(
            Text(class_name),
            *(
                f'{100 * scores[class_name]:.1f}'
                for scores in branches.values()
            ),
        )
    return table


def row_table(results: Sequence[Found], show_branches: bool) -> Table:
    """Lay many clips out, a row each.

    Args:
        results: What came of them.
        show_branches: Whether each modality's own first guess is shown, too.

    Returns:
        The table.
    """
    branches = branch_names(results) if show_branches else ['fused']
    table = Table('clip', *branches, 'missing')
    names = [Path(found.path).name for found in results]
    if len(set(names)) < len(names):
        names = [found.path for found in results]
    for name, found in zip(names, results, strict=True):
        guesses = [found.guess(branch) for branch in branches]
        table.add_row(
            Text(name, overflow='fold'),
            *(Text(f'{n} {100 * s:.0f} %' if n else '-') for n, s in guesses),
            ', '.join(found.prediction['missing'])
            if found.prediction
            else Text('skipped, see below'),
        )
    return table


def branch_names(results: Sequence[Found]) -> list[str]:
    """List the branches of the model, ``'fused'`` first."""
    names = dict.fromkeys(b for found in results for b in found.branches)
    return list(names) or ['fused']


def missing_notes(results: Sequence[Found], stand_in: str) -> Iterator[str]:
    """Say which modalities clips lack, and what stood for them.

    Args:
        results: What came of the clips.
        stand_in: Of ``--missing``.
    """
    words = {'translate': 'a translation'}.get(stand_in, stand_in)
    lacking: dict[tuple[str, ...], list[Found]] = {}
    for found in results:
        if found.prediction and found.prediction['missing']:
            key = tuple(found.prediction['missing'])
            lacking.setdefault(key, []).append(found)
    for missing, clips in lacking.items():
        who = (
            Path(clips[0].path).name
            if len(clips) == 1
            else f'{len(clips)} clips'
        )
        others = ', '.join(clips[0].prediction['modality_scores'])
        yield (
            f'not in the file: {", ".join(missing)}. {who} recognised from '
            f'{others} alone, with {words} for the missing feature '
            '(--missing)'
        )


def write_results(path: Path, results: Sequence[Found]) -> None:
    """Write what was found as CSV or JSON.

    Args:
        path: File; its ending says which.
        results: What came of the clips.
    """
    with draft_files(path) as [draft]:
        if path.suffix == '.json':
            rows = [
                {'clip': f.path, 'error': f.error, **(f.prediction or {})}
                for f in results
            ]
            draft.write_text(json.dumps(rows, indent=1) + '\n', 'utf-8')
            return
        branches = branch_names(results)
        with open(draft, 'w', encoding='utf-8', newline='') as file:
            writer = csv.writer(file)
            heads = [f'{b} {x}' for b in branches for x in ('class', 'score')]
            writer.writerow(['clip', *heads, 'missing', 'error'])
            writer.writerows(_cells(found, branches) for found in results)


def _cells(found: Found, branches: Sequence[str]) -> list[str]:
    """Write a row, free of what a spreadsheet would run."""
    cells = [csv_cell(found.path)]
    for name, score in map(found.guess, branches):
        cells += [csv_cell(name), f'{score:.6g}' if name else '']
    missing = (found.prediction or {}).get('missing', ())
    return [*cells, ' '.join(missing), csv_cell(found.error)]


def read_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('checkpoint')
    add('videos', nargs='+', type=Path, help='files, and folders of files')
    add(
        '--audio',
        nargs='+',
        help='sound files of the videos, in their order, instead of the '
        'sound inside them',
    )
    add(
        '--config',
        help='a config file, which is code, instead of the one inside',
    )
    add('--device', help='such as cpu or cuda:0')
    add('--out-dir', help='where annotated videos go')
    add('--out', type=Path, help='results as .csv or .json')
    add('--batch-size', type=int, default=4)
    add('--top', type=int, default=5, help='classes to show of one clip')
    add(
        '--show-branches',
        action='store_true',
        help="of several clips, each modality's own first guess",
    )
    add(
        '--on-error',
        choices=['raise', 'skip'],
        default='raise',
        help='what a clip that cannot be read does to the others',
    )
    add(
        '--missing',
        choices=['zeros', 'translate', 'raise'],
        default='zeros',
        help='what stands for a modality that a clip lacks, such as the '
        'sound of a webcam: see missing_modalities of the model',
    )
    args = parser.parse_args(argv)
    if args.batch_size < 1 or args.top < 1:
        parser.error('--batch-size and --top must be >= 1')
    if args.out and args.out.suffix not in ('.csv', '.json'):
        parser.error(f'--out must end with .csv or .json, got {args.out}')
    return args


def read_clips(args: argparse.Namespace) -> list[Any]:
    """List the clips as the inferencer takes them."""
    clips: list[Any] = find_clips(args.videos)
    if not args.audio:
        return clips
    if len(args.audio) != len(clips):
        raise ValueError(
            f'--audio must name one file per video, got {len(args.audio)} '
            f'for {len(clips)}'
        )
    return [
        {'video': str(video), 'audio': audio}
        for video, audio in zip(clips, args.audio, strict=True)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Recognise and print.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        0, 1 if clips were skipped, or 2 if a file is missing or cannot be
        used.
    """
    args = read_arguments(argv)
    try:
        clips = read_clips(args)
        inferencer = MMGMPInferencer(
            args.config, args.checkpoint, args.device, on_missing=args.missing
        )
        found = recognise(
            inferencer, clips, args.on_error, args.batch_size, args.out_dir
        )
        quiet = len(clips) == 1 or not sys.stderr.isatty()
        console = Console(stderr=True)
        results = list(
            track(found, 'Recognising', len(clips), console=console,
                  disable=quiet)
        )  # fmt: skip
        if args.out:
            write_results(args.out, results)
    except (OSError, ValueError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 2
    show(results, args)
    failed = sum(bool(x.error) for x in results)
    if failed:
        print(f'demo: {failed} of {len(results)} clips were skipped, see '
              'above', file=sys.stderr)  # fmt: skip
    return int(failed > 0)


def show(results: Sequence[Found], args: argparse.Namespace) -> None:
    """Print what was found."""
    console = Console()
    if len(results) == 1 and results[0].prediction:
        console.print(score_table(results[0], args.top))
    else:
        console.print(row_table(results, args.show_branches))
    problems = [f'skipped: {found.error}' for found in results if found.error]
    for note in [*missing_notes(results, args.missing), *problems]:
        console.print(Text(note), soft_wrap=True)
    for path in filter(None, [args.out, *(x.video for x in results)]):
        console.print(Text(f'written: {path}'), soft_wrap=True)


if __name__ == '__main__':
    sys.exit(main())
