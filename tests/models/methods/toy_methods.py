"""All methods, small, with what each needs of the model."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer

HEADS = dict(
    type='MLPClassifierHead', num_classes=3, hidden_channels=0, dropout=0.0
)
SMALL = dict(projector_channels=16, embedding_channels=8)


def method_config(name: str, num_domains: int = 2) -> dict[str, Any]:
    """Keys of the model that a method brings along."""
    return {
        'rna_net': dict(
            methods=[dict(type='RNANetMethod', classwise_weight=0.5)]
        ),
        'simmmdg': dict(
            methods=[
                dict(type='SimMMDGMethod', translator_channels=16, **SMALL)
            ]
        ),
        'moosa': dict(
            methods=[
                dict(
                    type='MOOSAMethod',
                    translator_channels=16,
                    jigsaw_channels=16,
                    num_permutations=16,
                    **SMALL,
                )
            ],
            unimodal_heads=HEADS,
        ),
        'cmrf': dict(
            methods=[dict(type='CMRFMethod', **SMALL)], unimodal_heads=HEADS
        ),
        'nel': dict(
            methods=[dict(type='NELMethod', num_neighbours=3, **SMALL)],
            forward_plan=dict(type='MultiViewPlan'),
        ),
        'jat': dict(
            methods=[
                dict(
                    type='JATMethod',
                    num_domains=num_domains,
                    hidden_channels=16,
                    local_channels=8,
                )
            ],
            unimodal_heads=HEADS,
            domain_head=None,
        ),
        'mbcd': dict(
            methods=[dict(type='MBCDMethod')],
            unimodal_heads=dict(HEADS, hidden_channels=16),
            feature_transforms=[dict(type='FeatureNorm')],
            forward_plan=dict(type='InnerStepPlan', step_size=0.01),
        ),
        # One term of each kind; both are extra by default.
        'mer_dg': dict(
            methods=[
                dict(
                    type='MERDGMethod', tasks=dict(marginal='domain'), **SMALL
                )
            ]
        ),
        **_baselines(num_domains),
    }[name]


def _baselines(num_domains: int) -> dict[str, Any]:
    """Plain domain generalisation, with weights that act at once."""
    sizes = dict(num_domains=num_domains)
    sure = dict(sizes, anneal_steps=0)
    return {
        'coral': dict(
            methods=[dict(type='CORALMethod', num_domains=num_domains)]
        ),
        'mmd': dict(methods=[dict(type='MMDMethod', num_domains=num_domains)]),
        'irm': dict(methods=[dict(type='IRMMethod', weight=1.0, **sure)]),
        'vrex': dict(methods=[dict(type='VRExMethod', **sure)]),
        'group_dro': dict(
            methods=[dict(type='GroupDROMethod', eta=1.0, **sizes)]
        ),
        'fishr': dict(methods=[dict(type='FishrMethod', weight=10.0, **sure)]),
        'mixup': dict(methods=[dict(type='MixupMethod')]),
    }


BASELINES = ('coral', 'mmd', 'irm', 'vrex', 'group_dro', 'fishr', 'mixup')
METHODS = (
    'rna_net',
    'simmmdg',
    'moosa',
    'cmrf',
    'nel',
    'jat',
    'mbcd',
    'mer_dg',
)
TEACHABLE = ('cmrf', 'mbcd')


class CopyTeacher:
    """A teacher that is a copy of the model as it was."""

    is_ready = True

    def __init__(self, model):
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def teach(self, inputs):
        return self.model.teach(inputs)


def build_model(
    name: str,
    modalities: tuple[str, ...] = ('video', 'audio'),
    num_domains: int | None = 2,
    **kwargs: Any,
):
    """A toy recognizer with one method and, if needed, a teacher."""
    torch.manual_seed(0)
    keys = {**method_config(name, num_domains or 1), **kwargs}
    model = MODELS.build(
        toy_recognizer(modalities, num_domains=num_domains, **keys)
    )
    if name in TEACHABLE:
        model.set_teacher(CopyTeacher(model))
    return model


def batch_for(
    name: str,
    modalities: tuple[str, ...] = ('video', 'audio'),
    num_domains: int = 2,
    seed: int = 0,
):
    """A toy batch, of two views for the method that wants them."""
    kwargs = dict(modalities=modalities, num_domains=num_domains)
    inputs, samples = toy_batch(6, seed=seed, **kwargs)
    if name == 'nel':
        others, more = toy_batch(6, seed=seed + 100, **kwargs)
        inputs = {m: torch.cat([x, others[m]]) for m, x in inputs.items()}
        samples = samples + more
    return inputs, samples


def small_encoders(
    modalities: tuple[str, ...], like: str = 'flow'
) -> dict[str, Any]:
    """One of the smallest encoders for each modality."""
    one = toy_recognizer((like,))['encoders'][like]
    if like == 'audio':
        # Two stages have a sixteenth of the weights of four.
        stages = dict(strides=(1, 2), dilations=(1, 1), out_indices=(1,))
        one['backbone'].update(num_stages=2, **stages)
    return {m: copy.deepcopy(one) for m in modalities}


def small_batch_for(
    name: str,
    modalities: tuple[str, ...],
    num_domains: int = 2,
    seed: int = 0,
    like: str = 'flow',
):
    """A toy batch for :func:`small_encoders`."""
    batches = [
        batch_for(name, (like,), num_domains, seed + 1000 * index)
        for index in range(len(modalities))
    ]
    inputs = {
        m: batch[0][like] for m, batch in zip(modalities, batches, strict=True)
    }
    return inputs, batches[0][1]


def hand_batch(
    features: dict[str, Tensor],
    labels: list[int],
    domain_labels: list[int] | None = None,
    **kwargs: Any,
) -> MultiModalBatch:
    """A batch for numbers that can be checked by hand."""
    count = len(labels)
    kwargs.setdefault('logits', torch.zeros(count, 2))
    return MultiModalBatch(
        features=features,
        labels=torch.tensor(labels),
        domain_labels=torch.tensor(domain_labels or [0] * count),
        fused=torch.cat(list(features.values()), 1),
        **kwargs,
    )
