"""MMEngine's own checkpoints load, and nothing that could run code does."""

from __future__ import annotations

import builtins
import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.optim import OneCycleParamScheduler
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmgmp.utils.compat.safe_globals import (
    OneCycleStandIn,
    restricted_getattr,
)

SGD = dict(
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
    param_scheduler=dict(type='MultiStepLR', milestones=[1], end=2),
)
ADAM_EMA_ONE_CYCLE = dict(
    optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
    param_scheduler=dict(
        type='OneCycleLR', eta_max=0.1, total_steps=8, end=8, by_epoch=False
    ),
    custom_hooks=[dict(type='EMAHook')],
)


class LineDataset(Dataset):
    metainfo: ClassVar[dict] = dict(classes=('a', 'b'))

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor([index / 8, 1.0])


class LineModel(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, *inputs: torch.Tensor, mode: str = 'loss') -> Any:
        return {'loss': self.layer(torch.stack(inputs)).square().mean()}


def train(
    work_dir: Path, epochs: int, settings: dict, **kwargs: Any
) -> Runner:
    """Train the line for some epochs, as a stock script would."""
    runner = Runner(
        model=LineModel(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            dataset=LineDataset(),
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='pseudo_collate'),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        randomness=dict(seed=1),
        default_scope='mmengine',
        experiment_name=f'{work_dir.parent.name}-{work_dir.name}-{epochs}',
        log_level='ERROR',
        **copy.deepcopy(settings),
        **kwargs,
    )
    runner.train()
    return runner


class Payload:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def test_torch_still_needs_it(tmp_path: Path) -> None:
    path = tmp_path / 'history.pth'
    torch.save({'history': HistoryBuffer([1.0], [1])}, path)
    code = f'import torch, mmengine; torch.load({str(path)!r})'

    run = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True
    )

    assert run.returncode != 0, (
        'MMEngine checkpoints load alone: delete compat/safe_globals.py'
    )
    assert 'UnpicklingError' in run.stderr


@pytest.mark.parametrize(
    'settings',
    [
        pytest.param(SGD, id='sgd'),
        pytest.param(ADAM_EMA_ONE_CYCLE, id='adamw-ema-one-cycle'),
    ],
)
def test_a_resumed_run_equals_a_straight_one(
    tmp_path: Path, settings: dict
) -> None:
    straight = train(tmp_path / 'straight', 2, settings)
    train(tmp_path / 'resumed', 1, settings)
    resumed = train(tmp_path / 'resumed', 2, settings, resume=True)

    assert resumed.epoch == straight.epoch == 2
    for name, weight in straight.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], weight), name


@pytest.mark.parametrize('code', '?bhilqBHILQefd')
def test_arrays_and_scalars_come_back(tmp_path: Path, code: str) -> None:
    array = np.array([0, 1, 1], dtype=code)
    torch.save([array, array[1]], tmp_path / 'array.pth')

    loaded, scalar = torch.load(tmp_path / 'array.pth')

    assert loaded.dtype == array.dtype
    assert loaded.tolist() == array.tolist()
    assert scalar == array[1]


@pytest.mark.parametrize(
    'payload',
    [
        pytest.param(Payload(eval, '1 + 1'), id='eval'),
        pytest.param(Payload(exec, 'x = 1'), id='exec'),
        pytest.param(Payload(builtins.__import__, 'os'), id='import'),
        pytest.param(
            Payload(getattr, HistoryBuffer, '__init__'), id='getattr-dunder'
        ),
        pytest.param(
            Payload(getattr, HistoryBuffer, 'register_statistics'),
            id='getattr-other-method',
        ),
        pytest.param(Payload(getattr, np.ndarray, 'tofile'), id='tofile'),
        pytest.param(
            Payload(getattr, OneCycleParamScheduler, 'from_config'),
            id='getattr-scheduler',
        ),
        pytest.param(np.array([{}], dtype=object), id='object-array'),
        pytest.param(np.array(['a']), id='string-array'),
        pytest.param(Path('file'), id='foreign-class'),
    ],
)
def test_everything_else_is_refused(tmp_path: Path, payload: Any) -> None:
    torch.save({'state_dict': {}, 'meta': payload}, tmp_path / 'bad.pth')

    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'bad.pth')


def test_a_shell_command_does_not_run(tmp_path: Path) -> None:
    trace = tmp_path / 'trace'
    torch.save(Payload(os.system, f'touch {trace}'), tmp_path / 'bad.pth')

    with pytest.raises(pickle.UnpicklingError, match='system'):
        torch.load(tmp_path / 'bad.pth')

    assert not trace.exists()


@pytest.mark.parametrize('name', ['min', 'max', 'current', 'mean'])
def test_history_methods_are_the_real_ones(name: str) -> None:
    method = getattr(HistoryBuffer, name)
    assert restricted_getattr(HistoryBuffer, name) is method


@pytest.mark.parametrize('name', ['_annealing_cos', '_annealing_linear'])
def test_annealing_functions_are_the_real_ones(name: str) -> None:
    function = getattr(OneCycleParamScheduler, name)
    assert restricted_getattr(OneCycleStandIn, name) is function


def test_a_refusal_names_what_was_asked_for() -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"'system' of <module"):
        restricted_getattr(os, 'system')


def test_the_real_getattr_is_not_on_the_list() -> None:
    allowed = torch.serialization.get_safe_globals()
    functions = [e[0] if isinstance(e, tuple) else e for e in allowed]
    assert getattr not in functions
