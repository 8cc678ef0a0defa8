"""Every batch has equally many samples of each domain."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.dataset import ConcatDataset
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmgmp.datasets import AudioVisualDataset, DomainBalancedSampler
from mmgmp.datasets import domain_balanced_sampler as module
from mmgmp.utils.seeding import seeded_loader
from tests.shipped import load, small

SIZES = {'a': 7, 'b': 5, 'c': 12}


class Clips(list):
    """Samples by domain, as an annotation file has them."""

    def __init__(self, sizes):
        super().__init__(
            {'domain': name}
            for name, size in sizes.items()
            for _ in [0] * size
        )

    get_data_info = list.__getitem__


def blocks(sampler):
    indices = list(sampler)
    assert len(indices) == len(sampler)
    size = sampler.batch_size
    return [indices[i : i + size] for i in range(0, len(indices), size)]


def names(clips, indices):
    return [clips[i]['domain'] for i in indices]


@pytest.mark.parametrize(
    ('length', 'number'), [('shortest', 2), ('longest', 6), ('sum', 4)]
)
def test_blocks_are_balanced(length, number):
    clips = Clips(SIZES)
    sampler = DomainBalancedSampler(clips, 6, 2, length, seed=3)
    found = blocks(sampler)
    assert len(found) == number
    for block in found:
        # By turns: a part of a batch is balanced, too.
        assert names(clips, block) == ['a', 'b', 'c'] * 2


@given(
    st.dictionaries(
        st.sampled_from('abcd'), st.integers(1, 30), min_size=1, max_size=4
    ),
    st.integers(1, 3),
    st.sampled_from(['shortest', 'longest', 'sum']),
    st.integers(0, 5),
)
def test_nothing_comes_again_before_the_rest_of_its_domain(
    sizes, share, length, epoch
):
    clips = Clips(sizes)
    try:
        sampler = DomainBalancedSampler(
            clips, share * len(sizes), length=length, seed=1
        )
    except ValueError:
        assert length != 'longest' or max(sizes.values()) < share
        return
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert len(order) == len(sampler)
    for name, size in sizes.items():
        drawn = [i for i in order if clips[i]['domain'] == name]
        assert len(drawn) == len(order) / len(sizes)
        for start in range(0, len(drawn), size):
            part = drawn[start : start + size]
            assert len(set(part)) == len(part)
    if length == 'sum':
        assert 0 <= len(clips) - len(order) < share * len(sizes)


def test_the_order_follows_from_seed_and_epoch():
    clips = Clips(SIZES)

    def order(seed, epoch):
        sampler = DomainBalancedSampler(clips, 3, length='sum', seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 4) == order(0, 4)
    assert order(0, 4) != order(0, 5)
    assert order(0, 4) != order(7, 4)


@pytest.mark.parametrize('length', ['shortest', 'longest', 'sum'])
def test_ranks_share_what_one_process_draws(monkeypatch, length):
    clips = Clips({'a': 20, 'b': 13})

    def build(rank, world_size, batch_size):
        monkeypatch.setattr(
            module, 'get_dist_info', lambda: (rank, world_size)
        )
        return DomainBalancedSampler(clips, batch_size, length=length, seed=0)

    one = blocks(build(0, 1, 12))
    ranks = [blocks(build(rank, 3, 4)) for rank in range(3)]
    assert {len(found) for found in ranks} == {len(one)}
    for step, whole in enumerate(one):
        parts = [found[step] for found in ranks]
        assert all(names(clips, p) == ['a', 'b'] * 2 for p in parts)
        assert sorted(i for part in parts for i in part) == sorted(whole)


@pytest.mark.parametrize(
    ('options', 'error'),
    [
        (dict(batch_size=4), 'multiple of the 3 domains .*to 3 for'),
        (dict(batch_size=0), 'multiple of the 3 domains'),
        (dict(batch_size=6, per_domain=3), 'per_domain .* must be 2'),
        (dict(batch_size=18), r"\{'a': 7, 'b': 5, 'c': 12\} with length="),
        (dict(batch_size=3, length='all'), 'length must be one of'),
    ],
)
def test_what_does_not_fit_is_refused(options, error):
    with pytest.raises(ValueError, match=error):
        DomainBalancedSampler(Clips(SIZES), seed=0, **options)


def test_a_dataset_without_domains_is_refused():
    with pytest.raises(TypeError, match='use AudioVisualDataset'):
        DomainBalancedSampler([1, 2], 2, seed=0)


@pytest.mark.parametrize('drop_last', [True, False])
def test_wrapped_datasets_are_looked_into_and_not_read(corpus, drop_last):
    def read(info):
        raise AssertionError('a sample was decoded')

    def part(*domains):
        return AudioVisualDataset(
            'train.json', list(domains), pipeline=[read], data_root=str(corpus)
        )

    wrapped = ConcatDataset(
        [part('human'), part('cartoon'), part('human', 'cartoon')],
        ignore_keys=['domains'],
    )
    loader = seeded_loader(
        DataLoader(
            wrapped,
            batch_size=8,
            sampler=DomainBalancedSampler(wrapped, 4, seed=0),
            drop_last=drop_last,
        ),
        seed=0,
    )
    found = [
        Counter(wrapped.get_data_info(i)['domain'] for i, _ in batch)
        for batch in loader.batch_sampler
    ]
    assert found == [{'human': 4, 'cartoon': 4}] * 3 == found[: len(loader)]


def test_a_domain_without_samples_is_refused(corpus):
    dataset = AudioVisualDataset(
        'train.json',
        ['human', 'animal'],
        data_root=str(corpus),
        indices=[0, 1, 2],
    )
    with pytest.raises(ValueError, match=r"none of \['animal'\]"):
        DomainBalancedSampler(dataset, 2, seed=0)


def test_the_stock_runner_trains_on_balanced_batches(mini_hac, tmp_path):
    config = small(load(), mini_hac, tmp_path)
    sampler = dict(
        type='DomainBalancedSampler', batch_size=4, length='longest'
    )
    config.train_dataloader.update(sampler=sampler)
    config.train_dataloader.dataset.indices = 10
    runner = Runner.from_cfg(config)
    seen = []
    step = type(runner.model).train_step

    def train_step(model, data, optim_wrapper):
        seen.append(Counter(s.domain for s in data['data_samples']))
        return step(model, data, optim_wrapper)

    runner.model.train_step = train_step.__get__(runner.model)
    runner.train()
    assert seen == [{'animal': 2, 'cartoon': 2}] * 2
    sampler = runner.train_dataloader.batch_sampler.sampler
    assert isinstance(sampler, DomainBalancedSampler)
    assert torch.isfinite(next(runner.model.parameters())).all()
