"""Recognise the action in video files with a trained checkpoint.

    python demo/demo.py $(ls work_dirs/gmp/best_*.pth) clip.mp4

The checkpoint holds its config as data; for one that does not, name it with
``--config``. Nothing in a checkpoint is executed, a config is. Scores are
printed for the fused model and for each modality; ``--out-dir`` writes
annotated videos.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

import mmgmp  # noqa: F401 (repairs MMAction2 before anything imports it)
from mmgmp.apis import MMGMPInferencer


def score_table(name: str, prediction: dict[str, Any], top: int) -> Table:
    """Lay the scores of one clip out.

    Args:
        name: Of the clip.
        prediction: Result of the inferencer.
        top: Classes to show.

    Returns:
        The table.
    """
    # Text, not markup: names come from files of others.
    table = Table(title=Text(f'{name}: {prediction["name"]}'))
    branches = {'fused': prediction['scores'], **prediction['modality_scores']}
    for column in ('class', *branches):
        table.add_column(column, justify='right')
    ranked = sorted(branches['fused'].items(), key=lambda item: -item[1])
    for class_name, _ in ranked[:top]:
        table.add_row(
            Text(class_name),
            *(
                f'{100 * scores[class_name]:.1f}'
                for scores in branches.values()
            ),
        )
    if prediction['missing']:
        table.caption = f'not in the file: {", ".join(prediction["missing"])}'
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Recognise and print.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        0, or 2 if a file is missing or cannot be used.
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('checkpoint')
    parser.add_argument('videos', nargs='+', type=Path)
    parser.add_argument(
        '--audio',
        nargs='+',
        help='sound files of the videos, in their order, instead of the '
        'sound inside them',
    )
    parser.add_argument(
        '--config',
        help='a config file, which is code, instead of the one inside',
    )
    parser.add_argument('--device', help='such as cpu or cuda:0')
    parser.add_argument('--out-dir', help='where annotated videos go')
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--top', type=int, default=5, help='classes to show')
    args = parser.parse_args(argv)
    clips: list[Any] = list(args.videos)
    if args.audio:
        if len(args.audio) != len(clips):
            parser.error(
                f'--audio must name one file per video, got {len(args.audio)} '
                f'for {len(clips)}'
            )
        clips = [
            {'video': str(video), 'audio': audio}
            for video, audio in zip(clips, args.audio, strict=True)
        ]
    try:
        inferencer = MMGMPInferencer(args.config, args.checkpoint, args.device)
        results = inferencer(
            clips, batch_size=args.batch_size, out_dir=args.out_dir
        )
    except (OSError, ValueError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 2
    console = Console()
    for path, prediction in zip(
        args.videos, results['predictions'], strict=True
    ):
        console.print(score_table(path.name, prediction, args.top))
    for path in results['visualization']:
        console.print(f'written: {path}', soft_wrap=True, highlight=False)
    return 0


if __name__ == '__main__':
    sys.exit(main())
