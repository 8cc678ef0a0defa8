"""Build sdist and wheel, install the wheel elsewhere and use it there.

The wheel is built from the sdist, so both are known to be whole. It goes into
a virtual environment of its own that sees the third-party packages of this
one, but not its editable install, and is used from outside the checkout.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SDIST_HOLDS = ('LICENSE', 'Makefile', 'configs', 'constraints', 'tests')
USE_IT = """
import importlib, pathlib, pkgutil, sys
import mmgmp
home = pathlib.Path(mmgmp.__file__).parent
assert home.is_relative_to(sys.prefix), home
names = [m.name for m in pkgutil.walk_packages(mmgmp.__path__, 'mmgmp.')]
for name in names:
    importlib.import_module(name)
from mmengine.config import Config
folder = home / '.mim' / 'configs'
configs = [p for p in sorted(folder.rglob('*.py')) if '_base_' not in p.parts]
for config in configs:
    Config.fromfile(config)
print(f'{len(names)} modules and {len(configs)} configs load from', home)
"""
#: What README shows, from the wheel alone, as fast as it goes.
WALK = (
    'mini_hac/render data --train-per-class=2 --test-per-class=1 --size=32',
    'hac/convert_annotations data/HAC_Splits data',
    'check_config gmp_mini-hac --cfg-options {data}',
    'train gmp_mini-hac --work-dir run --cfg-options '
    'train_cfg.max_epochs=1 train_cfg.val_interval=1 {data}',
    'test gmp_mini-hac {best} --dump test.pkl --cfg-options {data}',
    'analysis/confusion test.pkl --corpus mini-HAC --seed 0 --synthetic '
    '--out confusion',
    'demo {best} data/human/videos/{clip}.mp4 --out-dir annotated',
    'run_benchmark mini-hac_demo --dry-run',
)
DATA = ' '.join(
    f'{part}_dataloader.{option}'
    for part in ('train', 'val', 'test')
    for option in (
        'dataset.data_root=data',
        'num_workers=0',
        'persistent_workers=False',
    )
)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command; show all it said and stop if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f'{done.stdout}\n{command[0]} {command[1]} failed')
    return done.stdout


def tracked(*folders: str) -> set[str]:
    """Paths below these folders that a package has to carry."""
    return {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob('*')
        if path.is_file()
        and '__pycache__' not in path.parts
        and path.suffix != '.pyc'
    }


def check_sdist(sdist: Path) -> None:
    """Check that the sdist holds what a developer needs."""
    with tarfile.open(sdist) as archive:
        inside = {name.partition('/')[2] for name in archive.getnames()}
    missing = (
        tracked('configs', 'tests', 'tools') | set(SDIST_HOLDS)
    ) - inside
    if missing:
        sys.exit(f'the sdist lacks {sorted(missing)}; see MANIFEST.in')


def check_wheel(wheel: Path) -> None:
    """Check that the wheel holds the package, ``.mim`` and no more."""
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    expected = tracked('mmgmp') | {
        f'mmgmp/.mim/{name}'
        for name in tracked('configs', 'tools', 'data_prep', 'demo')
        | {'model-index.yml', 'dataset-index.yml'}
    }
    # Mim also looks configs up without their ending.
    expected |= {
        name.removesuffix('.py')
        for name in expected
        if name.startswith('mmgmp/.mim/configs/')
        and name.endswith('.py')
        and '/_base_/' not in name
    }
    found = {name for name in inside if name.startswith('mmgmp/')}
    others = {n for n in inside - found if '.dist-info/' not in n}
    if expected != found or others:
        sys.exit(
            f'the wheel lacks {sorted(expected - found)} and has '
            f'{sorted(found - expected | others)} too many; see setup.py'
        )


def use_wheel(wheel: Path, folder: Path) -> None:
    """Import every module and read every config from an installed wheel."""
    venv.create(folder / 'venv', with_pip=True, symlinks=True)
    python = folder / 'venv' / 'bin' / 'python'
    install = ('-m', 'pip', 'install', '--no-deps', '--no-index')
    run(python, *install, wheel, cwd=folder)
    # A path that a .pth file names is searched, but the .pth files in it are
    # not read: that leaves out the editable install.
    site = next((folder / 'venv' / 'lib').glob('python*')) / 'site-packages'
    third_party = sysconfig.get_path('purelib')
    (site / 'third_party.pth').write_text(f'{third_party}\n')
    print(run(python, '-I', '-W', 'ignore', '-c', USE_IT, cwd=folder), end='')
    walk(python, folder)


def walk(python: Path, folder: Path) -> None:
    """Render, train, test and look, as README does, without a clone."""
    for line in WALK:
        best = next(folder.glob('run/best_*.pth'), '')
        clip = next(folder.glob('data/human/videos/*.mp4'), Path())
        words = line.format(data=DATA, best=best, clip=clip.stem).split()
        run(python, '-W', 'ignore', '-m', 'mmgmp', *words, cwd=folder)
    pictures = [*folder.glob('annotated/*.mp4'), *folder.glob('confusion*')]
    if len(pictures) < 2:
        sys.exit(f'the walk must leave pictures, got {pictures}')
    print(f'{len(WALK)} commands of the walk ran from the wheel')


def main() -> None:
    """Build, look inside, install, use."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = ('-m', 'build', '--no-isolation', '--outdir', folder)
        run(sys.executable, *build, ROOT, cwd=ROOT)
        (sdist,) = folder.glob('*.tar.gz')
        (wheel,) = folder.glob('*.whl')
        check_sdist(sdist)
        check_wheel(wheel)
        print(f'{sdist.name} and {wheel.name} are whole')
        use_wheel(wheel, folder)


if __name__ == '__main__':
    main()
