"""MMEngine still has what this package reads of its private side."""

from __future__ import annotations

import importlib
import inspect

import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.hooks import EMAHook
from mmengine.infer import BaseInferencer
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmgmp.utils.compat import private_names


class Toy(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, *args, **kwargs):
        return {'loss': self.weight.sum()}


@pytest.fixture
def runner(tmp_path):
    return Runner(
        Toy(),
        str(tmp_path),
        train_dataloader=DataLoader([0, 1]),
        train_cfg=dict(
            by_epoch=True,
            max_epochs=9,
            val_interval=4,
            dynamic_intervals=[(5, 2)],
        ),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        load_from='some.pth',
        resume=True,
        default_scope='mmengine',
        experiment_name=tmp_path.name,
    )


def test_what_a_runner_was_told(runner):
    assert private_names.is_resuming(runner)
    assert private_names.named_checkpoint(runner) == 'some.pth'


def test_a_loop_is_built_when_it_is_asked_for(runner):
    assert not private_names.has_built(runner, 'train')
    assert not private_names.has_built(runner, 'val')
    runner.train_loop  # noqa: B018
    assert private_names.has_built(runner, 'train')
    assert not private_names.has_built(runner, 'test')


def test_the_interval_is_that_of_the_epoch(runner):
    loop = runner.train_loop
    assert loop.val_interval == 4
    loop._epoch = 5
    private_names.update_val_interval(loop)
    assert loop.val_interval == 2


def test_counted_batches_make_a_step():
    weight = torch.nn.Parameter(torch.ones(1))
    wrapper = OptimWrapper(
        torch.optim.SGD([weight], lr=0.1), accumulative_counts=3
    )
    assert private_names.accumulative_counts(wrapper) == 3
    private_names.set_counted_batches(wrapper, 1)
    assert not wrapper.should_update()
    private_names.count_batch(wrapper)
    private_names.count_batch(wrapper)
    assert private_names.counted_batches(wrapper) == 3
    assert wrapper.should_update()


def test_the_averaged_weights_change_places():
    checkpoint = {
        'state_dict': {'weight': 1},
        'ema_state_dict': {'module.weight': 2, 'steps': 3},
    }
    private_names.swap_averaged(EMAHook(), checkpoint)
    assert checkpoint == {
        'state_dict': {'weight': 2},
        'ema_state_dict': {'module.weight': 1, 'steps': 3},
    }


def test_a_config_goes_before_the_file():
    dataset = BaseDataset(metainfo={'classes': ['a']}, lazy_init=True)
    private_names.fill_metainfo(dataset, {'classes': ['b'], 'domains': ['d']})
    assert dataset.metainfo == {'classes': ['a'], 'domains': ['d']}


def test_inputs_come_in_chunks():
    class Inferencer(BaseInferencer):
        def __init__(self):
            pass

        def _init_pipeline(self, cfg): ...
        def visualize(self, *args): ...
        def postprocess(self, *args): ...

    found = private_names.chunks(Inferencer(), [(1, 2), (3, 4), (5, 6)], 2)
    assert [len(chunk) for chunk in found] == [2, 1]


def test_a_location_is_walked_although_others_were(tmp_path, monkeypatch):
    (tmp_path / 'late_toy.py').write_text('import builtins\n')
    monkeypatch.syspath_prepend(tmp_path)
    toys = Registry('toy', scope='mmengine', locations=['json'])
    assert toys.get('Late') is None
    private_names.add_registry_location(toys, 'late_toy')
    monkeypatch.setattr('builtins.late_toy_registry', toys, raising=False)
    (tmp_path / 'late_toy.py').write_text(
        'late_toy_registry.register_module("Late", module=dict)\n'
    )
    assert toys.get('Late') is dict


@pytest.mark.parametrize('place', private_names.EXTENDED)
def test_extended_methods_take_the_same_arguments(place):
    module, owner, name = place
    method = getattr(getattr(importlib.import_module(module), owner), name)
    arguments = tuple(inspect.signature(method).parameters)[1:]
    assert arguments == private_names.EXTENDED[place]
