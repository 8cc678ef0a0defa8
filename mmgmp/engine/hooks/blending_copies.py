"""Train a copy of the model on the loss of one head."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from mmengine.dist import all_reduce, get_world_size
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.runner import Runner
from torch.nn import Parameter

from mmgmp.structures import LossBlender, Task, get_task_losses


def train_copy(runner: Runner, model: Any, head: int, epochs: int) -> Any:
    """Return a copy of the model, trained on one head's loss alone.

    The model, its optimizer and the runner are left as they are. Gradients
    are accumulated over as many micro-batches as in the training.

    Args:
        runner: Runner of the training; gives data, optimizer config and
            learning rates.
        model: The model, unwrapped.
        head: Index of the head.
        epochs: Epochs of training.

    Raises:
        ValueError: If the runner has no config of its optimizer wrapper.
    """
    config = runner.cfg.get('optim_wrapper')
    if config is None:
        raise ValueError(
            "GradBlendingHook(mode='copies') builds optimizers, got no "
            'optim_wrapper in the config; give it as a config, or use '
            "mode='tracked'"
        )
    twin = copy.deepcopy(model)
    for module in twin.modules():
        if isinstance(module, LossBlender):
            module.weights.zero_()
            module.weights[head] = 1
    wrapper = build_optim_wrapper(twin, config)
    for group, current in zip(
        wrapper.optimizer.param_groups,
        runner.optim_wrapper.optimizer.param_groups,
        strict=True,
    ):
        group['lr'] = current['lr']
    twin.train()
    _train(runner, twin, wrapper, epochs, config.get('accumulative_counts', 1))
    return twin


def _train(
    runner: Runner, twin: Any, wrapper: OptimWrapper, epochs: int, window: int
) -> None:
    """Go through the training data as the run itself would."""
    left = epochs * len(runner.train_dataloader)
    gathered = 0
    for epoch in range(epochs):
        _set_epoch(runner.train_dataloader, runner.epoch + epoch)
        for data in runner.train_dataloader:
            # The last window may be shorter.
            size = min(window, left + gathered)
            _add_gradients(twin, data, size)
            gathered, left = gathered + 1, left - 1
            if gathered == size:
                _step(wrapper)
                gathered = 0
    _set_epoch(runner.train_dataloader, runner.epoch)


def _add_gradients(model: Any, data: Any, window: int) -> None:
    """Differentiate the classification loss in full precision."""
    data = model.data_preprocessor(data, True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    tasks = get_task_losses(loss).with_unimodal_as_classification()
    classification = tasks.losses[Task.CLASSIFICATION]
    (classification / window).backward()


def _step(wrapper: OptimWrapper) -> None:
    parameters = [
        p
        for group in wrapper.optimizer.param_groups
        for p in group['params']
        if p.requires_grad
    ]
    _average(parameters)
    if wrapper.clip_grad_kwargs:
        wrapper.clip_func(
            [p for p in parameters if p.grad is not None],
            **wrapper.clip_grad_kwargs,
        )
    wrapper.optimizer.step()
    wrapper.optimizer.zero_grad()


def _average(parameters: Sequence[Parameter]) -> None:
    if get_world_size() > 1:
        for parameter in parameters:
            if parameter.grad is not None:
                all_reduce(parameter.grad, 'mean')


def _set_epoch(dataloader: Any, epoch: int) -> None:
    for sampler in (
        dataloader.sampler,
        getattr(dataloader.batch_sampler, 'sampler', None),
    ):
        if sampler is not None and hasattr(sampler, 'set_epoch'):
            sampler.set_epoch(epoch)
