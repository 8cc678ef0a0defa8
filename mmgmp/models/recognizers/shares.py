"""What each modality says through the joint heads, and how surely."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from torch import Tensor

from mmgmp.models.contributions import (
    BaseContribution,
    JointHead,
    evaluating,
)
from mmgmp.models.layers.full_precision import full_precision
from mmgmp.models.methods import DomainLogits
from mmgmp.structures import MultiModalBatch, Task


class SharedParts(Protocol):
    """What is read of a recognizer here and while it is put together.

    The modules stay attributes of the recognizer, and functions are given
    the recognizer: a reference held elsewhere would survive a deep copy but
    not ``convert_sync_batchnorm``, and the names in checkpoints would change.
    """

    encoders: Any
    fusion: Any
    cls_head: Any
    domain_head: Any
    unimodal_heads: Any
    feature_transforms: Any
    methods: Any
    contributions: dict[Task, BaseContribution]


def domain_provider(methods: Iterable[Any]) -> DomainLogits | None:
    """Return the method that brings its own discriminators, if any.

    Args:
        methods: The MMDG methods of a model.
    """
    return next(
        (
            method
            for method in methods
            if isinstance(method, DomainLogits) and method.has_domain_logits
        ),
        None,
    )


def share(
    model: SharedParts,
    task: Task,
    features: Mapping[str, Tensor],
    unimodal_logits: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Split the logits of one side among the modalities.

    Args:
        model: The recognizer.
        task: ``CLASSIFICATION`` or ``DOMAIN``.
        features: ``(N, D_m)`` per modality.
        unimodal_logits: Those of the training pass; None computes them anew
            where the contribution reads them.

    Returns:
        Logits ``(N, K)`` per modality, in full precision and without
        gradient, of heads in eval mode.
    """
    detached = {m: x.detach() for m, x in features.items()}
    any_feature = next(iter(detached.values()))
    provider: Any = domain_provider(model.methods)
    if task is Task.DOMAIN and provider is not None:
        with evaluating(provider), full_precision(any_feature):
            return dict(provider.domain_logits(detached))
    is_semantic = task is Task.CLASSIFICATION
    head = model.cls_head if is_semantic else model.domain_head
    with (
        evaluating(model.fusion, head, model.unimodal_heads),
        full_precision(any_feature),
    ):
        contribution = model.contributions[task]
        if unimodal_logits is None and contribution.needs_unimodal_heads:
            unimodal_logits = {
                m: h(detached[m]) for m, h in model.unimodal_heads.items()
            }
        return contribution(
            JointHead(
                lambda f: head(model.fusion(f)),
                head.output.bias,
                unimodal_logits or {},
            ),
            detached,
        )


def confidences(
    model: SharedParts, batch: MultiModalBatch
) -> dict[Task, dict[str, Tensor]]:
    """Return the probability of the true label in each modality's share.

    Args:
        model: The recognizer.
        batch: The batch that the losses are computed from.

    Returns:
        ``(N,)`` per side and modality, detached: q of the classes and c of
        the source domains.

    Source: GMP (arXiv 2603.14175), Eq. (5)-(7).
    """
    # What acts in training only (a dropped feature) is no confidence.
    features = batch.clean_features or batch.features
    found = {}
    for task in model.contributions:
        is_semantic = task is Task.CLASSIFICATION
        labels = batch.labels if is_semantic else batch.domain_labels
        # Some methods read them off the training pass itself.
        shares = {} if is_semantic else batch.unimodal_domain_logits
        if not shares:
            shares = share(model, task, features, batch.unimodal_logits)
        found[task] = {
            modality: logits.detach()
            .softmax(1)
            .gather(1, labels[:, None])
            .squeeze(1)
            for modality, logits in shares.items()
        }
    return found
