"""What the build puts into the package, without a package manager.

``make wheel-check`` does the rest: it installs the wheel elsewhere.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
BUILT_FROM = (
    'configs',
    'tools',
    'data_prep',
    'demo',
    'mmgmp',
    'setup.py',
    'pyproject.toml',
    'MANIFEST.in',
    'README.md',
    'model-index.yml',
    'dataset-index.yml',
)


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that a wheel of this checkout would be packed from."""
    copy = tmp_path_factory.mktemp('checkout')
    ignore = shutil.ignore_patterns('__pycache__', '.mim')
    for name in BUILT_FROM:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=ignore)
        elif source.is_file():
            shutil.copy2(source, copy / name)
    run = subprocess.run(
        [sys.executable, 'setup.py', '-q', 'build', '--build-lib', 'lib'],
        cwd=copy,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return copy / 'lib'


def relative_files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }


def test_every_module_is_built(built: Path) -> None:
    built_files = relative_files(built / 'mmgmp')
    assert relative_files(ROOT / 'mmgmp') <= built_files
    assert 'py.typed' in built_files


@pytest.mark.parametrize('name', ['configs', 'tools', 'data_prep', 'demo'])
def test_mim_folders_are_whole(built: Path, name: str) -> None:
    mim = built / 'mmgmp' / '.mim'
    found = relative_files(mim / name)
    without_ending = {path for path in found if '.' not in Path(path).name}
    assert found - without_ending == relative_files(ROOT / name) != set()


def test_every_config_is_found_without_its_ending(built: Path) -> None:
    folder = built / 'mmgmp' / '.mim' / 'configs'
    leaves = [p for p in folder.rglob('*.py') if '_base_' not in p.parts]
    assert all(leaf.with_suffix('').is_file() for leaf in leaves)


@pytest.mark.parametrize('name', ['model-index.yml', 'dataset-index.yml'])
def test_mim_indices_are_there(built: Path, name: str) -> None:
    copied = built / 'mmgmp' / '.mim' / name
    assert copied.read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.slow
def test_built_configs_find_their_bases(built: Path) -> None:
    folder = built / 'mmgmp' / '.mim' / 'configs'
    leaves = [p for p in folder.rglob('*.py') if '_base_' not in p.parts]
    assert leaves
    for leaf in leaves:
        assert Config.fromfile(leaf, import_custom_modules=False), leaf
