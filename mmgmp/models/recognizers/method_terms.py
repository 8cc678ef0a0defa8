"""Ask the methods of a model for their losses, in full precision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.nn import Parameter

from mmgmp.models.layers.full_precision import full_precision
from mmgmp.models.methods import (
    FeedbackReceiver,
    OwnTeachers,
    StatisticsMethod,
    TeachingMethod,
    WatchingMethod,
)
from mmgmp.structures import FrozenState, MultiModalBatch, Task, Teacher
from mmgmp.structures.loss_report import loss_name

Terms = dict[Task, dict[str, Tensor]]


def add_method_terms(
    terms: Terms,
    methods: Sequence[Any],
    batch: MultiModalBatch,
    teacher: Teacher | None,
) -> None:
    """Add the losses of all methods to those of the heads.

    Args:
        terms: 0-dim losses by task and name; added to.
        methods: The MMDG methods of a model.
        batch: The batch.
        teacher: The averaged model, if there is one.

    Raises:
        RuntimeError: If a method needs a teacher and there is none.
        ValueError: If two methods use one name.
    """
    taught = _ask_teacher(methods, batch, teacher)
    for method, told in zip(methods, taught, strict=True):
        if isinstance(method, OwnTeachers):
            # In the precision of the student's encoders.
            told = {**told, **method.ask(batch.inputs)}
        with full_precision(batch.logits):
            tagged = method.losses(replace(batch, teacher=told))
        for task, named in tagged.items():
            _add(terms.setdefault(task, {}), task, named)


def _ask_teacher(
    methods: Sequence[Any], batch: MultiModalBatch, teacher: Teacher | None
) -> Sequence[Mapping[str, Tensor]]:
    """Return what each method's averaged copy says; empty before it begins."""
    if any(isinstance(method, TeachingMethod) for method in methods):
        if teacher is None:
            raise RuntimeError(
                'model.methods has one that needs a teacher, got none; '
                "add teacher=dict(type='TeacherHook', ...) to default_hooks"
            )
        if teacher.is_ready:
            return teacher.teach(batch.inputs)
    return [{}] * len(methods)


def run_shared_stages(
    encoders: Mapping[str, Any],
    methods: Iterable[Any],
    inputs: Mapping[str, Any],
) -> dict[str, Any]:
    """Run frozen stages once that a method's own teachers have, too.

    Args:
        encoders: Encoders of the model by modality.
        methods: The MMDG methods of the model.
        inputs: Inputs by modality, and masks.

    Returns:
        The inputs, some of them behind the frozen stages.
    """
    shared = [
        set(method.shared_stages(encoders))
        for method in methods
        if isinstance(method, OwnTeachers)
    ]
    names = set.intersection(*shared) if shared else set()
    return {
        name: _run_frozen(encoders[name], value) if name in names else value
        for name, value in inputs.items()
    }


def _run_frozen(encoder: Any, inputs: Any) -> Any:
    # A batch in which no sample has the modality is empty.
    if isinstance(inputs, FrozenState) or not inputs.numel():
        return inputs
    maps, clips = encoder.forward_frozen(inputs)
    return FrozenState(maps if isinstance(maps, tuple) else (maps,), clips)


def _add(
    own: dict[str, Tensor], task: Task, named: Mapping[str, Tensor]
) -> None:
    if twice := set(own) & set(named):
        raise ValueError(
            f'model.methods return two terms {loss_name(task, min(twice))!r}; '
            'leave one of the two methods out'
        )
    own.update(named)


def teach(
    methods: Iterable[Any], features: Mapping[str, Tensor], logits: Tensor
) -> list[Mapping[str, Tensor]]:
    """Return what each method, as the teacher's copy, tells the student.

    Args:
        methods: Those of the averaged model.
        features: ``(N, D_m)`` per modality.
        logits: Fused class logits ``(N, K)``.
    """
    with full_precision(logits):
        return [
            method.teach(features, logits)
            if isinstance(method, TeachingMethod)
            else {}
            for method in methods
        ]


def statistics(
    methods: Iterable[Any], batch: MultiModalBatch
) -> dict[str, Mapping[str, Tensor]]:
    """Collect the methods' per-sample numbers for gradient strategies.

    Args:
        methods: The MMDG methods of a model.
        batch: The batch.

    Returns:
        ``(N,)`` by name and modality.
    """
    found: dict[str, Mapping[str, Tensor]] = {}
    with full_precision(batch.logits):
        for method in methods:
            if isinstance(method, StatisticsMethod):
                found.update(method.statistics(batch))
    return found


def hand_on_feedback(
    methods: Iterable[Any], feedback: Mapping[str, Tensor]
) -> None:
    """Tell the methods what the modulation says after a step.

    Args:
        methods: The MMDG methods of a model.
        feedback: Tensors ``(M,)`` by name.
    """
    for method in methods:
        if isinstance(method, FeedbackReceiver):
            method.receive(feedback)


def unclipped_parameters(methods: Iterable[Any]) -> list[Parameter]:
    """Collect what gradient clipping leaves out.

    Args:
        methods: The MMDG methods of a model.

    Example:
        >>> unclipped_parameters([])
        []
    """
    return [
        parameter
        for method in methods
        if isinstance(method, WatchingMethod)
        for parameter in method.unclipped_parameters()
    ]
