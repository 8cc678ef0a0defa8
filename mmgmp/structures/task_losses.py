"""The losses of one forward pass, kept apart by task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

_ATTRIBUTE = '_mmgmp_task_losses'


class Task(str, Enum):
    """What a loss term asks of an encoder.

    A term whose target is a class label or a class posterior belongs to
    ``CLASSIFICATION``; a term that ignores class labels and shapes the
    representation over domains or modalities belongs to ``DOMAIN``; ``EXTRA``
    terms reach the encoders neither modulated nor projected. ``ALIGNMENT``
    terms, which pull the predictions of the modalities together, are extra
    terms that a projection may ask for apart; ``UNIMODAL`` terms, the losses
    of unimodal heads where a method keeps them from the fused one, are
    classification terms that a strategy may ask for apart. The value is the
    word used in log keys (``loss_cls``, ``loss_domain``, ``loss_extra``,
    ``loss_align``, ``loss_unimodal``).

    Example:
        >>> Task('domain') is Task.DOMAIN
        True

    Source: GMP (arXiv 2603.14175), Eq. (1)-(3); the rule for other losses is
    this project's choice.
    """

    CLASSIFICATION = 'cls'
    DOMAIN = 'domain'
    EXTRA = 'extra'
    ALIGNMENT = 'align'
    UNIMODAL = 'unimodal'


@dataclass(frozen=True)
class TaskLosses:
    """Everything a gradient strategy needs from one forward pass.

    Args:
        losses: One 0-dim tensor per task, attached to the graph; their sum is
            the loss that a plain optimizer wrapper would minimise. The domain
            loss already contains the gradient reversal.
        encoder_parameters: Trainable parameters of each modality's encoder.
        confidences: Detached probability of the true label, shape ``(N,)``
            per modality; under ``CLASSIFICATION`` the semantic confidence q
            and under ``DOMAIN`` the domain confidence c. A missing task means
            that its ratio is 1.
        features: Encoder outputs ``(N, D_m)`` attached to the graph, given
            only if every path from a loss to an encoder runs through them;
            ``level='feature'`` needs them.
        present: Which samples have a modality, bool ``(N,)``, for those that
            some lack; the confidences of the others do not count.
        statistics: Further detached per-sample numbers, ``(N,)`` per
            modality, that particular strategies ask for by name.
        num_samples: Samples in this batch; read off the confidences if they
            are given. Weights the ranks of a distributed run.
        feedback: Called once per optimizer step with what the modulation
            tells the model (``FeedbackModulation.feedback``), by name.
        unclipped: Parameters that gradient clipping neither measures nor
            scales, such as those of probes that only watch the model.

    Raises:
        ValueError: If a loss is not a 0-dim tensor, no loss is given, or the
            modalities of the confidences are not those of the encoders.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> tasks = TaskLosses(
        ...     losses={Task.CLASSIFICATION: weight.sum()},
        ...     encoder_parameters={'video': [weight]})
        >>> tasks.modalities
        ('video',)

    Source: GMP (arXiv 2603.14175), Eq. (1)-(7).
    """

    losses: Mapping[Task, Tensor]
    encoder_parameters: Mapping[str, Sequence[Parameter]]
    confidences: Mapping[Task, Mapping[str, Tensor]] = field(
        default_factory=dict
    )
    features: Mapping[str, Tensor] = field(default_factory=dict)
    statistics: Mapping[str, Mapping[str, Tensor]] = field(
        default_factory=dict
    )
    num_samples: int | None = None
    present: Mapping[str, Tensor] = field(default_factory=dict)
    feedback: Callable[[Mapping[str, Tensor]], None] | None = None
    unclipped: Sequence[Parameter] = ()

    def __post_init__(self) -> None:
        """Check the shapes once and derive the number of samples."""
        if not self.losses:
            raise ValueError(
                'losses must hold at least one task, got none; return at '
                'least the classification loss'
            )
        for task, loss in self.losses.items():
            if loss.ndim != 0:
                raise ValueError(
                    f'losses[{task}] must be a 0-dim tensor, got shape '
                    f'{tuple(loss.shape)}; reduce it with .mean()'
                )
        for task, by_modality in self.confidences.items():
            if set(by_modality) != set(self.modalities):
                raise ValueError(
                    f'confidences[{task}] must name the modalities '
                    f'{list(self.modalities)}, got {list(by_modality)}; give '
                    'one tensor of shape (N,) per encoder'
                )
        if self.num_samples is None:
            first = next(iter(self.confidences.values()), {})
            for confidence in first.values():
                object.__setattr__(self, 'num_samples', len(confidence))
                break

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modality names in the order of the encoders."""
        return tuple(self.encoder_parameters)

    def with_unimodal_as_classification(self) -> TaskLosses:
        """Return a copy in which the two tasks are one.

        Example:
            >>> weight = torch.nn.Parameter(torch.ones(()))
            >>> tasks = TaskLosses(
            ...     {Task.UNIMODAL: 2 * weight, Task.CLASSIFICATION: weight},
            ...     {'video': [weight]})
            >>> tasks.with_unimodal_as_classification().losses
            {<Task.CLASSIFICATION: 'cls'>: tensor(3., grad_fn=<SumBackward0>)}
        """
        if Task.UNIMODAL not in self.losses:
            return self
        both = (Task.CLASSIFICATION, Task.UNIMODAL)
        merged = torch.stack(
            [self.losses[t] for t in both if t in self.losses]
        )
        others = {t: x for t, x in self.losses.items() if t not in both}
        return replace(
            self, losses={Task.CLASSIFICATION: merged.sum(), **others}
        )

    def attached(self) -> dict[Task, Tensor]:
        """Return the losses that have something to differentiate."""
        if self.num_samples == 0:
            return {}  # a mean over no samples is NaN
        return {t: x for t, x in self.losses.items() if x.requires_grad}

    def sum_of(self, tasks: Iterable[Task] = tuple(Task)) -> Tensor:
        """Sum the attached losses of some tasks, 0-dim."""
        attached = self.attached()
        return torch.stack([attached[t] for t in tasks if t in attached]).sum()


