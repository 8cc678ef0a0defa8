"""An averaged copy of the model, for testing and to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from torch import Tensor

from mmgmp.registry import HOOKS
from mmgmp.structures import TeachableModel
from mmgmp.utils.checks import check_choice
from mmgmp.utils.compat.private_names import is_resuming, swap_averaged

_ROLES = ('teacher', 'student')


@HOOKS.register_module()
class TeacherHook(EMAHook):
    """MMEngine's ``EMAHook`` whose average also teaches the model.

    The averaged model is updated after each optimizer step, batch-norm
    statistics included. It is validated, selected and saved in the
    checkpoint's ``state_dict`` in place of the student, so that the stock
    test script tests it, with or without this hook. The student's weights
    are kept beside it and training resumes with them.

    Beyond ``EMAHook``: the average starts from the weights that training
    starts from, not from those after the first step; nothing is averaged
    between the micro-batches of one optimizer step; and a model with
    ``set_teacher`` may ask the average during training.

    Args:
        ema_type: Registered averaged model: ``'ExponentialMovingAverage'``
            (with ``momentum``, one minus the decay) or
            ``'StochasticWeightAverage'``, the uniform mean of the weights
            from iteration ``begin_iter`` on.
        begin_iter: Iteration t0 whose weights are the first in the average;
            until then the teacher is a copy and does not teach.
        begin_epoch: The same in epochs; only one of the two may be set. A
            training that ends earlier is warned of.
        validate: Whether the ``'teacher'`` or the ``'student'`` is validated
            and so selects the checkpoint.
        save: Which of the two is the ``state_dict`` of the checkpoint.
        strict_load: As in ``EMAHook``.
        **kwargs: Of the averaged model; ``update_buffers`` is True here.

    Raises:
        ValueError: If a role is unknown.

    Example:
        >>> hook = TeacherHook('StochasticWeightAverage', begin_iter=100)
        >>> hook.begin_iter, hook.ema_cfg['update_buffers']
        (100, True)

    Source: CMRF (NeurIPS 2024): simple moving average; MBCD (arXiv
    2511.20258), Eq. (7): exponential moving average.
    """

    def __init__(
        self,
        ema_type: str = 'ExponentialMovingAverage',
        begin_iter: int = 0,
        begin_epoch: int = 0,
        validate: str = 'teacher',
        save: str = 'teacher',
        strict_load: bool = False,
        **kwargs: Any,
    ) -> None:
        for key, role in (('validate', validate), ('save', save)):
            check_choice(
                f'{key} of TeacherHook',
                role,
                _ROLES,
                'correct default_hooks.teacher',
            )
        super().__init__(
            ema_type,
            strict_load,
            begin_iter,
            begin_epoch,
            **{'update_buffers': True, **kwargs},
        )
        self.validate = validate
        self.save = save

    # -- as a teacher -----------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether the averaging has begun."""
        # A counter of MMEngine that stays on the host.
        return int(self.ema_model.steps) > 0

    @torch.no_grad()
    def teach(
        self, inputs: Mapping[str, Tensor]
    ) -> Sequence[Mapping[str, Tensor]]:
        """Return what the averaged copy of each method says.

        Args:
            inputs: The preprocessed inputs of the student.
        """
        told: Sequence[Mapping[str, Tensor]] = self.ema_model.module.teach(
            inputs
        )
        return told

    # -- as a hook --------------------------------------------------------

    def before_train(self, runner: Runner) -> None:
        """Start from the initial weights and introduce the teacher.

        Args:
            runner: Runner of the training.
        """
        last, key = runner.max_iters, 'begin_iter'
        if self.enabled_by_epoch:
            last, key = runner.max_epochs, 'begin_epoch'
        if getattr(self, key) > last:
            runner.logger.warning(
                f'TeacherHook: {key}={getattr(self, key)} is beyond the end '
                f'of this training ({last}); nothing will be averaged or '
                'taught. Lower it in default_hooks.teacher or train longer'
            )
        if not self.is_ready:
            # MMEngine copied the model before it was initialised or loaded.
            self.ema_model.module.load_state_dict(self.src_model.state_dict())
            if not self.begin_iter and not self.begin_epoch:
                self.ema_model.steps.fill_(1)
        self.ema_model.eval()
        if isinstance(self.src_model, TeachableModel):
            self.src_model.set_teacher(self)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Update the average if there was an optimizer step.

        Args:
            runner: Runner of the training.
            batch_idx: As in MMEngine.
            data_batch: As in MMEngine.
            outputs: As in MMEngine.
        """
        if runner.optim_wrapper.should_update():
            super().after_train_iter(runner, batch_idx, data_batch, outputs)

    def after_train(self, runner: Runner) -> None:  # noqa: ARG002
        """Take leave of the model, so that it can be copied alone.

        Args:
            runner: Runner of the training.
        """
        if isinstance(self.src_model, TeachableModel):
            self.src_model.set_teacher(None)

    def before_val_epoch(self, runner: Runner) -> None:
        """Validate with the teacher's weights, or leave the student's.

        Args:
            runner: Runner of the training.
        """
        if self.validate == 'teacher':
            super().before_val_epoch(runner)

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Give the student its weights back.

        Args:
            runner: Runner of the training.
            metrics: As in MMEngine.
        """
        if self.validate == 'teacher':
            super().after_val_epoch(runner, metrics)

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Save both, the one to be tested as ``state_dict``.

        Args:
            runner: Runner of the training.
            checkpoint: What will be saved.
        """
        super().before_save_checkpoint(runner, checkpoint)
        if self.save == 'student':
            swap_averaged(self, checkpoint)

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Resume both from what :meth:`before_save_checkpoint` saved.

        Args:
            runner: Runner of the training or test.
            checkpoint: What was loaded.
        """
        is_resumed = 'ema_state_dict' in checkpoint and is_resuming(runner)
        if self.save == 'student' and is_resumed:
            swap_averaged(self, checkpoint)
        super().after_load_checkpoint(runner, checkpoint)
