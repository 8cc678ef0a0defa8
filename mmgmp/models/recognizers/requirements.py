"""What the pieces of a recognizer need of each other, checked when built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from mmgmp.models.contributions import BaseContribution
from mmgmp.models.layers.full_precision import full_precision
from mmgmp.models.methods import Translator
from mmgmp.models.recognizers.shares import SharedParts, domain_provider
from mmgmp.structures import Task
from mmgmp.utils.checks import check_choice

_STAND_INS = ('zeros', 'translate')
_PLANS = {'views': 'MultiViewPlan', 'inner_features': 'InnerStepPlan'}
_HEADS = (
    "model.unimodal_heads=dict(type='MLPClassifierHead', num_classes=..., "
    'hidden_channels=0)'
)


class CheckedModel(SharedParts, Protocol):
    """The recognizer with everything that can be checked."""

    forward_plan: Any
    missing_modalities: Mapping[str, str]
    modalities: tuple[str, ...]


def order_modalities(
    encoders: Mapping[str, Any], order: Sequence[str] | None
) -> dict[str, Any]:
    """Leave out dropped modalities, and put the others in order.

    Args:
        encoders: Config by modality; None drops it.
        order: All names in order; None keeps that of ``encoders``.

    Returns:
        Config by modality.

    Raises:
        ValueError: If ``order`` does not name every encoder once.

    Example:
        >>> encoders = {'audio': 1, 'flow': None, 'video': 2}
        >>> order_modalities(encoders, ['video', 'audio', 'flow'])
        {'video': 2, 'audio': 1}
    """
    names = list(encoders) if order is None else list(order)
    if sorted(names) != sorted(encoders):
        raise ValueError(
            'model.modality_order must name every modality of model.encoders '
            f'once, got {names} for {list(encoders)}; correct it, or leave '
            'it out'
        )
    return {m: encoders[m] for m in names if encoders[m] is not None}


def check_methods(model: CheckedModel) -> None:
    """Refuse methods whose needs the model does not meet.

    Args:
        model: The recognizer with everything but ``missing_modalities``.

    Raises:
        ValueError: If heads or a forward plan are missing, or there is a
            domain head too many.
    """
    for method in model.methods:
        name = type(method).__name__
        if method.needs_unimodal_heads and not model.unimodal_heads:
            raise ValueError(
                f'model.methods: {name} needs model.unimodal_heads, got '
                f'none; set {_HEADS}'
            )
        for need in sorted(method.needs_plan - model.forward_plan.provides):
            raise ValueError(
                f'model.methods: {name} needs a model.forward_plan that '
                f'provides {need!r}, got '
                f'{type(model.forward_plan).__name__}; set '
                f'model.forward_plan=dict(type={_PLANS.get(need)!r})'
            )
        is_provider = domain_provider([method]) is not None
        if is_provider and model.domain_head is not None:
            raise ValueError(
                f'model.methods: {name} brings its own domain '
                'discriminators, got model.domain_head besides; set '
                'model.domain_head=None'
            )


def check_contribution(
    model: SharedParts, task: Task, contribution: BaseContribution
) -> None:
    """Refuse a contribution that has nothing to read.

    Args:
        model: The recognizer with its heads and methods.
        task: Which side the contribution is for.
        contribution: The contribution.

    Raises:
        ValueError: If separate heads are needed but not there, or there is
            no joint domain head to split.
    """
    name = type(contribution).__name__
    if task is Task.CLASSIFICATION:
        if contribution.needs_unimodal_heads and not model.unimodal_heads:
            raise ValueError(
                f'model.contribution={name} needs model.unimodal_heads, got '
                f'none; set {_HEADS} or another contribution'
            )
    elif contribution.needs_unimodal_heads:
        if model.domain_head is not None:
            raise ValueError(
                f'model.contribution.domain={name} needs a method with a '
                'domain discriminator per modality, got model.domain_head; '
                "set model.contribution=dict(semantic=..., domain='masked')"
            )
    elif model.domain_head is None:
        raise ValueError(
            f'model.contribution.domain={name} needs model.domain_head, got '
            'a method with its own discriminators; set '
            "model.contribution=dict(semantic=..., domain='unimodal')"
        )


def check_transforms(transforms: Iterable[Any]) -> None:
    """Refuse a transform that acts at test time behind one that does not.

    Args:
        transforms: The feature transforms, in order.

    Raises:
        ValueError: If one that acts in training only is not among the last.
    """
    flags = [transform.training_only for transform in transforms]
    if flags != sorted(flags):
        names = [type(transform).__name__ for transform in transforms]
        raise ValueError(
            'model.feature_transforms must end with those that act in '
            f'training only, got {names}; change their order'
        )


def check_missing(model: CheckedModel) -> None:
    """Refuse stand-ins that cannot be made.

    Args:
        model: The recognizer, complete.

    Raises:
        ValueError: If a modality or stand-in is unknown, nothing is left, or
            no method can translate.
    """
    missing: Mapping[str, str] = model.missing_modalities
    unknown = sorted(set(missing) - set(model.modalities))
    if unknown or (missing and len(missing) == len(model.modalities)):
        raise ValueError(
            'model.missing_modalities must name some but not all of '
            f'{list(model.modalities)}, got {list(missing)}'
        )
    for modality, stand_in in missing.items():
        key = f'model.missing_modalities.{modality}'
        check_choice(key, stand_in, _STAND_INS)
        if stand_in == 'translate' and _translator(model) is None:
            raise ValueError(
                f"model.missing_modalities.{modality}='translate' needs a "
                'method with translators, got '
                f'{[type(m).__name__ for m in model.methods]}; add '
                "SimMMDGMethod to model.methods or use 'zeros'"
            )


def fill_missing(
    model: CheckedModel, features: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Add stand-ins for the missing modalities, in modality order.

    Args:
        model: The recognizer.
        features: Features of the modalities that are there.

    Returns:
        Features ``(N, D_m)`` of all modalities.
    """
    first = next(iter(features.values()))
    filled = {}
    for modality, encoder in model.encoders.items():
        if modality in features:
            filled[modality] = features[modality]
        elif model.missing_modalities[modality] == 'zeros':
            filled[modality] = first.new_zeros(
                len(first), encoder.out_channels
            )
        else:
            with full_precision(first):
                filled[modality] = _translator(model).translate(
                    features, modality
                )
    return filled


def _translator(model: CheckedModel) -> Any:
    return next(
        (
            method
            for method in model.methods
            if isinstance(method, Translator) and method.can_translate
        ),
        None,
    )
