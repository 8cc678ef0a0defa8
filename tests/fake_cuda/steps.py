"""Two training steps and a test of a config, on a GPU that is not there.

    python -c "import ctypes; ctypes.CDLL('guard.so', ctypes.RTLD_GLOBAL);
    from tests.fake_cuda.steps import main; main('cases.json', 'found.json')"

A process of its own, for PyTorch is changed: the library of ``guard.cpp`` has
to be there before it is imported.
"""

from __future__ import annotations

import json
import logging
import traceback
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mmengine.dist
import torch
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch._subclasses.fake_tensor import (
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)

from mmgmp.engine.optim.reduction import HostCopy
from mmgmp.engine.optim.strategies import ogm_modulation
from mmgmp.models.methods.frozen_twins import FrozenTwins
from mmgmp.registry import HOOKS, MODELS
from mmgmp.utils.protocol import resolve_protocol
from tests.fake_cuda.watch import Watch, pretend_cuda

_SHAPES = {'video': (1, 3, 32, 32), 'audio': (1, 1, 33, 32)}
_STEPS, _ROWS = 2, 4
_CUDA = torch.device('cuda')


def main(cases: str, results: str) -> None:
    """Run all cases, each reporting what it saw."""
    pretend_cuda()
    logging.disable(logging.WARNING)
    init_default_scope('mmaction')
    # Has no rule for tensors without values; sizes are all that is asked.
    torch.library.register_fake('aten::_sample_dirichlet')(
        lambda alpha, generator=None: torch.empty_like(alpha)
    )
    FakeTensor.__deepcopy__ = _copied
    # Only a real device has a generator of its own.
    ogm_modulation.seeded_noise = lambda like, key: torch.randn_like(like)
    for name, case in json.loads(Path(cases).read_text()).items():
        try:
            found = run(**case)
        except Exception:
            found = {traceback.format_exc(limit=-4): 1}
        # One line each, at once: a mistake here can end the process.
        with open(results, 'a', encoding='utf-8') as file:
            file.write(json.dumps([name, found]) + '\n')


def run(
    config: str,
    options: dict[str, Any] | None = None,
    amp: bool = False,
    ranks: int = 1,
    built_on_cpu: bool = False,
) -> dict[str, int]:
    """Return how often something made the host wait, by what and where."""
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(
        {
            f'model.encoders.{m}.backbone': _backbone(shape[1])
            for m, shape in _SHAPES.items()
        }
    )
    cfg.merge_from_dict(
        {
            **(options or {}),
        }
    )
    cfg = resolve_protocol(cfg)
    for encoder in cfg.model.encoders.values():
        encoder.pretrained = None
        encoder.frozen_stages = -1
    _pretend_ranks(ranks)
    with FakeTensorMode(allow_non_fake_inputs=True):
        if built_on_cpu:
            model = _moved(MODELS.build(cfg.model))
        else:
            with torch.device('cuda'):
                model = MODELS.build(cfg.model)
        with torch.device('cuda'):
            _give_twins(model, cfg.model.encoders)
        for module in model.modules():
            if hasattr(module, '_device'):
                module._device = torch.device('cuda')
        return _steps(cfg, model, amp)


def _give_twins(model: Any, encoders: Any) -> None:
    """In the place of those that are read from checkpoints."""
    for method in model.methods:
        if isinstance(method, FrozenTwins):
            method._twins = [
                MODELS.build(dict(encoders[m])).requires_grad_(False).eval()
                for m in method.modalities
            ]


def _backbone(channels: int) -> dict[str, Any]:
    """The fewest layers that have a stage."""
    return {
        '_delete_': True,
        'type': 'ResNet',
        'depth': 18,
        'in_channels': channels,
        'num_stages': 2,
        'strides': (1, 2),
        'dilations': (1, 1),
        'out_indices': (1,),
    }


