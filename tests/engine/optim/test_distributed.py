"""However a batch is spread over ranks and micro-batches: one update."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
import torch.distributed as dist
from mmengine.model import BaseModel, MMDistributedDataParallel
from torch import nn

from mmgmp.engine.optim import TaskGradientOptimWrapper, reduction
from mmgmp.structures import (
    Task,
    TaskLosses,
    attach_task_losses,
    get_task_losses,
)
from mmgmp.testing.toy_configs import toy_batch, toy_recognizer
from tests.models.recognizers.test_partial_samples import (
    train as train_partial,
)
from tests.processes import run_ranks

from .test_accumulation import LiveBytes, Wide
from .toy import ToyModel, take, toy_data

STEPS = 4
SAMPLES = 16
DECOUPLED = dict(type='DecoupledModulation')
CAGP = dict(type='TaskProjection')
GMP = dict(modulation=DECOUPLED, projection=CAGP)
STRATEGIES = {
    'base': {},
    'gmp': GMP,
    'gmp-update': dict(GMP, acts_on='update'),
    'igdm': dict(modulation=DECOUPLED),
    'unified': dict(modulation=dict(type='UnifiedModulation')),
    'ogm-ge': dict(modulation=dict(type='OGMModulation', noise=True)),
    'agm': dict(modulation=dict(type='AGMModulation')),
    'cagp': dict(projection=CAGP),
    'pcgrad-global': dict(
        projection=dict(type='TaskProjection', rule='pcgrad', scope='global')
    ),
    'feature-level': dict(GMP, level='feature'),
    'feature-level-igdm': dict(modulation=DECOUPLED, level='feature'),
}
# Sizes of the micro-batches, by rank, of every step in turn.
SPREADS = {
    '2x8': [[[8], [8]]],
    '10+6': [[[10], [6]], [[3], [13]]],
    'empty-rank': [[[16], [0]], [[8], [8]], [[0], [16]]],
    '2x2x4': [[[4, 4], [4, 4]]],
    'uneven-micro-batches': [[[5, 3], [2, 6]], [[1, 7], [8, 0]]],
    'empty-micro-batches': [[[0, 6], [10, 0]], [[16, 0], [0, 0]]],
    '4x4': [[[4], [4], [4], [4]]],
    '4-ranks-some-empty': [[[7], [0], [9], [0]], [[0], [0], [0], [16]]],
    '4x2x2': [[[2, 2]] * 4],
}
FOUR = ('base', 'gmp', 'igdm', 'feature-level')
#: What a batch without samples may look like.
EMPTY = ('zero', 'nan', 'detached')


class ToyRecognizer(BaseModel):
    """The toy, driven as MMEngine drives a model."""

    def __init__(self, empty: str = 'zero') -> None:
        super().__init__()
        self.toy = ToyModel()
        # Reached by some samples only; weight decay shows a wrong zero.
        self.toy.encoders['video'].rare = nn.Parameter(
            torch.ones(3, dtype=torch.float64)
        )
        self.empty = empty

    def forward(self, inputs, labels, domains, mode='loss'):
        tasks = get_task_losses(
            self.toy.loss((inputs, labels, domains), extra=True)
        )
        losses = dict(tasks.losses)
        rare = labels == 3
        if rare.any():
            features = tasks.features['video'] * self.rare
            losses[Task.EXTRA] = losses[Task.EXTRA] + (
                features[rare].square().sum() / len(labels)
            )
        return dict(
            losses=losses,
            confidences=dict(tasks.confidences),
            features=dict(tasks.features),
        )

    @property
    def rare(self):
        return self.toy.encoders['video'].rare

    def parse_losses(self, parts):
        losses, confidences = parts['losses'], parts['confidences']
        first = next(iter(confidences[Task.DOMAIN].values()))
        count = len(first)
        if count == 0 and self.empty == 'nan':
            losses = {task: x * math.nan for task, x in losses.items()}
        if count == 0 and self.empty == 'detached':
            losses = {Task.CLASSIFICATION: torch.zeros(())}
            confidences = {}
        total = sum(losses.values())
        tasks = TaskLosses(
            losses,
            {m: list(e.parameters()) for m, e in self.toy.encoders.items()},
            confidences,
            features=parts['features'],
            num_samples=count,
        )
        return attach_task_losses(total, tasks), {}


def batch(step: int):
    inputs, labels, domains = toy_data(SAMPLES, seed=step)
    if step % 2:
        labels = labels % 3  # nobody reaches the rare parameter
    elif step == 2:
        labels = torch.where(torch.arange(SAMPLES) < 2, 3, labels % 3)
    return inputs, labels, domains


def train(strategy: str, spread=(), rank=0, empty='zero', seen=None):
    """Train on this rank's share; without a spread, on everything."""
    torch.manual_seed(0)
    model = ToyRecognizer(empty)
    driven = (
        MMDistributedDataParallel(model, device_ids=None) if spread else model
    )
    wrapper = TaskGradientOptimWrapper(
        torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=0.1),
        accumulative_counts=len(spread[0][0]) if spread else 1,
        **STRATEGIES[strategy],
    )
    for step in range(STEPS):
        sizes = spread[step % len(spread)] if spread else [[SAMPLES]]
        first = sum(sum(s) for s in sizes[:rank])
        for size in sizes[rank]:
            part = take(batch(step), torch.arange(first, first + size))
            first += size
            data = dict(
                zip(('inputs', 'labels', 'domains'), part, strict=True)
            )
            driven.train_step(data, wrapper)
        if seen is not None:
            seen.append(wrapper.read_diagnostics())
    return model.state_dict()