def attach_task_losses(loss: Tensor, task_losses: TaskLosses) -> Tensor:
    """Attach the per-task view to the scalar that ``parse_losses`` returns.

    MMEngine hands exactly one tensor from the model to the optimizer
    wrapper. The stock wrapper ignores the attachment, ours reads it.

    Args:
        loss: The summed loss, 0-dim.
        task_losses: Its parts.

    Returns:
        The same tensor, so that the call can stand in a ``return``.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> loss = weight.sum()
        >>> tasks = TaskLosses({Task.CLASSIFICATION: loss}, {'v': [weight]})
        >>> get_task_losses(attach_task_losses(loss, tasks)) is tasks
        True
    """
    setattr(loss, _ATTRIBUTE, task_losses)
    return loss


def get_task_losses(loss: Any) -> TaskLosses:
    """Return what :func:`attach_task_losses` attached.

    Args:
        loss: The tensor passed to ``OptimWrapper.update_params``.

    Returns:
        The attached task losses.

    Raises:
        RuntimeError: If nothing is attached.

    Example:
        >>> import torch
        >>> get_task_losses(torch.tensor(1.))
        Traceback (most recent call last):
            ...
        RuntimeError: update_params needs ...
    """
    task_losses = getattr(loss, _ATTRIBUTE, None)
    if not isinstance(task_losses, TaskLosses):
        raise RuntimeError(
            'update_params needs a loss that carries TaskLosses, got a plain '
            f'{type(loss).__name__}; use model.type="AudioVisualRecognizer", '
            'or override parse_losses of your model to return '
            'attach_task_losses(loss, TaskLosses(...)) from mmgmp.structures, '
            'or train with optim_wrapper=dict(type="OptimWrapper") and no '
            'constructor'
        )
    return task_losses
