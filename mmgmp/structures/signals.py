"""The few scalars per modality that gradient strategies decide from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from mmgmp.structures.task_losses import Task


@dataclass(frozen=True)
class BatchSignals:
    """What is known about one optimizer step before its gradients.

    All tensors have shape ``(M,)``, one entry per modality in the order of
    ``modalities``, are detached and stay on the device of the model.

    Args:
        modalities: Names, in the order of the encoders.
        semantic_ratio: Rho, dimensionless; above 1 the modality is ahead in
            classification.
        domain_ratio: Sigma, dimensionless; above 1 the modality is ahead in
            domain invariance.
        means: Sample means of what the modulation asked to observe.
        epoch: 0-based epoch.
        step: 0-based count of optimizer steps.
        seed: Of the run, equal on all ranks.
        unit: Factor by which loss scaling makes the gradients of
            ``Modulation.finalize`` too large, 0-dim; 1 before.

    Source: GMP (arXiv 2603.14175), Eq. (8).
    """

    modalities: tuple[str, ...]
    semantic_ratio: Tensor
    domain_ratio: Tensor
    means: Mapping[str, Tensor] = field(default_factory=dict)
    epoch: int = 0
    step: int = 0
    seed: int = 0
    unit: Tensor | float = 1.0


@dataclass(frozen=True)
class Coefficients:
    """Factors of the raw task gradients, each of shape ``(M,)``.

    The encoder of modality m receives the sum over the tasks of
    ``coefficients.of(task)[m]`` times the gradient of that task.

    Args:
        classification: Factor of g_c.
        domain: Factor of g_d.
        extra: Factor of the gradient of the extra losses.
        alignment: Factor of the gradient of the alignment losses; None takes
            that of the extra ones.
        unimodal: Factor of the gradient of the losses of unimodal heads;
            None takes that of the classification losses.

    Example:
        >>> import torch
        >>> one = torch.ones(1)
        >>> factors = Coefficients(one, one, one)
        >>> factors.replace({Task.DOMAIN: 2 * one}).of(Task.DOMAIN)
        tensor([2.])
    """

    classification: Tensor
    domain: Tensor
    extra: Tensor
    alignment: Tensor | None = None
    unimodal: Tensor | None = None

    def of(self, task: Task) -> Tensor:
        """Return the factor of one task's gradient."""
        factors = {
            Task.CLASSIFICATION: self.classification,
            Task.DOMAIN: self.domain,
            Task.EXTRA: self.extra,
            Task.ALIGNMENT: self.alignment,
            Task.UNIMODAL: self.unimodal,
        }
        found = factors[task]
        if found is not None:
            return found
        return self.classification if task is Task.UNIMODAL else self.extra

    def shifted(self, amount: Tensor) -> Coefficients:
        """Return a copy with the same 0-dim amount added to every factor."""
        return dataclasses.replace(
            self,
            **{
                field.name: factor + amount
                for field in dataclasses.fields(self)
                if (factor := getattr(self, field.name)) is not None
            },
        )

    def replace(self, factors: Mapping[Task, Tensor]) -> Coefficients:
        """Return a copy with other factors for some tasks."""
        return dataclasses.replace(
            self, **{task.name.lower(): f for task, f in factors.items()}
        )


@dataclass(frozen=True)
class GradientProducts:
    """Inner products of the raw task gradients, each of shape ``(M,)``.

    Taken over the concatenation of all trainable parameters of an encoder,
    in squared gradient units. A projection that names another pair of tasks
    than classification and domain gets the products of that pair, in order.

    Args:
        classification: ``||g_c||^2`` (A).
        domain: ``||g_d||^2`` (B).
        cross: ``g_c . g_d`` (D).
        unit: Factor by which loss scaling makes the gradients too large,
            0-dim; for what does not grow with them.

    Source: closed form of GMP (arXiv 2603.14175), Eq. (12)-(15).
    """

    classification: Tensor
    domain: Tensor
    cross: Tensor
    unit: Tensor | float = 1.0
