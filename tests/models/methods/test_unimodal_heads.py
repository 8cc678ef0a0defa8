from __future__ import annotations

import copy

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn
from torch.nn import functional as F

from mmgmp.engine.optim import (
    AmpTaskGradientOptimWrapper,
    TaskGradientOptimWrapper,
)
from mmgmp.models.methods.unimodal_heads import (
    SharedHeadUnimodalMethod,
    UnimodalHeadsMethod,
)
from mmgmp.models.recognizers.shares import share
from mmgmp.structures import Task
from mmgmp.testing.toy_configs import toy_batch

from .toy_methods import hand_batch, small_batch_for, small_encoders
from .toy_strategies import build, three_steps

TWO = ('video', 'audio')
SEPARATE = [dict(type='UnimodalHeadsMethod')]
SHARED = [dict(type='SharedHeadUnimodalMethod')]
DGL = dict(modulation=dict(type='DisentangledModulation'))
PARETO = dict(projection=dict(type='ParetoProjection'))


def test_a_cross_entropy_per_modality():
    logits = {
        'video': torch.tensor([[2.0, 0.0], [0.0, 2.0]]),
        'audio': torch.zeros(2, 2),
    }
    batch = hand_batch(
        {m: torch.zeros(2, 1) for m in TWO}, [0, 1], unimodal_logits=logits
    )
    method = UnimodalHeadsMethod(dict.fromkeys(TWO, 1), 2, weight=3.0)
    (terms,) = method.losses(batch).values()
    torch.testing.assert_close(
        terms['video'], 3 * torch.log1p(torch.tensor(-2.0).exp())
    )
    torch.testing.assert_close(terms['audio'], 3 * torch.tensor(2.0).log())


@pytest.mark.parametrize('modalities', [('video',), TWO, (*TWO, 'flow')])
def test_the_shared_head_is_not_moved(modalities):
    torch.manual_seed(0)
    head = nn.Sequential(
        nn.Linear(4 * len(modalities), 5), nn.Tanh(), nn.Linear(5, 3)
    )
    features = {m: torch.randn(6, 4, requires_grad=True) for m in modalities}
    labels = [0, 1, 2, 0, 1, 2]

    def classify(f):
        return head(torch.cat(list(f.values()), 1))

    batch = hand_batch(features, labels, classify=classify)
    method = SharedHeadUnimodalMethod(dict.fromkeys(modalities, 4), 3, 2.0)
    terms = method.losses(batch)[Task.UNIMODAL]
    found = torch.autograd.grad(
        sum(terms.values()), [*features.values(), *head.parameters()],
        allow_unused=True,
    )  # fmt: skip
    assert all(g is None for g in found[len(modalities) :])
    for (m, feature), gradient in zip(features.items(), found, strict=False):
        alone = {
            n: x if n == m else torch.zeros_like(x)
            for n, x in features.items()
        }
        loss = 2 * F.cross_entropy(classify(alone), torch.tensor(labels))
        torch.testing.assert_close(terms[m], loss)
        torch.testing.assert_close(
            gradient, torch.autograd.grad(loss, feature)[0]
        )


def test_a_head_that_is_not_detached_learns_too():
    weight = torch.ones(2, 2, requires_grad=True)
    batch = hand_batch(
        {'video': torch.eye(2)}, [0, 1], classify=lambda f: f['video'] @ weight
    )
    losses = {}
    for detach in (True, False):
        method = SharedHeadUnimodalMethod({'video': 2}, 2, detach_head=detach)
        losses[detach] = method.losses(batch)[Task.UNIMODAL]['video']
    assert losses[True] == losses[False]
    assert not losses[True].requires_grad
    assert torch.autograd.grad(losses[False], weight)[0].any()


def test_the_weight_comes_after_the_warmup():
    batch = hand_batch(
        {'video': torch.zeros(1, 1)}, [0],
        unimodal_logits={'video': torch.zeros(1, 2)},
    )  # fmt: skip
    hub = MessageHub.get_current_instance()
    method = UnimodalHeadsMethod({'video': 1}, 2, 4.0, warmup_epochs=2)
    try:
        for epoch, weight in ((0, 1), (1, 1), (2, 4)):
            hub.update_info('epoch', epoch)
            (loss,) = method.losses(batch)[Task.UNIMODAL].values()
            assert loss.item() == pytest.approx(weight * 0.693147, abs=1e-5)
    finally:
        hub.update_info('epoch', 0)


