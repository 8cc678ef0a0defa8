"""Train Base and GMP on the synthetic mini-HAC and test on an unseen domain.

Everything is done by the documented commands, printed before each step: the
renderer, the HAC converter, and MMAction2's own ``train.py`` and ``test.py``.
A second run reuses the rendered corpus and trains again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIG = '{0}/{0}_mini-hac.py'
METHODS = ('base', 'gmp')
COLUMNS = (
    ('source validation', 'val', 'acc/top1'),
    ('target fused', 'test', 'acc/top1'),
    ('target video', 'test', 'acc/top1_video'),
    ('target audio', 'test', 'acc/top1_audio'),
)


def run(*command: str | Path) -> None:
    """Print a command, run it, and stop with its exit code if it fails.

    Args:
        *command: Program and arguments.
    """
    words = [str(word) for word in command]
    print(
        '\n$',
        ' '.join(
            os.path.relpath(w) if w.startswith('/') else w for w in words
        ),
        flush=True,
    )
    code = subprocess.run(
        words,
        check=False,
        env={**os.environ, 'PYTHONWARNINGS': 'ignore'},
    ).returncode
    if code:
        sys.exit(f'demo: the command above failed with exit code {code}')


def stock_script(name: str) -> Path:
    """Return the path of MMAction2's own script.

    Args:
        name: ``train.py`` or ``test.py``.
    """
    import mmaction

    return Path(mmaction.__file__).parent / '.mim' / 'tools' / name


def last_metrics(work_dir: Path) -> dict[str, float]:
    """Read what the newest test run below a work directory wrote.

    Args:
        work_dir: Given to ``test.py`` as ``--work-dir``.
    """
    files = sorted(work_dir.glob('*/*.json'), key=os.path.getmtime)
    return json.loads(files[-1].read_text().splitlines()[-1])


def best_validation(work_dir: Path) -> float:
    """Return the best source validation accuracy of a training run.

    Args:
        work_dir: Given to ``train.py`` as ``--work-dir``.
    """
    runs = sorted(work_dir.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for line in runs[-1].read_text().splitlines()]
    return max(line['acc/top1'] for line in lines if 'acc/top1' in line)


def prepare(data: Path, clips: Sequence[str]) -> None:
    """Render and convert the corpus.

    Args:
        data: Folder of the corpus.
        clips: Further arguments of the renderer.
    """
    python = sys.executable
    run(python, ROOT / 'data_prep/mini_hac/render.py', data, *clips)
    run(
        python,
        ROOT / 'data_prep/hac/convert_annotations.py',
        data / 'HAC_Splits',
        data,
    )


def train_and_test(
    method: str, work: Path, seed: int, options: Sequence[str]
) -> dict[str, float]:
    """Train one method, test its best checkpoint, return its results.

    Args:
        method: ``'base'`` or ``'gmp'``.
        work: Where the runs go.
        seed: Random seed of the training.
        options: Config overrides, ``key=value``.

    Returns:
        Accuracy in [0, 1] by column.
    """
    config = ROOT / 'configs' / CONFIG.format(method)
    folder = work / method
    extra = ['--cfg-options', *options] if options else []
    run(
        sys.executable,
        stock_script('train.py'),
        config,
        '--work-dir',
        folder,
        '--seed',
        str(seed),
        *extra,
    )
    best = max(folder.glob('best_acc_top1_*.pth'), key=os.path.getmtime)
    run(
        sys.executable,
        stock_script('test.py'),
        config,
        best,
        '--work-dir',
        folder / 'target',
        *extra,
    )
    tested = last_metrics(folder / 'target')
    return {
        title: best_validation(folder) if part == 'val' else tested[key]
        for title, part, key in COLUMNS
    }


def report(results: dict[str, dict[str, float]], seed: int) -> None:
    """Print the closing table.

    Args:
        results: Accuracy by method and column.
        seed: The one seed that was run.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title='mini-HAC: animal + cartoon -> human, top-1 accuracy (%)',
        caption=f'SYNTHETIC data, single seed ({seed}): shows that '
        'everything runs, says nothing about the methods.',
    )
    table.add_column('')
    for title, _, _ in COLUMNS:
        table.add_column(title, justify='right')
    for method, row in results.items():
        table.add_row(
            method.upper() if method == 'gmp' else method.capitalize(),
            *(f'{100 * value:.1f}' for value in row.values()),
        )
    Console().print(table)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the demo.

    Args:
        argv: Command-line arguments without the program's name.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, default=Path('data/mini_hac'))
    parser.add_argument('--work', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--seed', type=int, default=0)
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
    # Both cores are free here; the tests' single thread is too slow.
    os.environ.pop('OMP_NUM_THREADS', None)
    work, data = args.work.resolve(), args.data.resolve()
    prepare(data, [w for o in args.render for w in ('--' + o).split('=')])
    options = list(args.cfg_options)
    if data != (Path.cwd() / 'data/mini_hac').resolve():
        options += [
            f'{part}_dataloader.dataset.data_root={data}'
            for part in ('train', 'val', 'test')
        ]
    results = {
        method: train_and_test(method, work, args.seed, options)
        for method in METHODS
    }
    print()
    report(results, args.seed)
    curves = os.path.relpath(work / 'gmp' / 'ratio_curves.png')
    print(f'Discrepancy ratios over training: {curves}')
    print(f'Took {(time.monotonic() - started) / 60:.1f} minutes.')


if __name__ == '__main__':
    main()
