from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from mmgmp.utils.compat import supply_drn
from mmgmp.utils.compat.drn import DRN, MissingDRNFinder

NAMES = (
    'mmaction.models.localizers.drn',
    'mmaction.models.localizers.drn.drn',
)


@pytest.mark.slow
def test_mmaction2_still_needs_it() -> None:
    run = subprocess.run(
        [sys.executable, '-c', 'import mmaction.models.localizers'],
        capture_output=True,
        text=True,
    )

    assert run.returncode != 0, (
        'MMAction2 can be imported alone: delete mmgmp/utils/compat/drn.py'
    )
    assert f"No module named '{NAMES[0]}'" in run.stderr


def test_mmaction2_models_can_be_imported() -> None:
    assert import_module('mmaction.models').DRN is DRN


def test_building_the_stand_in_says_where_the_real_one_is() -> None:
    with pytest.raises(ImportError, match='install MMAction2 from its source'):
        DRN(backbone=None)


def test_it_is_asked_last_and_stands_there_once() -> None:
    supply_drn()

    ours = [isinstance(f, MissingDRNFinder) for f in sys.meta_path]
    assert sum(ours) == 1
    assert ours.index(True) > sys.meta_path.index(PathFinder)


@pytest.mark.parametrize(
    'name', ['mmaction.models.localizers.xyz', 'drn', 'os', NAMES[1] + '.x']
)
def test_it_serves_no_other_name(name: str) -> None:
    assert MissingDRNFinder().find_spec(name) is None


def test_a_real_module_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'drn'
    folder.mkdir()
    (folder / '__init__.py').touch()
    (folder / 'drn.py').write_text('DRN = "the real one"\n')
    package = import_module('mmaction.models.localizers')
    monkeypatch.setattr(package, '__path__', [str(tmp_path)])
    stand_in = sys.modules[NAMES[0]]
    # Set first, so that the stand-in is what is put back afterwards.
    monkeypatch.setattr(package, 'drn', stand_in)
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name)

    real = import_module(NAMES[1])
    assert real.DRN == 'the real one'

    for name in NAMES:
        sys.modules.pop(name)