def cases(world_size: int):
    """Strategy, spread and kind of empty batch, for one world size."""
    for name, spread in SPREADS.items():
        if len(spread[0]) != world_size:
            continue
        for strategy in STRATEGIES:
            if len(spread[0][0]) > 1 and strategy.startswith('feature'):
                continue
            if world_size > 2 and strategy not in FOUR:
                continue
            every = 'empty' in name and strategy in ('gmp', 'igdm')
            kinds = EMPTY if every else EMPTY[:1]
            for empty in kinds:
                yield f'{strategy} {name} {empty}', strategy, spread, empty


def train_all(rank: int, world_size: int):
    results = {
        name: train(strategy, spread, rank, empty)
        for name, strategy, spread, empty in cases(world_size)
    }
    if world_size == 2:
        results['recognizer'] = train_recognizer(rank)
        results['partial'] = train_partial(rank)
        results['events'] = record_events()
        results['window'] = save_within_a_window()
        results['buffers'] = broadcast_buffers(rank)
        results['copies'] = count_copies()
    return results


def train_recognizer(rank: int | None = None):
    """Two steps of the real model, batch norms in eval mode."""
    from mmgmp.registry import MODELS

    torch.manual_seed(0)
    model = MODELS.build(toy_recognizer(('video', 'audio'))).double().eval()
    driven = (
        model
        if rank is None
        else MMDistributedDataParallel(model, device_ids=None)
    )
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=1e-2), **GMP
    )
    part = slice(None) if rank is None else slice(2 * rank, 2 * rank + 2)
    for seed in range(2):
        inputs, samples = toy_batch(4, seed=seed)
        driven.train_step(
            dict(
                inputs={m: x[part].double() for m, x in inputs.items()},
                data_samples=samples[part],
            ),
            wrapper,
        )
    return model.state_dict()


def record_events() -> list[str]:
    """Order of collectives and differentiations within one step."""
    model = ToyRecognizer()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), **GMP
    )
    events = []
    toy = model.toy
    for name, module in (
        ('classifier', toy.classifier),
        ('discriminator', toy.discriminator),
        ('encoder', toy.encoders['video'][0]),
    ):
        module.weight.register_hook(
            lambda g, name=name: events.append(f'gradient of {name}')
        )
    real = dist.all_reduce

    def all_reduce(tensor, *args, async_op=False, **kwargs):
        if tensor.dtype != torch.uint8:
            events.append('reduce, async' if async_op else 'reduce')
        return real(tensor, *args, async_op=async_op, **kwargs)

    dist.all_reduce = all_reduce
    try:
        wrapper.update_params(model.toy.loss(toy_data(4)))
    finally:
        dist.all_reduce = real
    return events


def save_within_a_window() -> bool:
    model = ToyRecognizer()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1),
        accumulative_counts=2,
        **GMP,
    )
    wrapper.update_params(model.toy.loss(toy_data(4)))
    state = wrapper.state_dict()
    return state['task_gradient']['window'] is None


def broadcast_buffers(rank: int) -> list[torch.Tensor]:
    """Mean that each step starts from; rank 1 spoils its own."""
    model = ToyRecognizer()
    norm = nn.BatchNorm1d(5, momentum=0.0).double()
    model.toy.encoders['video'].insert(0, norm)
    driven = MMDistributedDataParallel(model, device_ids=None)
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), **GMP
    )
    means = []
    norm.register_forward_pre_hook(
        lambda module, _: means.append(module.running_mean.clone())
    )
    for step in range(3):
        norm.running_mean.fill_(10 * step + rank)
        data = dict(
            zip(('inputs', 'labels', 'domains'), toy_data(4), strict=True)
        )
        driven.train_step(data, wrapper)
    return means


