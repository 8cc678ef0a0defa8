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
FAMILY = 'gmp_slowfast-r101-r18_1xb16-concat-20e'
MARKERS = '<!-- model zoo -->\nold\n<!-- end of model zoo -->\n'


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool on a small tree of its own."""
    spec = importlib.util.spec_from_file_location('model_zoo', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'ROOT', tmp_path)
    folder = tmp_path / 'configs' / 'gmp'
    folder.mkdir(parents=True)
    for target in ('hac-ac-to-h', 'hac-hc-to-a', 'epic-d23-to-d1'):
        (folder / f'{FAMILY}_{target}.py').touch()
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
    'folder',
    ['balance', 'base', 'fusion', 'gmp', 'mmdg', 'modalities',
     'single_source'],
)  # fmt: skip
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
    assert models[0] == {
        'Name': f'{FAMILY}_epic-d23-to-d1',
        'Config': f'configs/gmp/{FAMILY}_epic-d23-to-d1.py',
        'In Collection': 'GMP',
        'Metadata': {
            'Architecture': ['SlowFast-R101', 'ResNet-18'],
            'Batch Size': 16,
            'Epochs': 20,
            'Training Data': 'EPIC-Kitchens: D2, D3',
        },
        'Modality': 'RGB, Audio',
    }
    text = (folder / 'README.md').read_text('utf-8')
    assert '| configuration | A, C → H | H, C → A |' in text
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
        if model['Name'].endswith('ac-to-h'):
            model['Metadata']['Training Resources'] = '1 GPU'
            model['Results'] = [
                {
                    'Dataset': 'HAC (human)',
                    'Task': 'Multimodal Domain Generalization',
                    'Metrics': {'top1 acc': 61.5},
                }
            ]
    (folder / 'metafile.yml').write_text(yaml.safe_dump(content))
    (folder / f'{FAMILY}_hac-hc-to-a.py').unlink()
    (folder / f'{FAMILY}_hac-ha-to-c.py').touch()
    assert tool.main([]) == 0
    models = yaml.safe_load((folder / 'metafile.yml').read_text())['Models']
    assert [m['Name'].split('20e_')[1] for m in models] == [
        'epic-d23-to-d1', 'hac-ac-to-h', 'hac-ha-to-c']  # fmt: skip
    assert models[1]['Results'][0]['Metrics'] == {'top1 acc': 61.5}
    assert models[1]['Metadata']['Training Resources'] == '1 GPU'
    assert f'[61.5]({FAMILY}_hac-ac-to-h.py)' in (
        folder / 'README.md'
    ).read_text('utf-8')
    assert '| 3 | 1 |' in (tmp_path / 'README.md').read_text('utf-8')


def test_a_wrong_name_is_refused(tool, tmp_path, capsys) -> None:
    (tmp_path / 'configs' / 'gmp' / 'mine.py').touch()
    assert tool.main([]) == 1
    assert 'a config must be named' in capsys.readouterr().err


def test_missing_markers_are_said(tool, tmp_path, capsys) -> None:
    (tmp_path / 'README.md').write_text('# Package\n')
    assert tool.main([]) == 1
    assert 'README.md must hold the lines' in capsys.readouterr().err