ARL = [
    dict(type='ShareStatisticsMethod'),
    dict(type='SharedHeadUnimodalMethod', weight=4.0, detach_head=False),
]


def test_arl_reads_the_shares_of_the_contribution():
    model = build(TWO, methods=ARL, unimodal_heads=None).eval()
    inputs, samples = toy_batch(6, TWO)
    batch = model.forward_plan.run(model, inputs, samples)
    found = model.methods[0].statistics(batch)
    shares = share(model, Task.CLASSIFICATION, batch.features)
    for m, logits in shares.items():
        p = logits.softmax(1)
        torch.testing.assert_close(
            found['share_entropy'][m], torch.special.entr(p).sum(1)
        )
        torch.testing.assert_close(
            found['share_size'][m], logits.norm(p=1, dim=1)
        )
        assert not found['share_size'][m].requires_grad
    three_steps(model, modulation=dict(type='ARLModulation', start_epoch=0))


def step(model, kind=TaskGradientOptimWrapper, **strategy):
    """The model after one step of SGD on one batch."""
    moved = copy.deepcopy(model)
    wrapper = kind(
        optimizer=torch.optim.SGD(moved.parameters(), lr=0.1), **strategy
    )
    inputs, samples = small_batch_for('rna_net', TWO)
    torch.manual_seed(1)
    moved.train_step(dict(inputs=inputs, data_samples=samples), wrapper)
    return moved


def small(methods):
    return build(TWO, methods=methods, encoders=small_encoders(TWO),
                 domain_head=None)  # fmt: skip


def test_dgl_trains_an_encoder_as_if_it_were_alone():
    model = small(SEPARATE)
    together = step(model, **DGL)
    alone = copy.deepcopy(model)
    inputs, samples = small_batch_for('rna_net', TWO)
    data = alone.data_preprocessor(
        dict(inputs=inputs, data_samples=samples), True
    )
    feature = alone.encode(data['inputs'])['audio']
    labels = torch.cat([s.gt_label for s in samples])
    F.cross_entropy(alone.unimodal_heads['audio'](feature), labels).backward()
    torch.optim.SGD(alone.parameters(), lr=0.1).step()
    for name, expected in alone.encoders['audio'].named_parameters():
        found = together.encoders['audio'].get_parameter(name)
        assert torch.equal(found, expected), name
        assert not torch.equal(
            expected, model.encoders['audio'].get_parameter(name)
        )


def test_dgl_trains_the_classifier_as_erm_does():
    plain, dgl = step(small([])), step(small(SHARED), **DGL)
    for part in ('fusion', 'cls_head'):
        for name, value in getattr(plain, part).state_dict().items():
            torch.testing.assert_close(
                getattr(dgl, part).state_dict()[name], value,
                rtol=0, atol=1e-7,
            )  # fmt: skip
    assert any(
        not torch.equal(p, q)
        for p, q in zip(
            plain.encoders.parameters(),
            dgl.encoders.parameters(),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    ('methods', 'strategy'),
    [(SEPARATE, PARETO), (SEPARATE, DGL), (SHARED, DGL)],
    ids=['mmpareto', 'dgl-separate', 'dgl'],
)
def test_three_steps_and_one_in_half_precision(methods, strategy):
    heads = {} if methods is SEPARATE else {'unimodal_heads': None}
    three_steps(build(TWO, methods=methods, **heads), **strategy)
    moved = step(
        small(methods),
        AmpTaskGradientOptimWrapper,
        dtype='bfloat16',
        **strategy,
    )
    assert all(p.isfinite().all() for p in moved.parameters())


def test_the_weight_must_be_positive():
    with pytest.raises(ValueError, match='must be > 0'):
        UnimodalHeadsMethod({'video': 1}, 2, weight=0.0)
    with pytest.raises(ValueError, match='warmup_epochs of Shared'):
        SharedHeadUnimodalMethod({'video': 1}, 2, warmup_epochs=-1)
