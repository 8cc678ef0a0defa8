"""Modulation and projection as one decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mmgmp.engine.optim.diagnostics import Diagnostics
from mmgmp.engine.optim.encoder_groups import EncoderGroups
from mmgmp.engine.optim.gradients import Gradients
from mmgmp.engine.optim.strategies.base import (
    FeedbackModulation,
    Modulation,
    Projection,
    TensorModulation,
    identity_coefficients,
)
from mmgmp.engine.optim.strategies.nothing import NoModulation, NoProjection
from mmgmp.structures import (
    BatchSignals,
    Coefficients,
    GradientProducts,
    Task,
    TaskLosses,
)
from mmgmp.utils import log_names
from mmgmp.utils.ratios import poison


class CombineRule:
    """Decides how strongly each task gradient of each encoder counts.

    Everything that the course of a step depends on is fixed here, before the
    first batch: every rank of a run then takes the same course.

    Args:
        modulation: How strongly each task gradient counts; None is off.
        projection: What happens where two tasks conflict; None is off.
        diagnostics: Where decisions are recorded.

    Raises:
        ValueError: If the two cannot be combined.
    """

    def __init__(
        self,
        modulation: Modulation | None,
        projection: Projection | None,
        diagnostics: Diagnostics,
    ) -> None:
        #: What is switched on, by the name of its config key.
        self.parts: dict[str, Modulation | Projection] = {}
        if modulation is not None:
            self.parts['modulation'] = modulation
        if projection is not None:
            self.parts['projection'] = projection
        self._modulation = modulation or NoModulation()
        self._projection = projection or NoProjection()
        self._diagnostics = diagnostics
        #: Tasks whose gradients are compared.
        self.pair = self._projection.pair
        #: Tasks by which differentiation they share.
        self.task_groups = _group_tasks(self._modulation, self._projection)
        #: Whether encoders are not scaled as wholes.
        self.acts_on_tensors = isinstance(modulation, TensorModulation)
        #: Whether the result is a weighted sum of the tasks, with weights
        #: that are known before the gradients are.
        self.is_linear = projection is None and not self.acts_on_tensors
        #: Whether a parameter with one of the compared gradients is left out.
        self.keeps_unpaired = self._projection.keeps_unpaired
        if self.acts_on_tensors and projection is not None:
            raise ValueError(
                f'optim_wrapper.modulation={self.modulation_name} acts '
                'on single tensors, a projection on whole encoders, got '
                f'projection={type(projection).__name__}; set '
                'optim_wrapper.projection=None'
            )

    @property
    def modulation_name(self) -> str:
        """For messages."""
        return type(self._modulation).__name__

    # -- before the gradients ---------------------------------------------

    def view(self, tasks: TaskLosses) -> TaskLosses:
        """Return the task losses as this strategy tells them apart.

        A projection that compares classification with something else has to
        see all of it; elsewhere the two kinds have factors of their own,
        which are equal unless the modulation says otherwise.
        """
        apart = self._projection.apart
        if Task.CLASSIFICATION in apart and Task.UNIMODAL not in apart:
            return tasks.with_unimodal_as_classification()
        return tasks

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
        kind = type(self._modulation)
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
        return self._modulation.observe(tasks)

    # -- with them --------------------------------------------------------

    def dropped(self, signals: BatchSignals) -> frozenset[Task]:
        """Tasks that are kept from the encoders in this step."""
        if self._modulation.is_active(signals.epoch):
            return self._modulation.dropped_tasks
        return frozenset()

    def coefficients(self, signals: BatchSignals) -> Coefficients:
        """Modulate.

        Every factor is NaN if a signal is not finite, whatever the strategy
        makes of it: an update must not be drawn from what is not a number.
        """
        lost = poison(
            signals.semantic_ratio,
            signals.domain_ratio,
            *signals.means.values(),
        )
        # Outside its window a modulation still updates running statistics.
        coefficients = self._modulation.coefficients(signals)
        if not self._modulation.is_active(signals.epoch):
            coefficients = identity_coefficients(signals)
        coefficients = coefficients.shifted(lost)
        for name, values in self._modulation.report(coefficients).items():
            self._diagnostics.record(name, values)
        return coefficients

    def decide(
        self,
        products: GradientProducts,
        signals: BatchSignals,
        unit: Tensor | float,
    ) -> tuple[Coefficients, Coefficients | None]:
        """Modulate, project, and record what was found.

        Args:
            products: Inner products of the compared gradients.
            signals: What else is known of this step.
            unit: Factor by which the gradients are too large.

        Returns:
            The factors, and those before projection if there was one.
        """
        coefficients = self.coefficients(signals)
        if Task.UNIMODAL not in self.pair and self._projection.apart:
            _check_factors(coefficients, self.parts)
        self._record_products(products, coefficients, unit)
        projected, conflict = self._projection.project(
            replace(products, unit=unit), coefficients, signals
        )
        self._diagnostics.record(log_names.CONFLICT, conflict)
        if not self._projection.is_active(signals.epoch):
            return coefficients, None
        return projected, coefficients

    def _record_products(
        self,
        products: GradientProducts,
        coefficients: Coefficients,
        unit: Tensor | float,
    ) -> None:
        record = self._diagnostics.record
        norms = products.classification.sqrt(), products.domain.sqrt()
        for task, norm in zip(self.pair, norms, strict=True):
            record(log_names.grad_norm(task.name.lower()), norm / unit)
        # Where a gradient is zero there is no cosine: 0 / tiny shows as 0.
        tiny = torch.finfo(products.cross.dtype).tiny
        cosine = products.cross / (norms[0] * norms[1]).clamp(min=tiny)
        record(log_names.COSINE, cosine)
        if self.pair == (Task.CLASSIFICATION, Task.DOMAIN):
            # An adaptive optimizer keeps this quotient and little else.
            semantic, domain = (
                coefficients.of(task) * norm
                for task, norm in zip(self.pair, norms, strict=True)
            )
            record(log_names.EFFECTIVE_LAMBDA, domain / semantic)

    def selected(
        self, groups: EncoderGroups, part: slice, gradients: Gradients
    ) -> list[Tensor]:
        """Present gradients of one encoder that the modulation scales."""
        return [
            gradient
            for parameter, gradient in zip(
                groups.flat[part], gradients[part], strict=True
            )
            if gradient is not None and self._selects(parameter)
        ]

    def inspect(
        self,
        groups: EncoderGroups,
        gradients: Mapping[Task, Gradients],
        signals: BatchSignals,
    ) -> None:
        """Show the raw gradients to a modulation that asks for them."""
        modulation = self._modulation
        if not isinstance(modulation, TensorModulation):
            return
        if not modulation.is_active(signals.epoch):
            return

        # One tensor at a time: a list of all sums would be another copy.
        def totals(part: slice) -> Iterator[Tensor]:
            for index in range(part.start, part.stop):
                parts = [
                    gradient
                    for by_task in gradients.values()
                    if (gradient := by_task[index]) is not None
                ]
                if parts and self._selects(groups.flat[index]):
                    yield sum(parts[1:], start=parts[0])

        modulation.inspect(
            dict(
                zip(groups.by_modality, map(totals, groups.parts), strict=True)
            ),
            signals,
        )

    def finalize(
        self,
        groups: EncoderGroups,
        signals: BatchSignals,
        unit: Tensor | float,
    ) -> None:
        """Let the modulation change what is in ``.grad`` now."""
        if self._modulation.is_active(signals.epoch):
            self._modulation.finalize(
                {
                    m: [
                        (p, p.grad)
                        for p in parameters
                        if p.grad is not None and self._selects(p)
                    ]
                    for m, parameters in groups.by_modality.items()
                },
                replace(signals, unit=unit),
            )

    def feed_back(self, tasks: TaskLosses) -> None:
        """Tell the model what was decided, if both sides ask for it."""
        if tasks.feedback is not None and isinstance(
            self._modulation, FeedbackModulation
        ):
            tasks.feedback(self._modulation.feedback())

    def _selects(self, parameter: torch.nn.Parameter) -> bool:
        return not isinstance(
            self._modulation, TensorModulation
        ) or self._modulation.selects(parameter)

    # -- state ------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what the parts remember."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore it; a part without a state starts afresh."""
        for name, part in self.parts.items():
            part.load_state_dict(state.get(name, {}))


def _group_tasks(
    modulation: Modulation, projection: Projection
) -> list[tuple[Task, ...]]:
    """Partition the tasks into those differentiated together."""
    together = tuple(
        t
        for t in Task
        if t in modulation.shared_tasks and t not in projection.apart
    )
    alone: list[tuple[Task, ...]] = [
        (task,) for task in Task if task not in together
    ]
    return [together, *alone] if together else alone


def _check_factors(
    coefficients: Coefficients, parts: Mapping[str, object]
) -> None:
    """Refuse a factor for losses that were counted as classification."""
    if coefficients.unimodal is not None:
        names = {key: type(part).__name__ for key, part in parts.items()}
        raise ValueError(
            f'optim_wrapper.projection={names.get("projection")} counts '
            'the losses of unimodal heads as classification, got a factor of '
            f'their own from modulation={names.get("modulation")}; set one '
            'of the two to None'
        )
