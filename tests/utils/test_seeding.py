from __future__ import annotations

import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, DefaultSampler
from torch.utils.data import DataLoader, IterableDataset

from mmgmp.utils.seeding import SeededBatches, seed_all, seeded_loader


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


class Noise(torch.utils.data.Dataset):
    metainfo = 'kept'

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return torch.tensor([float(index), *draw()], dtype=torch.float64)


def epochs(loader, count=2, **options):
    seeded = seeded_loader(loader, 5, **options)
    batches = []
    for epoch in range(count):
        seeded.batch_sampler.start(epoch)
        batches.append(torch.cat(list(seeded)))
    return batches


def test_a_key_decides_and_any_difference_in_it_matters():
    keys = [(0, 0), (0, 1), (1, 0), (2**40, 1), (2**40, 2)]
    drawn = []
    for key in keys:
        seed_all(*key)
        drawn.append(draw())
        seed_all(*key)
        assert draw() == drawn[-1]
    assert len({x for values in drawn for x in values}) == 3 * len(keys)


@pytest.mark.parametrize('workers', [1, 2])
def test_workers_make_no_difference(workers):
    alone = epochs(DataLoader(Noise(), batch_size=5))
    shared = epochs(
        DataLoader(
            Noise(),
            batch_size=5,
            num_workers=workers,
            persistent_workers=True,
            multiprocessing_context='fork',
        )
    )
    for first, second in zip(alone, shared, strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(alone[0][:, 1:], alone[1][:, 1:])


def test_skipping_gives_the_rest_of_the_epoch():
    loader = seeded_loader(DataLoader(Noise(), batch_size=5), 5)
    loader.batch_sampler.start(3)
    whole = list(loader)
    loader.batch_sampler.start(3, skip=2)
    rest = list(loader)
    assert torch.equal(rest[0], whole[2])
    assert len(loader) == len(whole) == 3
    # The next pass is another one, and whole.
    again = list(loader)
    assert len(again) == 3
    assert not torch.equal(again[0][:, 1:], whole[0][:, 1:])


def test_ranks_share_out_the_samples_of_one_process():
    """MMEngine deals indices out in turn, and the seeds follow."""

    def loader(rank, world_size):
        sampler = DefaultSampler(Noise(), shuffle=True, seed=1)
        sampler.rank, sampler.world_size = rank, world_size
        sampler.num_samples = 12 // world_size
        options = dict(rank=rank, world_size=world_size)
        batch_size = 4 // world_size
        return epochs(
            DataLoader(Noise(), batch_size, sampler=sampler), 1, **options
        )[0]

    def rows(*parts):
        return sorted(torch.cat(parts).tolist())

    assert rows(loader(0, 2), loader(1, 2)) == rows(loader(0, 1))


def test_attributes_stay_reachable():
    loader = DataLoader(Noise(), batch_size=4, drop_last=True)
    seeded = seeded_loader(loader, 0)
    assert seeded.dataset.metainfo == 'kept'
    assert seeded.batch_sampler.batch_size == 4
    assert seeded.batch_sampler.sampler is loader.sampler
    assert seeded.collate_fn is loader.collate_fn
    copy = pickle.loads(pickle.dumps(seeded.dataset))
    assert copy.metainfo == 'kept'
    with pytest.raises(AttributeError):
        _ = seeded.dataset.missing


def test_a_dataset_of_mmengine():
    class Labels(BaseDataset):
        def load_data_list(self):
            return [dict(label=i) for i in range(4)]

    loader = DataLoader(Labels(), batch_size=2)
    labels = [batch['label'].tolist() for batch in seeded_loader(loader, 0)]
    assert labels == [[0, 1], [2, 3]]


def test_loaders_without_indices_are_left_to_the_caller():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(3))

    assert seeded_loader(DataLoader(Stream()), 0) is None
    assert seeded_loader(DataLoader(Noise(), batch_size=None), 0) is None


def test_streams_do_not_meet():
    batches = SeededBatches([[0]], seed=0)
    keys = set()
    for stream in ((1, 0), (1, 1), (1, 0, 0), (1, 1, 0)):
        batches.start(*stream)
        for _ in range(2):
            [[(_, key)]] = list(batches)
            seed_all(*key)
            keys.add(draw())
    assert len(keys) == 8
