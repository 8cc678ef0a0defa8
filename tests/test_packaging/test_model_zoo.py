"""Metafiles, model-index.yml and tables follow from the configs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'model_zoo.py'
MARKERS = '<!-- model zoo -->\nold\n<!-- end of model zoo -->\n'
RESULTS = [
    {
        'Dataset': f'HAC, target {target}',
        'Task': 'Multimodal Domain Generalization',
        'Metrics': {'top1 acc': value},
    }
    for target, value in (('human', 61.5), ('cartoon', 44.0))
]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool on a small tree of its own."""
    spec = importlib.util.spec_from_file_location('model_zoo', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'ROOT', tmp_path)
    folder = tmp_path / 'configs' / 'gmp'
    folder.mkdir(parents=True)
    for name in ('gmp_hac', 'gmp_epic', 'gmp-u_hac'):
        (folder / f'{name}.py').touch()
    (folder / 'README.md').write_text(f'# GMP\n{MARKERS}The end.\n')
    (folder / 'metafile.yml').write_text('Collections:\n- Name: GMP\n')
    (tmp_path / 'README.md').write_text(f'# Package\n{MARKERS}')
    return module


def test_the_checkout_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL), '--check'], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    'folder', ['balance', 'base', 'fusion', 'gmp', 'mmdg']
)
def test_every_folder_of_algorithms_keeps_a_metafile(folder: str) -> None:
    assert (ROOT / 'configs' / folder / 'metafile.yml').is_file()


def test_check_writes_nothing(tool, tmp_path, capsys) -> None:
    assert tool.main(['--check']) == 1
    assert 'run python tools/model_zoo.py' in capsys.readouterr().err
    assert not (tmp_path / 'model-index.yml').exists()


def test_entries_follow_from_the_name(tool, tmp_path) -> None:
    assert tool.main([]) == 0
    assert tool.main(['--check']) == 0
    folder = tmp_path / 'configs' / 'gmp'
    models = yaml.safe_load((folder / 'metafile.yml').read_text())['Models']
    assert models[1] == {
        'Name': 'gmp_epic',
        'Config': 'configs/gmp/gmp_epic.py',
        'In Collection': 'GMP',
        'Metadata': {'Training Data': 'EPIC-Kitchens'},
    }
    text = (folder / 'README.md').read_text('utf-8')
    assert '| `gmp` | [config](gmp_hac.py) | [config](gmp_epic.py) |' in text
    assert 'old' not in text
    assert text.startswith('# GMP\n')
    assert text.endswith('The end.\n')
    index = yaml.safe_load((tmp_path / 'model-index.yml').read_text())
    assert index == {'Import': ['configs/gmp/metafile.yml']}
    assert '(configs/gmp/README.md) | 3 | 0 |' in (
        tmp_path / 'README.md'
    ).read_text('utf-8')


def test_what_was_written_by_hand_is_kept(tool, tmp_path) -> None:
    tool.main([])
    folder = tmp_path / 'configs' / 'gmp'
    content = yaml.safe_load((folder / 'metafile.yml').read_text())
    for model in content['Models']:
        if model['Name'] == 'gmp_hac':
            model['Results'] = RESULTS
    (folder / 'metafile.yml').write_text(yaml.safe_dump(content))
    (folder / 'gmp-u_hac.py').unlink()
    assert tool.main([]) == 0
    models = yaml.safe_load((folder / 'metafile.yml').read_text())['Models']
    assert [m['Name'] for m in models] == ['gmp_epic', 'gmp_hac']
    assert models[1]['Results'] == RESULTS
    text = (folder / 'README.md').read_text('utf-8')
    assert '[human 61.5, cartoon 44.0](gmp_hac.py)' in text
    assert '| 2 | 1 |' in (tmp_path / 'README.md').read_text('utf-8')


@pytest.mark.parametrize('name', ['mine', 'gmp_mars'])
def test_a_wrong_name_is_refused(name, tool, tmp_path, capsys) -> None:
    (tmp_path / 'configs' / 'gmp' / f'{name}.py').touch()
    assert tool.main([]) == 1
    assert 'a config must be named' in capsys.readouterr().err


def test_missing_markers_are_said(tool, tmp_path, capsys) -> None:
    (tmp_path / 'README.md').write_text('# Package\n')
    assert tool.main([]) == 1
    assert 'README.md must hold the lines' in capsys.readouterr().err
