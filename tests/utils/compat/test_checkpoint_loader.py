"""MMEngine reads local checkpoints through our reader."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner, load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from mmengine.runner.checkpoint import load_from_local as stock_loader

import mmgmp.models  # noqa: F401 (applies it)

from .test_safe_globals import SGD, train


@pytest.fixture
def flipped(tmp_path: Path) -> str:
    """One bit of one weight is another."""
    path = tmp_path / 'a.pth'
    torch.save({'state_dict': {'bias': torch.ones(1)}}, path)
    content = path.read_bytes().replace(b'\x00\x00\x80\x3f', b'\x00\x00\xc0?')
    path.write_bytes(content)
    return str(path)


def test_mmengine_still_needs_it(flipped: str) -> None:
    weights = stock_loader(flipped, 'cpu')['state_dict']
    assert float(weights['bias']) == 1.5, (
        'MMEngine notices damage: delete compat/checkpoint_loader.py'
    )
    assert 'fromstring' in inspect.getsource(Runner.resume)


def test_damage_is_noticed_wherever_mmengine_loads(flipped: str) -> None:
    with pytest.raises(OSError, match=r'a\.pth must be a whole.*checksum'):
        CheckpointLoader.load_checkpoint(flipped)
    with pytest.raises(OSError, match='checksum'):
        load_checkpoint(torch.nn.Linear(1, 1), flipped)


def test_a_damaged_load_from_stops_a_run(tmp_path: Path) -> None:
    train(tmp_path / 'first', 1, SGD)
    path = tmp_path / 'first/epoch_1.pth'
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(OSError, match=r'epoch_1\.pth must be a whole'):
        train(tmp_path / 'second', 1, SGD, load_from=str(path))


def test_resuming_runs_no_text_of_the_checkpoint(tmp_path: Path) -> None:
    train(tmp_path / 'run', 1, SGD)
    path, trace = tmp_path / 'run/epoch_1.pth', tmp_path / 'trace'
    checkpoint = torch.load(path)
    checkpoint['meta']['config'] = f'__import__("os").mkdir({str(trace)!r})'
    torch.save(checkpoint, path)
    train(tmp_path / 'run', 2, SGD, resume=True)
    assert not trace.exists()


def test_the_home_folder_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, 'HOME', str(tmp_path))
    torch.save({'a': 1}, tmp_path / 'a.pth')
    assert CheckpointLoader.load_checkpoint('~/a.pth') == {'a': 1}
