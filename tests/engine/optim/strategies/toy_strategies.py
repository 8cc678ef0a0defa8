"""Strategies by name, and a toy that has what they ask for."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from mmgmp.engine.optim import TaskGradientOptimWrapper
from mmgmp.structures import (
    BatchSignals,
    Task,
    attach_task_losses,
    get_task_losses,
)
from tests.engine.optim.toy import ToyModel, take, toy_data

STRATEGIES = {
    'ogm': dict(modulation=dict(type='OGMModulation')),
    'ogm-cls': dict(modulation=dict(type='OGMModulation', apply_to='cls')),
    'ogm-ge': dict(modulation=dict(type='OGMModulation', noise=True, seed=3)),
    'ogm-ge-cls': dict(
        modulation=dict(
            type='OGMModulation', noise=True, seed=3, apply_to='cls'
        )
    ),
    'agm': dict(modulation=dict(type='AGMModulation')),
    'agm-cls': dict(modulation=dict(type='AGMModulation', apply_to='cls')),
    'cggm': dict(modulation=dict(type='CGGMModulation', coeff_range=(0, 2))),
    'balgrad': dict(projection=dict(type='BalGradProjection')),
    'balgrad-modality': dict(
        projection=dict(type='BalGradProjection', scope='modality')
    ),
    'pcgrad': dict(projection=dict(type='TaskProjection', rule='pcgrad')),
    **{
        f'gramian-{rule}': dict(
            projection=dict(type='GramianProjection', rule=rule)
        )
        for rule in ('mgda', 'cagrad', 'nash', 'gradvac')
    },
    'mmpareto': dict(projection=dict(type='ParetoProjection')),
    'inforeg': dict(
        modulation=dict(type='AnchorModulation', fisher_window=None)
    ),
    'mwam': dict(modulation=dict(type='MWAMModulation', soft_begin=True)),
    'arl': dict(modulation=dict(type='ARLModulation', start_epoch=0)),
    'dgl': dict(modulation=dict(type='DisentangledModulation', alpha=4.0)),
}
#: What tells unimodal losses from the fused one.
APART = ('mmpareto', 'dgl')
MODULATIONS = {
    name: parts['modulation']
    for name, parts in STRATEGIES.items()
    if 'modulation' in parts and name not in (*APART, 'arl', 'inforeg', 'mwam')
}


class StrategyToy(ToyModel):
    """The toy with unimodal heads, an alignment loss and probe statistics."""

    def __init__(self, modalities=('video', 'audio')):
        super().__init__(modalities)
        self.probes = nn.ModuleDict({m: nn.Linear(3, 4) for m in modalities})
        self.double()
        self.told = []

    def loss(self, data, **kwargs):
        tasks = get_task_losses(super().loss(data, **kwargs))
        _, labels, _ = data
        features = tasks.features
        logits = {m: p(features[m]) for m, p in self.probes.items()}
        modalities = list(logits)
        align = torch.zeros((), dtype=torch.float64)
        extra = torch.zeros((), dtype=torch.float64)
        correct, entropy, size = {}, {}, {}
        low, high = {}, {}
        for index, m in enumerate(modalities):
            other = logits[modalities[index - 1]].detach().softmax(1)
            pulled = logits[m].log_softmax(1)
            align = align - (other * pulled).sum() / max(len(labels), 1)
            right = pulled.gather(1, labels[:, None]).squeeze(1)
            extra = extra - right.sum() / max(len(labels), 1)
            correct[m] = (logits[m].argmax(1) == labels).double()
            entropy[m] = -(pulled.exp() * pulled).sum(1).detach()
            size[m] = logits[m].detach().abs().sum(1)
            squares = features[m].detach().square()
            low[m], high[m] = squares[:, :2].sum(1), squares[:, 2]
        losses = {
            **tasks.losses,
            Task.EXTRA: extra,
            Task.ALIGNMENT: align,
            Task.UNIMODAL: 0.1 * extra,
        }
        return attach_task_losses(
            sum(losses.values()),
            dataclasses.replace(
                tasks,
                losses=losses,
                statistics={
                    'probe_correct': correct,
                    'share_entropy': entropy,
                    'share_size': size,
                    'frequency_low': low,
                    'frequency_high': high,
                },
                feedback=self.told.append,
            ),
        )


def signals(ratios=(1.0, 1.0), epoch=0, step=0, seed=0, **means):
    ratio = torch.tensor(ratios, dtype=torch.float64)
    modalities = ('video', 'audio', 'flow')[: len(ratios)]
    means = {
        name: torch.tensor(value, dtype=torch.float64)
        for name, value in means.items()
    }
    return BatchSignals(
        modalities, ratio, torch.ones_like(ratio), means, epoch, step, seed
    )


def make(strategy, model, micro=1, **kwargs):
    return TaskGradientOptimWrapper(
        torch.optim.Adam(model.parameters(), lr=1e-2),
        accumulative_counts=micro,
        **STRATEGIES[strategy],
        **kwargs,
    )


def train(strategy, steps=4, micro=1, rank=0, world_size=1):
    """State after some steps on this rank's share of sixteen samples."""
    torch.manual_seed(0)
    model = StrategyToy()
    wrapper = make(strategy, model, micro)
    size = 16 // world_size // micro
    for step in range(steps):
        for part in range(micro):
            first = (rank * micro + part) * size
            wrapper.update_params(
                model.loss(
                    take(
                        toy_data(16, seed=step),
                        torch.arange(first, first + size),
                    )
                )
            )
    return {**model.state_dict(), **flat_state(wrapper)}


def flat_state(wrapper):
    """What the strategy remembers, flat."""
    state = wrapper.state_dict()['task_gradient']
    parts = {
        part: state.get(part, {}) for part in ('modulation', 'projection')
    }
    return dict(_flat('', parts))


def _flat(prefix, value):
    if not isinstance(value, (dict, list)):
        yield prefix[1:], torch.as_tensor(value)
        return
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in items:
        yield from _flat(f'{prefix}.{name}', part)


def assert_same(first, second, rtol=1e-10, atol=1e-12):
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(
            first[name], second[name], rtol=rtol, atol=atol, msg=name
        )
