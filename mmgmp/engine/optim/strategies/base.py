"""The two seams of a gradient strategy: modulation and projection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from mmgmp.structures import (
    BatchSignals,
    Coefficients,
    GradientProducts,
    Task,
    TaskLosses,
)
from mmgmp.utils import log_names
from mmgmp.utils.activity import ActivityWindow

#: Parameters with their gradients, by modality.
FinalGradients = Mapping[str, Sequence[tuple[Parameter, Tensor]]]


class Strategy:
    """What modulations and projections share: a window and a state.

    Args:
        start_epoch: First epoch, 0-based, in which the strategy acts.
        end_epoch: Last such epoch, inclusive; ``None`` means to the end.

    Raises:
        ValueError: If the window is empty.
    """

    #: Confidences that must be attached to the loss.
    required_confidences: frozenset[Task] = frozenset()
    #: Tasks that must have a loss.
    required_tasks: frozenset[Task] = frozenset()
    #: Attributes that must survive a resume; None before the first step.
    state_names: tuple[str, ...] = ()

    def __init__(
        self, start_epoch: int = 0, end_epoch: int | None = None
    ) -> None:
        self.active_epochs = ActivityWindow(start_epoch, end_epoch)

    def is_active(self, epoch: int) -> bool:
        """Return whether the strategy acts in this 0-based epoch."""
        return epoch in self.active_epochs

    def epoch_remark(self) -> str:
        """Return a warning about the epoch that ends; '' if there is none.

        ``TaskGradientHook`` asks once per epoch. What is counted in a step
        stays on its device until then.
        """
        return ''

    def state_dict(self) -> dict[str, Any]:
        """Return what must survive a resume: what ``state_names`` names."""
        return {
            name: value
            for name in self.state_names
            if (value := getattr(self, name)) is not None
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; nothing starts afresh.

        Args:
            state_dict: State of a strategy of the same class, or empty.

        Raises:
            ValueError: If there is a state that this strategy cannot hold.
        """
        if set(state_dict) - set(self.state_names):
            raise ValueError(
                f'{type(self).__name__} keeps the state '
                f'{list(self.state_names)}, got {sorted(state_dict)}; resume '
                'with the strategy that wrote the checkpoint'
            )
        for name in self.state_names:
            setattr(self, name, state_dict.get(name))


class Modulation(Strategy, ABC):
    """Scale the task gradients of each encoder before they are combined.

    A modulation turns a few scalars per modality into one factor per task and
    modality. It sees no model, and a gradient only in :meth:`finalize`.
    """

    #: Tasks whose factors are equal by construction. If they cover all tasks
    #: of a step and there is no projection, one backward pass is enough.
    shared_tasks: frozenset[Task] = frozenset()
    #: Tasks that reach no encoder while the modulation acts: they are left
    #: out there, and not multiplied by 0, which an overflow would survive.
    dropped_tasks: frozenset[Task] = frozenset()

    @abstractmethod
    def coefficients(self, signals: BatchSignals) -> Coefficients:
        """Return the factor of each task gradient, tensors of shape (M,)."""

    def observe(self, task_losses: TaskLosses) -> dict[str, Tensor]:
        """Return per-modality sums over this batch's samples, shape (M,).

        They are added over micro-batches and ranks and come back, divided by
        the number of samples, in ``signals.means``.
        """
        del task_losses
        return {}

    def report(self, coefficients: Coefficients) -> dict[str, Tensor]:
        """Return what of its decision is worth a curve, by log name.

        Args:
            coefficients: Those that acted, ones outside the window.
        """
        return {
            log_names.SEMANTIC_COEFFICIENT: coefficients.classification,
            log_names.DOMAIN_COEFFICIENT: coefficients.domain,
        }

    def finalize(
        self, gradients: FinalGradients, signals: BatchSignals
    ) -> None:
        """Change the combined encoder gradients in place, e.g. add noise.

        Args:
            gradients: Parameters with their combined gradients, after the
                reduction over ranks; a parameter without one is left out.
            signals: The signals of this step.
        """


