"""Random numbers that depend on where a run is, not on how it got there."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

_REPLACED = {
    'self',
    'dataset',
    'batch_size',
    'shuffle',
    'sampler',
    'batch_sampler',
    'drop_last',
}


def seed_all(*key: int, devices: bool = True) -> None:
    """Seed Python, NumPy and PyTorch from a tuple of numbers.

    Keys of one length that differ anywhere give independent random numbers.

    Args:
        *key: Integers >= 0, such as the seed of the run and the iteration.
        devices: Whether to seed the accelerators too; not in a data loader
            worker, which must not touch them.

    Example:
        >>> seed_all(0, 5)
        >>> first = random.random(), np.random.rand(), torch.rand(1)
        >>> seed_all(0, 5)
        >>> first == (random.random(), np.random.rand(), torch.rand(1))
        True
    """
    # Hashed: seeds such as seed + epoch + place would meet again, and equal
    # neighbours in a plain generator give related numbers.
    words = np.random.SeedSequence(key).generate_state(4)
    seed = int(words[0]) << 32 | int(words[1])
    random.seed(seed)
    np.random.seed(words)
    if devices:
        torch.manual_seed(seed)
    else:
        # Not torch.manual_seed, which seeds the accelerators as well.
        torch.default_generator.manual_seed(seed)


@contextmanager
def own_seed(*key: int) -> Iterator[None]:
    """Seed for a while, and draw as if nothing had been afterwards.

    Args:
        *key: As in :func:`seed_all`; accelerators are left alone.

    Example:
        >>> seed_all(0)
        >>> expected = np.random.rand()
        >>> seed_all(0)
        >>> with own_seed(1, 2):
        ...     inside = np.random.rand()
        >>> inside != expected == np.random.rand()
        True
    """
    states = (
        random.getstate(),
        np.random.get_state(),
        torch.get_rng_state(),
    )
    seed_all(*key, devices=False)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


class SeededDataset:
    """A dataset whose samples bring the seed of their augmentation.

    Args:
        dataset: Any map-style dataset; its attributes stay reachable.

    Example:
        >>> samples = SeededDataset([10, 20])
        >>> samples[1, (0, 0)]
        20
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, keyed_index: tuple[Any, tuple[int, ...]]) -> Any:
        # Here and not when a worker starts: which samples a worker loads
        # depends on how many there are, and what it has drawn by now on all
        # it has loaded before.
        index, key = keyed_index
        seed_all(*key, devices=False)
        return self.dataset[index]

    def __getattr__(self, name: str) -> Any:
        # Special methods and half-built copies must not reach the dataset.
        if name.startswith('__') or name == 'dataset':
            raise AttributeError(name)
        return getattr(self.dataset, name)


class SeededBatches:
    """Batches of indices, each with a seed that follows from its place.

    The seed of a sample depends on the seed of the run, the epoch and the
    sample's place in the epoch over all ranks: neither on the worker that
    loads it, nor on what was loaded before it.

    Args:
        batches: Batch sampler; its attributes stay reachable.
        seed: Seed of the run, >= 0.
        rank: Rank of this process.
        world_size: Number of ranks; the samplers deal their indices out in
            turn.

    Example:
        >>> batches = SeededBatches([[7, 8], [9]], seed=0)
        >>> batches.start(3)
        >>> list(batches)
        [[(7, (0, 3, 0, 0)), (8, (0, 3, 0, 1))], [(9, (0, 3, 0, 2))]]
    """

    def __init__(
        self,
        batches: Iterable[list[Any]],
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.batches: Any = batches
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.start(0)

    def start(self, *stream: int, skip: int = 0) -> None:
        """Begin a stream of seeds.

        Args:
            *stream: What tells it from others, such as the epoch.
            skip: Batches that the next iteration passes over.
        """
        self._stream = stream
        self._passes = 0
        self._skip = skip

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[Any, tuple[int, ...]]]]:
        skip, self._skip = self._skip, 0
        # Loops by iteration go through the loader again and again without
        # an epoch; each pass then has seeds of its own.
        key = (self.seed, *self._stream, self._passes)
        self._passes += 1
        # Samplers deal indices to the ranks in turn, so this is the place
        # in the epoch's order, however many ranks there are.
        place = self.rank
        for number, batch in enumerate(self.batches):
            keyed = []
            for index in batch:
                keyed.append((index, (*key, place)))
                place += self.world_size
            # Passed over after it was counted: places stay what they are.
            if number >= skip:
                yield keyed

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or name == 'batches':
            raise AttributeError(name)
        return getattr(self.batches, name)


def seeded_loader(
    loader: DataLoader, seed: int, rank: int = 0, world_size: int = 1
) -> DataLoader | None:
    """Return the same loader with seeded samples.

    Args:
        loader: Loader that has not been iterated over.
        seed: As in :class:`SeededBatches`.
        rank: As in :class:`SeededBatches`.
        world_size: As in :class:`SeededBatches`.

    Returns:
        A loader whose batch sampler is a :class:`SeededBatches`; None if
        this one has no batches of indices.

    Example:
        >>> loader = seeded_loader(DataLoader([1, 2, 3], batch_size=2), 0)
        >>> [batch.tolist() for batch in loader]
        [[1, 2], [3]]
    """
    if (
        type(loader) is not DataLoader
        or loader.batch_sampler is None
        or isinstance(loader.dataset, IterableDataset)
    ):
        return None
    options = set(inspect.signature(DataLoader.__init__).parameters)
    return DataLoader(
        SeededDataset(loader.dataset),  # type: ignore[arg-type]
        batch_sampler=SeededBatches(
            loader.batch_sampler, seed, rank, world_size
        ),
        **{name: getattr(loader, name) for name in options - _REPLACED},
    )
