"""Modulation and projection as one decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from mmgmp.engine.optim.diagnostics import Diagnostics
from mmgmp.engine.optim.encoder_groups import EncoderGroups
from mmgmp.engine.optim.gradients import Gradients
from mmgmp.engine.optim.strategies.base import (
    Modulation,
    Projection,
    identity_coefficients,
)
from mmgmp.structures import (
    BatchSignals,
    Coefficients,
    GradientProducts,
    Task,
    TaskLosses,
)


class CombineRule:
    """Decides how strongly each task gradient of each encoder counts."""

    def __init__(
        self,
        modulation: Modulation | None,
        projection: Projection | None,
        diagnostics: Diagnostics,
    ) -> None:
        self.modulation = modulation
        self.projection = projection
        self._diagnostics = diagnostics
        self.pair = (projection or Projection).pair
        self.task_groups = _group_tasks(modulation, projection)
        self.acts_on_tensors = modulation is not None and (
            type(modulation).selects is not Modulation.selects
            or type(modulation).inspect is not Modulation.inspect
        )
        if self.acts_on_tensors and projection is not None:
            raise ValueError(
                f'optim_wrapper.modulation={type(modulation).__name__} acts '
                'on single tensors, a projection on whole encoders, got '
                f'projection={type(projection).__name__}; set '
                'optim_wrapper.projection=None'
            )

    @property
    def parts(self) -> dict[str, Modulation | Projection]:
        """What is switched on, by the name of its config key."""
        both = {'modulation': self.modulation, 'projection': self.projection}
        return {k: part for k, part in both.items() if part is not None}

    # -- before the gradients ---------------------------------------------

    def check(self, tasks: TaskLosses) -> None:
        """Refuse a batch that lacks what a part needs."""
        for name, strategy in self.parts.items():
            missing = strategy.required_confidences - set(tasks.confidences)
            if missing:
                raise ValueError(
                    f'optim_wrapper.{name}={type(strategy).__name__} needs '
                    f'confidences for {sorted(t.value for t in missing)}, '
                    f'got {[t.value for t in tasks.confidences]}; set '
                    'model.contribution'
                )
            absent = strategy.required_tasks - set(tasks.losses)
            if absent:
                raise ValueError(
                    f'optim_wrapper.{name}={type(strategy).__name__} needs '
                    f'losses for {sorted(t.value for t in absent)}, got '
                    f'{[t.value for t in tasks.losses]}; add the method that '
                    'brings them to model.methods'
                )
        kind = type(self.modulation)
        observe = getattr(kind, 'observe', Modulation.observe)
        if tasks.present and observe is not Modulation.observe:
            raise ValueError(
                f'optim_wrapper.modulation={kind.__name__} compares means '
                'over the same samples, got samples without '
                f"{sorted(tasks.present)}; set the dataset's "
                "on_missing='raise', or use DecoupledModulation"
            )

    def observe(self, tasks: TaskLosses) -> dict[str, Tensor]:
        """Return what the modulation wants summed over samples."""
        return (
            {} if self.modulation is None else self.modulation.observe(tasks)
        )

    # -- with them --------------------------------------------------------

    def coefficients(self, signals: BatchSignals) -> Coefficients:
        """Modulate."""
        if self.modulation is None:
            return identity_coefficients(signals)
        # Outside its window a modulation still updates running statistics.
        coefficients = self.modulation.coefficients(signals)
        if not self.modulation.is_active(signals.epoch):
            coefficients = identity_coefficients(signals)
        record = self._diagnostics.record
        record('semantic_coefficient', coefficients.classification)
        record('domain_coefficient', coefficients.domain)
        return coefficients

    def decide(
        self,
        products: GradientProducts,
        signals: BatchSignals,
        unit: Tensor | float,
    ) -> tuple[Coefficients, Coefficients | None]:
        """Modulate, project, and record what was found.

        Returns:
            The factors, and those before projection if there was one.
        """
        coefficients = self.coefficients(signals)
        record = self._diagnostics.record
        norm_c = products.classification.sqrt()
        norm_d = products.domain.sqrt()
        for task, norm in zip(self.pair, (norm_c, norm_d), strict=True):
            record(f'{task.name.lower()}_grad_norm', norm / unit)
        tiny = torch.finfo(products.cross.dtype).tiny
        record('cosine', products.cross / (norm_c * norm_d).clamp(min=tiny))
        if self.projection is None:
            record('conflict', products.cross < 0)
            return coefficients, None
        projected, conflict = self.projection.project(
            products, coefficients, signals
        )
        record('conflict', conflict)
        if not self.projection.is_active(signals.epoch):
            return coefficients, None
        return projected, coefficients

    def selected(
        self, groups: EncoderGroups, part: slice, gradients: Gradients
    ) -> list[Tensor]:
        """Present gradients of one encoder that the modulation scales."""
        return [
            gradient
            for parameter, gradient in zip(
                groups.flat[part], gradients[part], strict=True
            )
            if gradient is not None
            and (self.modulation is None or self.modulation.selects(parameter))
        ]

    def inspect(
        self,
        groups: EncoderGroups,
        gradients: Mapping[Task, Gradients],
        signals: BatchSignals,
    ) -> None:
        """Show the raw gradients to a modulation that asks for them."""
        modulation = self.modulation
        if (
            modulation is None
            or type(modulation).inspect is Modulation.inspect
            or not modulation.is_active(signals.epoch)
        ):
            return

        def totals(part: slice) -> Iterator[Tensor]:
            for index in range(part.start, part.stop):
                parts = [
                    gradient
                    for by_task in gradients.values()
                    if (gradient := by_task[index]) is not None
                ]
                if parts and modulation.selects(groups.flat[index]):
                    yield sum(parts[1:], start=parts[0])

        modulation.inspect(
            dict(
                zip(groups.by_modality, map(totals, groups.parts), strict=True)
            ),
            signals,
        )

    def finalize(self, groups: EncoderGroups, signals: BatchSignals) -> None:
        """Let the modulation change what is in ``.grad`` now."""
        modulation = self.modulation
        if modulation is not None and modulation.is_active(signals.epoch):
            modulation.finalize(
                {
                    m: [
                        p.grad
                        for p in parameters
                        if p.grad is not None and modulation.selects(p)
                    ]
                    for m, parameters in groups.by_modality.items()
                },
                signals,
            )

    # -- state ------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what the parts remember."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore it; a part without a state starts afresh."""
        for name, part in self.parts.items():
            part.load_state_dict(state.get(name, {}))


def _group_tasks(
    modulation: Modulation | None, projection: Projection | None
) -> list[tuple[Task, ...]]:
    """Partition the tasks into those differentiated together."""
    shared = frozenset(Task) if modulation is None else modulation.shared_tasks
    pair = () if projection is None else projection.pair
    together = tuple(t for t in Task if t in shared and t not in pair)
    alone: list[tuple[Task, ...]] = [
        (task,) for task in Task if task not in together
    ]
    return [together, *alone] if together else alone
