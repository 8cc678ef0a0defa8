"""From encoder outputs and labels to the batch that losses are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from mmaction.structures import ActionDataSample
from torch import Tensor

from mmgmp.models.feature_transforms import FeatureContext
from mmgmp.models.layers.full_precision import full_precision
from mmgmp.models.recognizers.shares import (
    SharedParts,
    domain_provider,
    share,
)
from mmgmp.structures import (
    MultiModalBatch,
    Task,
    keep_present,
    read_presence,
)


def assemble(
    model: SharedParts,
    outputs: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    data_samples: Sequence[ActionDataSample],
) -> MultiModalBatch:
    """Transform, fuse and classify the encoder outputs of one batch.

    Args:
        model: The recognizer.
        outputs: Encoder outputs, ``(N, D_m)`` per modality.
        inputs: What the encoders were given.
        data_samples: With ``gt_label`` and ``domain_label``.

    Returns:
        The batch, attached to the graph.

    Raises:
        ValueError: If a label is outside the classes or source domains.
    """
    labels, domain_labels = _checked_labels(model, data_samples)
    device = next(iter(outputs.values())).device
    labels = labels.to(device, non_blocking=True)
    clean = apply_transforms(model, outputs, labels, training_only=False)
    # Once more: a norm shifts zeros, and no gradient may reach them.
    clean = keep_present(clean, read_presence(inputs))
    features = apply_transforms(model, clean, labels, training_only=True)
    fused = model.fusion(features)
    # In this order, which is that of the random draws of their dropout.
    logits, hidden = _classify(model, fused)
    domain_logits = _discriminate(model, fused, clean)
    unimodal_logits = {
        m: head(features[m]) for m, head in model.unimodal_heads.items()
    }
    return MultiModalBatch(
        features=features,
        clean_features=clean,
        labels=labels,
        domain_labels=domain_labels.to(device, non_blocking=True),
        fused=fused,
        logits=logits,
        domain_logits=domain_logits,
        unimodal_logits=unimodal_logits,
        unimodal_domain_logits=_domain_logits_in_pass(model, features),
        inputs=inputs,
        outputs=outputs,
        classify=lambda f: model.cls_head(model.fusion(f)),
        output_weight=model.cls_head.output.weight,
        hidden=hidden,
        shares=partial(
            share, model, Task.CLASSIFICATION, clean, unimodal_logits
        ),
    )


def _classify(
    model: SharedParts, fused: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Class logits and, if a method asks, what made them in the last layer."""
    if not any('hidden_channels' in m.build_with for m in model.methods):
        return model.cls_head(fused), None
    read: list[Tensor] = []
    hook = model.cls_head.output.register_forward_pre_hook(
        lambda _, args: read.append(args[0])
    )
    with hook:
        logits = model.cls_head(fused)
    return logits, read[0]


def _checked_labels(
    model: SharedParts, data_samples: Sequence[ActionDataSample]
) -> tuple[Tensor, Tensor]:
    """Gather the labels, and check them while they are on the host."""
    labels = _gather(data_samples, 'gt_label')
    domain_labels = _gather(data_samples, 'domain_label')
    model.cls_head.check_labels(labels)
    if model.domain_head is not None:
        model.domain_head.check_labels(domain_labels)
    for method in model.methods:
        method.check_labels(labels, domain_labels)
    return labels, domain_labels


def _gather(data_samples: Iterable[ActionDataSample], field: str) -> Tensor:
    """Concatenate one label per sample."""
    return torch.cat([sample.get(field) for sample in data_samples])


def apply_transforms(
    model: SharedParts,
    features: Mapping[str, Tensor],
    labels: Tensor | None,
    training_only: bool,
) -> dict[str, Tensor]:
    """Apply those feature transforms that act always, or in training only.

    Args:
        model: The recognizer.
        features: ``(N, D_m)`` per modality.
        labels: Class labels ``(N,)`` in training, else None.
        training_only: Which of the two kinds.
    """
    context = FeatureContext(
        labels,
        None
        if labels is None
        else lambda f: share(model, Task.CLASSIFICATION, f),
    )
    transformed = dict(features)
    for transform in model.feature_transforms:
        if transform.training_only is training_only:
            transformed = transform(transformed, context)
    return transformed


def _discriminate(
    model: SharedParts, fused: Tensor, clean: Mapping[str, Tensor]
) -> Tensor | None:
    """Domain logits, of clean features if a transform asks for it."""
    if model.domain_head is None:
        return None
    if any(Task.DOMAIN not in t.tasks for t in model.feature_transforms):
        fused = model.fusion(clean)
    logits: Tensor = model.domain_head(fused)
    return logits


def _domain_logits_in_pass(
    model: SharedParts, features: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """Unimodal domain logits, for a method that wants them only once."""
    provider = domain_provider(model.methods)
    if provider is None or not provider.domain_logits_in_pass:
        return {}
    with full_precision(next(iter(features.values()))):
        return provider.domain_logits(features)


def batch_accuracies(batch: MultiModalBatch) -> dict[str, Any]:
    """Return accuracies on the batch; the discriminator's beside chance.

    Args:
        batch: The batch.

    Returns:
        0-dim values by log name.
    """
    values = {'accuracy': _accuracy(batch.logits, batch.labels)}
    if batch.domain_logits is not None:
        values['domain_accuracy'] = _accuracy(
            batch.domain_logits, batch.domain_labels
        )
        values['domain_chance'] = torch.full_like(
            values['accuracy'], 1 / batch.domain_logits.shape[1]
        )
    return values


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.detach().argmax(1) == labels).float().mean()


def write_predictions(
    data_samples: Sequence[ActionDataSample],
    scores: Tensor,
    by_modality: Mapping[str, Tensor],
) -> None:
    """Add scores to samples.

    Args:
        data_samples: Filled in.
        scores: Probabilities ``(N, K)``.
        by_modality: Those of each modality's share, ``(N, K)``; modalities
            that a sample lacks (``missing_modalities``) are left out.
    """
    for index, (sample, score) in enumerate(
        zip(data_samples, scores, strict=True)
    ):
        sample.set_pred_score(score)
        sample.set_pred_label(score.argmax(0, keepdim=True))
        lacking = sample.get('missing_modalities', ())
        sample.set_field(
            {m: s[index] for m, s in by_modality.items() if m not in lacking},
            'modality_scores',
        )
