"""Dense averages of the weights in the valley of the validation loss."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.runner import Runner
from torch.nn import functional as F

from mmgmp.engine.hooks.loss_valley import Valley, find_valley
from mmgmp.engine.hooks.teacher_hook import TeacherHook
from mmgmp.engine.hooks.weight_segments import WeightSegments
from mmgmp.registry import HOOKS
from mmgmp.utils import log_names
from mmgmp.utils.compat.private_names import is_resuming

_KEY = 'swad_hook'


@HOOKS.register_module()
class SWADHook(TeacherHook):
    """Average the weights of all steps in a span that validation finds.

    Every ``interval`` iterations the cross-entropy of the fused classifier is
    measured on the source domains' validation clips, in eval mode; with
    :class:`ExactResumeHook`, which seeds every iteration, the training itself
    is that without this hook, bit for bit. The span is found by
    :func:`find_valley`: the average begins where the loss has converged and
    ends where it has risen for good. Until it begins, the trained weights
    themselves are validated and saved in its place.

    Like every average here it is validated, selected and saved in place of
    the trained weights, as it would be if the training ended now. The
    published result is the last one: ``default_hooks.checkpoint.save_best=
    None``, or ``checkpoint: last`` in a plan [choice]. Statistics of batch
    norm are averaged like weights, as by :class:`TeacherHook`; the published
    networks do not train them [choice].

    A checkpoint holds up to ``num_tolerance + 2`` more sets of the trained
    weights.

    Args:
        interval: Iterations between measurements, >= 1. A pass over the
            validation data each.
        num_converge: Measurements of which the first is the smallest where
            the average begins, >= 1.
        num_tolerance: Measurements above the limit that end it, >= 1.
        tolerance_ratio: The limit is so much above the mean of the first
            ``num_converge``, >= 0.
        validate: As in :class:`TeacherHook`.
        save: As in :class:`TeacherHook`.
        strict_load: As in :class:`TeacherHook`.

    Raises:
        ValueError: If a number is out of range, or there is no validation.

    Example:
        >>> SWADHook(interval=50).is_ready
        False

    Source: Cha et al., "SWAD: Domain Generalization by Seeking Flat Minima",
    NeurIPS 2021 (arXiv 2102.08604), with its numbers.
    """

    #: The settings check wants none of the tested clips among them.
    trains_by_validation = True

    def __init__(
        self,
        interval: int = 100,
        num_converge: int = 3,
        num_tolerance: int = 6,
        tolerance_ratio: float = 0.3,
        validate: str = 'teacher',
        save: str = 'teacher',
        strict_load: bool = False,
    ) -> None:
        if min(interval, num_converge, num_tolerance) < 1 or not (
            tolerance_ratio >= 0
        ):
            raise ValueError(
                'SWADHook needs interval, num_converge and num_tolerance >= 1 '
                f'and tolerance_ratio >= 0, got {interval}, {num_converge}, '
                f'{num_tolerance} and {tolerance_ratio}; correct '
                'default_hooks.teacher'
            )
        super().__init__(
            'StochasticWeightAverage',
            validate=validate,
            save=save,
            strict_load=strict_load,
        )
        self.every = interval
        self.num_converge = num_converge
        self.num_tolerance = num_tolerance
        self.tolerance_ratio = tolerance_ratio
        self.losses: list[float] = []
        self._segments = WeightSegments()
        self._is_training = False

    @property
    def is_ready(self) -> bool:
        """Whether the averaging has begun."""
        return self.valley is not None

    @property
    def valley(self) -> Valley | None:
        """The measurements whose weights are averaged; None before."""
        return find_valley(
            self.losses,
            self.num_converge,
            self.num_tolerance,
            self.tolerance_ratio,
        )

    def before_train(self, runner: Runner) -> None:
        """Start from the initial weights; see the base class.

        Args:
            runner: Runner of the training.
        """
        if runner.val_loop is None:
            raise ValueError(
                'SWADHook needs validation data, got none; set '
                'val_dataloader, val_evaluator and val_cfg'
            )
        super().before_train(runner)
        self._is_training = True

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
        outputs: dict | None = None,  # noqa: ARG002
    ) -> None:
        """Take an optimizer step into the average, and measure when due.

        Args:
            runner: Runner of the training.
            batch_idx: Not used.
            data_batch: Not used.
            outputs: Not used.
        """
        valley = self.valley
        if valley is not None and valley.is_closed:
            return
        if runner.optim_wrapper.should_update():
            self._segments.add(self.src_model)
        is_due = (runner.iter + 1) % self.every == 0
        if is_due and self._segments.num_running:
            self._measure(runner)

    def after_train(self, runner: Runner) -> None:
        """Say what was averaged; see the base class.

        Args:
            runner: Runner of the training.
        """
        super().after_train(runner)
        self._is_training = False
        valley = self.valley
        if valley is None:
            runner.logger.warning(
                f'SWADHook: after {len(self.losses)} measurements the '
                'validation loss has not converged, so the last weights are '
                'saved; lower default_hooks.teacher.interval or train longer'
            )
            return
        first, last = valley.start * self.every, valley.stop * self.every
        runner.logger.info(
            f'SWADHook: averaged iterations {first + 1} to {last}'
        )

    def before_val_epoch(self, runner: Runner) -> None:
        """Validate the average; see the base class.

        Args:
            runner: Runner of the training.
        """
        self._follow()
        super().before_val_epoch(runner)

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Save the average, and all it is made from; see the base class.

        Args:
            runner: Runner of the training.
            checkpoint: What will be saved.
        """
        self._follow()
        super().before_save_checkpoint(runner, checkpoint)
        state = {'losses': list(self.losses), **self._segments.state_dict()}
        checkpoint[_KEY] = state

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Resume both; see the base class.

        Args:
            runner: Runner of the training or test.
            checkpoint: What was loaded.
        """
        super().after_load_checkpoint(runner, checkpoint)
        if _KEY in checkpoint and is_resuming(runner):
            state = dict(checkpoint[_KEY])
            self.losses = state.pop('losses')
            self._segments.load_state_dict(state)

    def _follow(self) -> None:
        """Until the average begins, show the trained weights."""
        if self._is_training and not self.is_ready:
            self.ema_model.module.load_state_dict(self.src_model.state_dict())

    def _measure(self, runner: Runner) -> None:
        self._segments.close(len(self.losses))
        self.losses.append(self._validation_loss(runner))
        name = log_names.in_training(log_names.SOURCE_CROSS_ENTROPY)
        runner.message_hub.update_scalar(name, self.losses[-1])
        count, valley = len(self.losses), self.valley
        if valley is None:
            self._segments.forget(count - self.num_converge + 1)
            return
        self._segments.settle(valley, count - self.num_tolerance + 1)
        average = self._segments.mean(valley)
        whole = {**self.src_model.state_dict(), **average}
        self.ema_model.module.load_state_dict(whole)

    @torch.no_grad()
    def _validation_loss(self, runner: Runner) -> float:
        """Mean cross-entropy over all ranks, in eval mode."""
        model = self.src_model
        was_training = model.training
        model.eval()
        total: Any = 0
        for data in runner.val_loop.dataloader:
            batch = model.data_preprocessor(data, False)
            logits = model(**batch, mode='tensor').float()
            labels = torch.cat([s.gt_label for s in batch['data_samples']])
            labels = labels.to(logits.device)
            loss = F.cross_entropy(logits, labels, reduction='sum')
            total = total + torch.stack([loss, loss.new_tensor(len(labels))])
        model.train(was_training)
        all_reduce(total)
        return float(total[0] / total[1])