def _moved(model: Any) -> Any:
    """Do to fake tensors what ``model.to('cuda')`` does to real ones.

    They keep who they are; whatever is neither parameter nor buffer stays.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.fake_device = torch.device('cuda:0')
    return model


def _copied(tensor: FakeTensor, memo: dict[int, Any]) -> torch.Tensor:
    """Copy for ``deepcopy``, whose storages know of no device after a move.

    What was moved cannot be copied by an operation either, as it lies on
    ``meta`` with a device of its own; so a new one takes its place.
    """
    if id(tensor) not in memo:
        new = torch.empty(
            tensor.shape, dtype=tensor.dtype, device=tensor.fake_device
        )
        if isinstance(tensor, torch.nn.Parameter):
            new = torch.nn.Parameter(new, tensor.requires_grad)
        memo[id(tensor)] = new
    return memo[id(tensor)]


def _pretend_ranks(ranks: int) -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if ranks > 1:
        from torch.testing._internal.distributed.fake_pg import FakeStore

        # Each rank has all losses: nobody would send anything otherwise.
        HostCopy.tolist = lambda copy: [1.0] * copy._host.numel()
        # MMEngine knows no such backend and would go through the host.
        mmengine.dist.dist.get_comm_device = lambda group: _CUDA
        torch.distributed.init_process_group(
            'fake', store=FakeStore(), rank=0, world_size=ranks
        )


def _steps(cfg: Any, model: Any, amp: bool) -> dict[str, int]:
    options = cfg.optim_wrapper.to_dict()
    if amp:
        options |= {'type': 'AmpOptimWrapper', 'loss_scale': 'dynamic'}
    model.train()
    wrapper = build_optim_wrapper(model, options)
    runner = _runner(cfg, model, wrapper)
    teacher = cfg.default_hooks.get('teacher')
    if teacher and teacher['type'] == 'TeacherHook':
        teacher = {**teacher, 'begin_iter': 0}
    hooks = [HOOKS.build(teacher)] if teacher else []
    for hook in hooks:
        hook.before_run(runner)
        hook.before_train(runner)
    watch = Watch()
    views = 2 if 'MultiView' in str(cfg.model.get('forward_plan')) else 1
    for step in range(_STEPS):
        data = _data(cfg, views, model)
        watch.events.clear()  # the first step sets things up
        with watch:
            model.train_step(data, optim_wrapper=wrapper)
            for hook in hooks:
                hook.after_train_iter(runner, step)
    found = dict(watch.events)
    model.eval()
    watch.events.clear()
    with torch.no_grad(), watch:
        model.test_step(_data(cfg, 1, model))
    return {**found, **{f'in a test: {k}': v for k, v in watch.events.items()}}


def _runner(cfg: Any, model: Any, wrapper: Any) -> Any:
    hub = MessageHub.get_current_instance()
    # Late enough for everything to have begun.
    for key, value in (('epoch', 7), ('iter', 500), ('seed', 0)):
        hub.update_info(key, value)
    return SimpleNamespace(
        model=model,
        optim_wrapper=wrapper,
        iter=500,
        epoch=7,
        max_iters=1000,
        max_epochs=10,
        val_loop=object(),  # nothing is validated in these steps
        logger=MMLogger.get_current_instance(),
        message_hub=hub,
        cfg=cfg,
        _resume=False,
    )


def _data(cfg: Any, views: int, model: Any) -> dict[str, Any]:
    """A batch that the data preprocessor has moved and stacked."""
    rows, device = _ROWS * views, torch.device('cuda')
    inputs = {
        m: torch.randn(rows, *_SHAPES[m], device=device)
        for m in cfg.model.encoders
    }
    samples = []
    for _ in range(views):
        for row in range(_ROWS):
            sample = ActionDataSample().set_gt_label(row % 3)
            sample.set_field(torch.tensor([row % 2]), 'domain_label')
            sample.set_metainfo({'domain': f'd{row % 2}', 'sample_id': row})
            samples.append(sample)
    model.data_preprocessor.forward = lambda data, training=False: data
    return {'inputs': inputs, 'data_samples': samples}


def see_everything(results: str) -> None:
    """Do what a step must not do, to see that it would be noticed."""
    pretend_cuda()
    with FakeTensorMode():
        value = torch.ones(3, device='cuda')
        watch = Watch()
        with watch:
            value.sum().item()
            value.new_tensor([1.0])
            value.to('cpu')
            value.to('cpu', non_blocking=True)
            with suppress(DynamicOutputShapeException):
                value.nonzero()
            with suppress(RuntimeError):
                value + torch.ones(3)
    Path(results).write_text(json.dumps(sorted(watch.events)))
