"""Renew the weights of Grad-Blending every few epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import (
    all_reduce,
    broadcast,
    get_world_size,
    is_main_process,
)
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor, nn

from mmgmp.engine.hooks.blending_copies import train_copy
from mmgmp.engine.optim.strategies.blending_weights import (
    blending_weights,
    check_negative,
)
from mmgmp.registry import HOOKS
from mmgmp.structures import LossBlender
from mmgmp.utils import log_names
from mmgmp.utils.checks import check_choice

_KEY = 'grad_blending_hook'
_MODES = ('tracked', 'copies')


@HOOKS.register_module()
class GradBlendingHook(Hook):
    """Measure how well each head generalises, and weight its loss by it.

    Works on the ``GradBlendingMethod`` of the model. What it remembers is in
    the buffers of that method, so it is in the checkpoint; all ranks use the
    weights of rank 0. A checkpoint from within an epoch also holds the
    training losses summed so far: one process writes it, so with several
    ranks those of rank 0 stand for all.

    ``mode='tracked'`` (default, [choice]) needs no copies: the heads' own
    losses at the ends of each super-epoch tell gain and overfitting. Training
    losses are means over the last epoch of a super-epoch, validation losses
    are taken after it in eval mode on the source domains' validation data.
    The first super-epoch starts from the losses of the first epoch [choice]
    and has equal weights. The last epoch is measured like any other, so that
    a run can be resumed for more.

    ``mode='copies'`` is the paper's online procedure: before each super-epoch
    the network is copied once per head, each copy is trained on the loss of
    its head alone for a super-epoch, and the losses before and after are
    compared. Costs H + 1 times the training. Copies are trained with the
    optimizer of the config, freshly built and at the present learning rate,
    in full precision and on the classification task; their losses are taken
    in eval mode on training and validation data [choice].

    Fixed weights (the paper's offline mode) need no hook.

    Args:
        mode: ``'tracked'`` or ``'copies'``.
        super_epoch: Epochs n between renewals, >= 1. The default is that of a
            benchmark; runs of 20 epochs should use 5.
        negative: ``'clip'`` or ``'abs'``; see :func:`blending_weights`.
        momentum: Share of the old weights in the new ones, in [0, 1)
            [choice].
        min_weight: Smallest weight of a head before the weights are
            normalised again, in [0, 1) [choice].

    Raises:
        ValueError: If an argument is out of range, or the model, the
            training loop or the validation data do not fit.

    Example:
        >>> GradBlendingHook(super_epoch=5).is_boundary(4)
        True

    Source: What Makes Training Multi-Modal Classification Networks Hard?,
    Wang, Tran and Feiszli, CVPR 2020 (arXiv 1905.12681), Algorithms 1 and 2.
    """

    #: The settings check wants none of the tested clips among them.
    trains_by_validation = True

    def __init__(
        self,
        mode: str = 'tracked',
        super_epoch: int = 10,
        negative: str = 'clip',
        momentum: float = 0.0,
        min_weight: float = 0.0,
    ) -> None:
        check_choice(
            'mode',
            mode,
            _MODES,
            'set mode of GradBlendingHook, or give GradBlendingMethod fixed '
            'weights and drop the hook',
        )
        if super_epoch < 1:
            raise ValueError(
                f'super_epoch must be >= 1, got {super_epoch}; set '
                'super_epoch of GradBlendingHook'
            )
        for name, value in (
            ('momentum', momentum),
            ('min_weight', min_weight),
        ):
            if not 0 <= value < 1:
                raise ValueError(
                    f'{name} must be in [0, 1), got {value}; set {name} of '
                    'GradBlendingHook'
                )
        check_negative(negative)
        self.mode = mode
        self.super_epoch = super_epoch
        self.negative = negative
        self.momentum = momentum
        self.min_weight = min_weight
        self._is_in_epoch = False
        self._restored: Tensor | None = None

    def before_train(self, runner: Runner) -> None:
        """Check that there is something to measure, and where.

        Args:
            runner: Runner of the training.
        """
        _find_blender(_unwrapped(runner))
        if runner.iter == 0:
            self._restored = None
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError(
                'GradBlendingHook counts epochs, got '
                f'{type(runner.train_loop).__name__}; set '
                "train_cfg.type='EpochBasedTrainLoop'"
            )
        if runner.val_loop is None:
            raise ValueError(
                'GradBlendingHook needs validation data, got none; set '
                'val_dataloader, val_evaluator and val_cfg'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the sums of an epoch, and train the copies if it is time.

        Args:
            runner: Runner of the training.
        """
        model = _unwrapped(runner)
        blender = _find_blender(model)
        if self.mode == 'copies' and runner.epoch % self.super_epoch == 0:
            number = runner.epoch // self.super_epoch
            if int(blender.num_boundaries) <= number:
                self._compare_copies(runner, model, blender)
        blender.start_measuring()
        restored, self._restored = self._restored, None
        if restored is not None and is_main_process():
            blender.measured().copy_(restored)
        self._is_in_epoch = True

    def after_train_epoch(self, runner: Runner) -> None:
        """Take the losses at the end of a super-epoch.

        Args:
            runner: Runner of the training.
        """
        self._is_in_epoch = False
        if self.mode != 'tracked' or not self.is_boundary(runner.epoch):
            return
        model = _unwrapped(runner)
        blender = _find_blender(model)
        train = _mean_losses(blender)
        val = measure(model, blender, runner.val_loop.dataloader)
        if int(blender.num_boundaries) > 0:
            before = blender.boundary_losses
            self._renew(runner, blender, (before[0], train), (before[1], val))
        self._remember(blender, train, val)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the losses that this epoch has summed so far.

        MMEngine calls this on rank 0 alone, so nothing can be reduced here.

        Args:
            runner: Runner of the training.
            checkpoint: The checkpoint.
        """
        if self._is_in_epoch and self.mode == 'tracked':
            blender = _find_blender(_unwrapped(runner))
            sums = blender.measured() * get_world_size()
            checkpoint[_KEY] = {'sums': sums.cpu()}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep those losses until the epoch goes on.

        Args:
            runner: Not used.
            checkpoint: The checkpoint.
        """
        del runner
        self._restored = checkpoint.get(_KEY, {}).get('sums')

    def is_boundary(self, epoch: int) -> bool:
        """Return whether losses are taken after this 0-based epoch."""
        return epoch == 0 or (epoch + 1) % self.super_epoch == 0

    def _compare_copies(
        self, runner: Runner, model: nn.Module, blender: LossBlender
    ) -> None:
        loaders = (runner.train_dataloader, runner.val_loop.dataloader)
        before = [measure(model, blender, loader) for loader in loaders]
        after = [torch.empty_like(losses) for losses in before]
        for index in range(len(blender.heads)):
            copy = train_copy(runner, model, index, self.super_epoch)
            twin = _find_blender(copy)
            for losses, loader in zip(after, loaders, strict=True):
                losses[index] = measure(copy, twin, loader)[index]
        self._renew(
            runner, blender, (before[0], after[0]), (before[1], after[1])
        )
        self._remember(blender, *after)

    def _renew(
        self,
        runner: Runner,
        blender: LossBlender,
        train: tuple[Tensor, Tensor],
        val: tuple[Tensor, Tensor],
    ) -> None:
        _warn_of_losses(
            runner, blender, {'training': train, 'validation': val}
        )
        old = blender.weights.double()
        new = blending_weights(train, val, old, self.negative)
        new = self.momentum * old + (1 - self.momentum) * new
        if self.min_weight:
            new = new.clamp(min=self.min_weight)
            new = new / new.sum()
        blender.weights.copy_(new)
        if get_world_size() > 1:
            broadcast(blender.weights, src=0)
        values = dict(zip(blender.heads, new.tolist(), strict=True))
        for head, value in values.items():
            name = log_names.of_modality(log_names.BLEND, head)
            runner.message_hub.update_scalar(
                log_names.in_training(name), value
            )
        shown = ', '.join(f'{h} {value:.4f}' for h, value in values.items())
        runner.logger.info(f'GradBlendingHook: weights are now {shown}')

    def _remember(
        self, blender: LossBlender, train: Tensor, val: Tensor
    ) -> None:
        blender.boundary_losses.copy_(torch.stack([train, val]))
        blender.num_boundaries.add_(1)


@torch.no_grad()
def measure(model: Any, blender: LossBlender, dataloader: Any) -> Tensor:
    """Return the heads' mean losses over a data loader, ``(H,)``, float64.

    In eval mode and over all ranks.

    Args:
        model: The model, unwrapped.
        blender: The method in it.
        dataloader: Labelled batches.
    """
    was_training = model.training
    model.eval()
    blender.start_measuring()
    for data in dataloader:
        model(**model.data_preprocessor(data, False), mode='loss')
    model.train(was_training)
    return _mean_losses(blender)


def _mean_losses(blender: LossBlender) -> Tensor:
    sums = blender.measured().clone()
    if get_world_size() > 1:
        all_reduce(sums)
    return sums[:-1] / sums[-1]


def _warn_of_losses(
    runner: Runner,
    blender: LossBlender,
    losses: Mapping[str, tuple[Tensor, Tensor]],
) -> None:
    """Say why the weights stay as they are."""
    for split, (start, end) in losses.items():
        is_finite = (start.isfinite() & end.isfinite()).tolist()
        heads = [
            h for h, f in zip(blender.heads, is_finite, strict=True) if not f
        ]
        if heads:
            runner.logger.warning(
                f'GradBlendingHook: the {split} losses of the heads {heads} '
                'are not finite, so the weights stay as they were. The run '
                'has diverged: lower the learning rate or set '
                'optim_wrapper.clip_grad'
            )


def _unwrapped(runner: Runner) -> Any:
    model = runner.model
    return model.module if is_model_wrapper(model) else model


def _find_blender(model: nn.Module) -> LossBlender:
    found = [m for m in model.modules() if isinstance(m, LossBlender)]
    if len(found) != 1:
        raise ValueError(
            'GradBlendingHook needs one GradBlendingMethod in the model, got '
            f"{len(found)}; set model.methods=[dict(type='GradBlending"
            "Method')] and model.unimodal_heads"
        )
    return found[0]
