"""Train ERM, Base and GMP on the synthetic mini-HAC, each with three seeds.

Everything is done by the documented commands, printed before each step: the
renderer, the HAC converter, and the benchmark, which computes the frozen
stages of the encoders once and runs MMAction2's own ``train.py`` and
``test.py``. What was done before is not done again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import av
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.image import imread
from rich.console import Console
from rich.table import Table

from mmgmp.apis.benchmark import load_plan

ROOT = Path(__file__).resolve().parents[1]
PLAN = ROOT / 'configs/plans/mini-hac_demo.yml'
#: Clip of the target that is annotated.
CLIP = 'swimming_test_000'


def run(*command: str | Path) -> None:
    """Print a command, run it, and stop with its exit code if it fails.

    Args:
        *command: Script of this project, and its arguments.
    """
    words = [str(word) for word in command]
    shown = [os.path.relpath(w) if w.startswith('/') else w for w in words]
    print('\n$ python', ' '.join(shown), flush=True)
    code = subprocess.run(
        [sys.executable, *words],
        check=False,
        env={**os.environ, 'PYTHONWARNINGS': 'ignore'},
    ).returncode
    if code:
        sys.exit(f'demo: the command above failed with exit code {code}')


def prepare(data: Path, clips: Sequence[str]) -> None:
    """Render and convert the corpus.

    Args:
        data: Folder of the corpus.
        clips: Further arguments of the renderer.
    """
    run(ROOT / 'data_prep/mini_hac/render.py', data, *clips)
    run(
        ROOT / 'data_prep/hac/convert_annotations.py',
        data / 'HAC_Splits',
        data,
    )


def train(data: Path, work: Path, views: int, options: Sequence[str]) -> None:
    """Fill the feature cache, train and test all cells.

    Args:
        data: Folder of the corpus.
        work: Where the runs go.
        views: Views of each training clip.
        options: Config overrides, ``key=value``.
    """
    # Reading a cached clip takes less time than sending it from a worker.
    loaders = [
        f'{part}_dataloader.{option}'
        for part in ('train', 'val', 'test')
        for option in (
            f'dataset.data_root={data}',
            'num_workers=0',
            'persistent_workers=False',
        )
    ]
    run(
        ROOT / 'tools/run_benchmark.py',
        PLAN,
        '--work-dir',
        work,
        '--jobs',
        '2',
        '--resume',
        '--retry-failed',
        '--cache',
        work / 'cache',
        '--cache-views',
        str(views),
        '--cfg-options',
        *loaders,
        *options,
    )


def show(data: Path, work: Path) -> None:
    """Draw the ratios of two runs, and what a model sees in one clip.

    Args:
        data: Folder of the corpus.
        work: Where the runs are.
    """
    runs = {name: work / name / 'H/seed-0' for name in ('Base', 'GMP')}
    run(
        ROOT / 'tools/analysis/compare_curves.py',
        *(f'{name}={folder}' for name, folder in runs.items()),
        '--out',
        work / 'ratios',
        '--ratios-only',
        '--synthetic',
    )
    best = max(runs['GMP'].glob('best_*.pth'), key=os.path.getmtime)
    run(
        ROOT / 'demo/demo.py',
        best,
        data / f'human/videos/{CLIP}.mp4',
        '--audio',
        data / f'human/audio/{CLIP}.wav',
        '--out-dir',
        work / 'annotated',
    )


def picture(work: Path) -> None:
    """Lay a frame of the annotated clip beside the ratios.

    Args:
        work: Where :func:`show` has put both.
    """
    (clip,) = (work / 'annotated').glob(f'*{CLIP}*.mp4')
    with av.open(str(clip)) as container:
        frames = [f.to_ndarray(format='rgb24') for f in container.decode(0)]
    ratios = imread(work / 'ratios.png')
    images = frames[len(frames) // 2], ratios
    widths = [image.shape[1] / image.shape[0] for image in images]
    figure = Figure((4 * sum(widths), 4))
    axes = figure.subplots(1, 2, width_ratios=widths)
    for axis, image in zip(axes, images, strict=True):
        axis.imshow(image, interpolation='nearest')
        axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(work / 'demo.png', dpi=100)


def report(work: Path) -> None:
    """Print the closing table.

    Args:
        work: Where the benchmark wrote its report.
    """
    runs = pd.read_csv(work / 'report.csv')
    columns = load_plan(PLAN).metrics
    table = Table(
        title='mini-HAC: animal + cartoon -> human, top-1 accuracy (%)',
        caption='SYNTHETIC data; mean and standard deviation over '
        f'{runs["seed"].nunique()} paired seeds. Shows that everything runs; '
        'says little about recorded data.',
    )
    table.add_column('')
    for title in columns:
        table.add_column(title, justify='right')
    for method, rows in runs.groupby('method', sort=False):
        table.add_row(
            str(method),
            *(
                f'{100 * rows[c].mean():.1f} +- {100 * rows[c].std():.1f}'
                for c in columns.values()
            ),
        )
    Console(width=max(100, Console().width)).print(table)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the demo.

    Args:
        argv: Command-line arguments without the program's name.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, default=Path('data/mini_hac'))
    parser.add_argument('--work', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--views', type=int, default=6)
    parser.add_argument(
        '--render',
        nargs='*',
        default=[],
        help='arguments of the renderer, e.g. train-per-class=2',
    )
    parser.add_argument(
        '--cfg-options', nargs='*', default=[], help='config overrides'
    )
    args = parser.parse_args(argv)
    started = time.monotonic()
    work, data = args.work.resolve(), args.data.resolve()
    prepare(data, [w for o in args.render for w in ('--' + o).split('=')])
    train(data, work, args.views, args.cfg_options)
    show(data, work)
    picture(work)
    print()
    report(work)
    for name in ('report.html', 'demo.png', 'ratios.png', 'annotated'):
        print(os.path.relpath(work / name))
    print(f'Took {(time.monotonic() - started) / 60:.1f} minutes.')


if __name__ == '__main__':
    main()
