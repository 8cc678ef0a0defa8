"""The losses of a batch by task, and the names that they are logged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from mmgmp.structures.task_losses import Task, TaskLosses, attach_task_losses
from mmgmp.utils import log_names

#: Where the report rides in the dict that MMEngine hands on.
REPORT = '_report'

#: Log names of the confidences.
SIDES = {
    Task.CLASSIFICATION: log_names.SEMANTIC_CONFIDENCE,
    Task.DOMAIN: log_names.DOMAIN_CONFIDENCE,
}


def loss_name(task: Task, term: str = '') -> str:
    """Name a loss in the log.

    Example:
        >>> loss_name(Task.DOMAIN), loss_name(Task.CLASSIFICATION, 'fused')
        ('loss_domain', 'loss_cls_fused')
    """
    return '_'.join(filter(None, ('loss', task.value, term)))


@dataclass(frozen=True)
class LossReport:
    """What one forward pass says, by kind and not by name.

    Args:
        terms: 0-dim losses by task and term; ``''`` is a head's own.
        confidences: As in ``TaskLosses``.
        features: As in ``TaskLosses``.
        statistics: As in ``TaskLosses``.
        values: Further 0-dim values to log.
        present: As in ``TaskLosses``. A confidence is logged as the mean over
            the samples that have the modality, NaN if there are none.
    """

    terms: Mapping[Task, Mapping[str, Tensor]]
    confidences: Mapping[Task, Mapping[str, Tensor]] = field(
        default_factory=dict
    )
    features: Mapping[str, Tensor] = field(default_factory=dict)
    statistics: Mapping[str, Mapping[str, Tensor]] = field(
        default_factory=dict
    )
    values: Mapping[str, Tensor] = field(default_factory=dict)
    present: Mapping[str, Tensor] = field(default_factory=dict)

    def as_losses(self) -> dict[str, Any]:
        """Return the flat dict of MMEngine's ``loss`` mode."""
        return {
            **{
                loss_name(task, term): value
                for task, terms in self.terms.items()
                for term, value in terms.items()
            },
            **self.values,
            **{
                log_names.of_modality(SIDES[task], modality): value
                for task, by_modality in self.confidences.items()
                for modality, value in by_modality.items()
            },
            REPORT: self,
        }

    def parse(
        self,
        parameters: Mapping[str, Sequence[Parameter]],
        feedback: Callable[[Mapping[str, Tensor]], None],
        unclipped: Sequence[Parameter] = (),
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what ``parse_losses`` has to.

        Args:
            parameters: Those of the encoders, by modality.
            feedback: As in ``TaskLosses``.
            unclipped: As in ``TaskLosses``.
        """
        losses = self.as_losses()
        del losses[REPORT]
        logged = {name: x.mean().detach() for name, x in losses.items()}
        logged.update(self._masked_means())
        by_task = {
            task: _sum([x.mean() for x in terms.values()])
            for task, terms in self.terms.items()
            if terms
        }
        total: Tensor = sum(
            list(by_task.values())[1:], start=next(iter(by_task.values()))
        )
        attach_task_losses(
            total,
            TaskLosses(
                by_task,
                parameters,
                self.confidences,
                features=self.features,
                statistics=self.statistics,
                present=self.present,
                feedback=feedback,
                unclipped=unclipped,
            ),
        )
        return total, {'loss': total.detach(), **logged}

    def _masked_means(self) -> dict[str, Tensor]:
        return {
            f'{SIDES[task]}_{m}': torch.where(mask, by_modality[m], 0).sum()
            / mask.sum()
            for task, by_modality in self.confidences.items()
            for m, mask in self.present.items()
        }


def _sum(terms: Sequence[Tensor]) -> Tensor:
    return terms[0] if len(terms) == 1 else torch.stack(list(terms)).sum()