class TensorModulation(Modulation):
    """A modulation that treats single tensors of an encoder differently.

    Such a rule needs whole gradients: it cannot be combined with a
    projection, nor act at the encoders' outputs. :meth:`finalize` gets the
    selected parameters only.
    """

    @abstractmethod
    def selects(self, parameter: Parameter) -> bool:
        """Return whether this encoder parameter is scaled at all."""

    def inspect(
        self, gradients: Mapping[str, Iterable[Tensor]], signals: BatchSignals
    ) -> None:
        """Look at the raw gradients just before they are scaled.

        Args:
            gradients: Sum of all tasks for each selected parameter, lazily
                and in the order of :meth:`finalize`, one iterable per
                modality, after the reduction over ranks. Not to be changed.
            signals: The signals of this step.
        """


class FeedbackModulation(Modulation):
    """A modulation that tells the model what it has decided."""

    @abstractmethod
    def feedback(self) -> dict[str, Tensor]:
        """Return what the model is told after the step; see ``TaskLosses``.

        The coefficients of a step are known after its losses, so a loss that
        depends on them lags one step behind.
        """


class Projection(Strategy, ABC):
    """Resolve conflicts between the two modulated task gradients."""

    #: The two tasks whose gradients are compared; all others are added.
    pair: tuple[Task, Task] = (Task.CLASSIFICATION, Task.DOMAIN)
    #: Whether a parameter that one of the two tasks does not reach keeps the
    #: other's modulated gradient, instead of its share of a projection.
    keeps_unpaired = False

    @property
    def apart(self) -> tuple[Task, ...]:
        """Tasks whose gradients must be known apart."""
        return self.pair

    @abstractmethod
    def project(
        self,
        products: GradientProducts,
        coefficients: Coefficients,
        signals: BatchSignals,
    ) -> tuple[Coefficients, Tensor]:
        """Fold the projection into the factors of the raw gradients.

        Args:
            products: Inner products of the raw gradients, ``(M,)`` each.
            coefficients: Factors that the modulation chose, ``(M,)`` each.
            signals: Ratios of this step.

        Returns:
            The factors of the raw gradients after projection, and a boolean
            tensor ``(M,)`` that is true where the tasks conflict.
        """

    def modulated(
        self,
        products: GradientProducts,
        coefficients: Coefficients,
        is_global: bool = False,
    ) -> tuple[Tensor, Tensor, GradientProducts]:
        """Return the pair's factors k and p, and products of k g_c and p g_d.

        They follow from those of the raw gradients, which are not looked at
        again.

        Args:
            products: Inner products of the raw gradients, ``(M,)`` each.
            coefficients: Factors that the modulation chose, ``(M,)`` each.
            is_global: Whether products are summed over all encoders.

        Returns:
            k and p, ``(M,)`` each, and the products, ``(M,)`` each.
        """
        k, p = (coefficients.of(task) for task in self.pair)
        a = k * k * products.classification
        b = p * p * products.domain
        d = k * p * products.cross
        if is_global:
            a, b, d = (x.sum().expand_as(x) for x in (a, b, d))
        return k, p, GradientProducts(a, b, d, products.unit)


def identity_coefficients(signals: BatchSignals) -> Coefficients:
    """Return factors of one for every task and modality."""
    ones = torch.ones_like(signals.semantic_ratio)
    return Coefficients(ones, ones, ones)


def sum_by_modality(
    values: Mapping[str, Tensor] | None, task_losses: TaskLosses
) -> Tensor:
    """Sum per-sample numbers, in modality order.

    Args:
        values: Numbers ``(N,)`` per modality; None, from a rank without
            samples, counts as no numbers.
        task_losses: What the numbers belong to.

    Returns:
        Tensor of shape ``(M,)``.

    Example:
        >>> weight = Parameter(torch.ones(1))
        >>> tasks = TaskLosses(
        ...     {Task.CLASSIFICATION: weight.sum()}, {'video': [weight]})
        >>> sum_by_modality({'video': torch.ones(3)}, tasks)
        tensor([3.])
    """
    modalities = task_losses.modalities
    if values is None:
        loss = next(iter(task_losses.losses.values()))
        return torch.zeros(len(modalities), device=loss.device)
    return torch.stack([values[modality].sum() for modality in modalities])
