"""The verbs of ``mim``, with the package installed.

Run in an environment with the ``mim`` extra::

    pip install '.[lite,mim,tests]'
    pytest -m slow tests/test_packaging/test_mim.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = 'gmp_mini-hac.py'
MIM = Path(sys.executable).with_name('mim')


def is_installed() -> bool:
    """Whether mim is here, and a package that it can find things in."""
    folder = Path(sysconfig.get_path('purelib')) / 'mmgmp' / '.mim'
    return MIM.is_file() and folder.is_dir()


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not is_installed(), reason="needs pip install '.[lite,mim]'"
    ),
]


def mim(cwd: Path, *words: object) -> str:
    done = subprocess.run(
        [str(MIM), *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def options(data: Path) -> list[str]:
    words = ['--gpus', '0', '--cfg-options', 'train_cfg.max_epochs=1']
    for part in ('train', 'val', 'test'):
        words += [
            f'{part}_dataloader.dataset.data_root={data}',
            f'{part}_dataloader.dataset.indices=4',
            f'{part}_dataloader.batch_size=4',
            f'{part}_dataloader.num_workers=0',
            f'{part}_dataloader.persistent_workers=False',
        ]
    return words


@pytest.fixture(scope='module')
def trained(mini_hac: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ``mim train mmgmp``, by the name of the config alone."""
    cwd = tmp_path_factory.mktemp('mim')
    words = [NAME, '--work-dir', cwd / 'run', *options(mini_hac)]
    mim(cwd, 'train', 'mmgmp', *words)
    return cwd / 'run' / 'epoch_1.pth'


@pytest.mark.parametrize('package', ['mmaction2', 'mmgmp'])
def test_test(package: str, trained: Path, mini_hac: Path) -> None:
    config = ROOT / 'configs' / 'gmp' / NAME
    words = [config if package == 'mmaction2' else NAME]
    words += ['--checkpoint', trained, *options(mini_hac)]
    assert 'Testing finished successfully' in mim(
        trained.parent, 'test', package, *words
    )


def test_train_with_the_hosts_script(mini_hac: Path, tmp_path: Path) -> None:
    config = ROOT / 'configs' / 'gmp' / NAME
    words = [config, '--work-dir', tmp_path / 'run', *options(mini_hac)]
    mim(tmp_path, 'train', 'mmaction2', *words)
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()


def test_gridsearch(mini_hac: Path, tmp_path: Path) -> None:
    mim(
        tmp_path,
        'gridsearch',
        'mmgmp',
        NAME,
        '--work-dir',
        tmp_path / 'run',
        *options(mini_hac),
        '--search-args',
        '--optim_wrapper.modulation.alpha_k 0.1 0.7',
    )
    runs = sorted(path.parent.name for path in tmp_path.glob('*/epoch_1.pth'))
    assert [name.split('_')[-1] for name in runs] == ['0.1', '0.7']


def test_search(tmp_path: Path) -> None:
    shown = mim(
        tmp_path,
        'search',
        'mmgmp',
        '--field',
        'epochs',
        '--condition',
        'epochs==15',
    )
    assert 'gmp-u_hac' in shown
    assert 'gmp_hac' not in shown