def count_copies() -> float:
    """Most gradients alive at once, in copies of the encoders."""
    model = Wide()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1),
        projection=dict(type='TaskProjection', rule='fixed_class'),
    )
    loss = model.loss()
    size, reduction._BUCKET_BYTES = reduction._BUCKET_BYTES, 2**18
    with LiveBytes() as live:
        wrapper.update_params(loss)
    reduction._BUCKET_BYTES = size
    return live.peak / model.nbytes


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """Results of all cases, by world size and rank."""
    folder = tmp_path_factory.mktemp('ranks')
    return {n: run_ranks(train_all, n, folder / str(n)) for n in (2, 4)}


@pytest.fixture(scope='module')
def reference():
    return {name: train(name) for name in STRATEGIES}


def assert_same(
    first: Mapping, second: Mapping, rtol: float = 1e-10, atol: float = 1e-10
) -> None:
    for name in second:
        torch.testing.assert_close(
            first[name], second[name], rtol=rtol, atol=atol, msg=name
        )


@pytest.mark.parametrize(
    ('world_size', 'name', 'strategy'),
    [
        pytest.param(world_size, name, strategy, id=name.replace(' ', '-'))
        for world_size in (2, 4)
        for name, strategy, _, _ in cases(world_size)
    ],
)
def test_ranks_and_micro_batches_equal_one_batch(
    ranks, reference, world_size, name, strategy
):
    for result in ranks[world_size]:
        assert_same(result[name], reference[strategy])


@pytest.mark.parametrize('world_size', [2, 4])
def test_replicas_stay_equal_bit_for_bit(ranks, world_size):
    first, *others = ranks[world_size]
    for other in others:
        for name, _, _, _ in cases(world_size):
            assert_same(other[name], first[name], 0, 0)


def test_both_modalities_conflict_in_the_cases_above():
    seen = []
    train('gmp', seen=seen)
    for modality in ('video', 'audio'):
        conflicts = [values[f'conflict_{modality}'] for values in seen]
        assert sum(conflicts) > 0, modality
    assert any(v['semantic_coefficient_video'] < 1 for v in seen) or any(
        v['semantic_coefficient_audio'] < 1 for v in seen
    )


def test_a_parameter_that_no_rank_reaches_is_left_alone():
    torch.manual_seed(0)
    model = ToyRecognizer()
    wrapper = TaskGradientOptimWrapper(
        torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=0.1)
    )
    inputs, labels, domains = batch(1)
    model.train_step(
        dict(inputs=inputs, labels=labels, domains=domains), wrapper
    )
    assert torch.equal(model.rare, torch.ones_like(model.rare))


def test_the_recognizer_under_data_parallel(ranks):
    alone = train_recognizer()
    for result in ranks[2]:
        assert_same(result['recognizer'], alone, 1e-8, 1e-10)


def test_a_rank_may_have_no_sample_with_a_modality(ranks):
    alone = train_partial()
    for result in ranks[2]:
        assert_same(result['partial'], alone, 1e-8, 1e-10)


def test_class_gradients_travel_while_the_domain_loss_is_differentiated(
    ranks,
):
    for result in ranks[2]:
        assert result['events'] == [
            'reduce',
            'gradient of classifier',
            'gradient of encoder',
            'reduce, async',
            'gradient of discriminator',
            'gradient of encoder',
            'reduce, async',
            'reduce, async',
        ]


def test_every_step_starts_from_the_buffers_of_rank_0(ranks):
    for result in ranks[2]:
        for step, mean in enumerate(result['buffers']):
            assert torch.equal(mean, torch.full_like(mean, 10 * step))


def test_buckets_take_the_gradients_over(ranks):
    """Beside the two copies, one of eight buckets is filled at a time."""
    for result in ranks[2]:
        assert 2 <= result['copies'] < 2.2


def test_ranks_save_no_window_that_they_do_not_all_have(ranks):
    assert all(result['window'] for result in ranks[2])


@pytest.mark.parametrize(
    'name',
    [
        'DeepSpeedEngine',
        'FSDPModule',
        'FullyShardedDataParallel',
        'MMDeepSpeedEngineWrapper',
    ],
)
def test_sharded_models_are_refused(name):
    model = type(name, (nn.Linear,), {})(1, 1)
    wrapper = TaskGradientOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1)
    )
    with (
        pytest.raises(NotImplementedError, match=f'got {name}; use'),
        wrapper.optim_context(model),
    ):
        pass


def test_sharded_optimizers_are_refused():
    kind = type('ZeroRedundancyOptimizer', (torch.optim.SGD,), {})
    optimizer = kind(nn.Linear(1, 1).parameters(), lr=0.1)
    with pytest.raises(NotImplementedError, match='ordinary optimizer'):
        TaskGradientOptimWrapper(optimizer)
