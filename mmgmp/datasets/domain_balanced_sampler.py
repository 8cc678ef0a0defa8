"""Batches that hold equally many samples of each domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmgmp.registry import DATA_SAMPLERS
from mmgmp.utils.checks import check_choice

_LENGTHS = ('shortest', 'longest', 'sum')


@DATA_SAMPLERS.register_module()
class DomainBalancedSampler(Sampler[int]):
    """Draw so that every batch has equally many samples of each domain.

    Penalties between source domains need samples of all of them in every
    batch; drawn freely, 16 samples of EPIC-Kitchens D1 and D3 hold about 5 of
    D1, sometimes none. Each consecutive block of ``batch_size`` indices is
    balanced, with the domains by turns. Of a domain no sample comes twice
    before all others have come once.

    Every epoch consists of whole blocks, so ``drop_last`` of the data loader
    changes nothing. The order follows from the seed and the epoch, which
    ``DistSamplerSeedHook`` sets: nothing has to be stored to resume. Blocks
    are dealt to the ranks in turn: R ranks see in a step what one process
    sees in R steps. (``ExactResumeHook`` seeds augmentation by the place in a
    rank's own order, so that it depends on the number of ranks here.)

    Args:
        dataset: Dataset whose ``get_data_info(index)`` gives the ``'domain'``
            of a sample, as :class:`AudioVisualDataset` and MMEngine's
            wrappers of it do. No media file is opened.
        batch_size: Indices per block. That of the data loader, or a divisor.
        per_domain: Samples of each domain in a block, to be checked; None
            follows from ``batch_size``.
        length: How many blocks an epoch has. ``'shortest'`` ends with the
            smallest domain. ``'longest'`` goes once through the largest one,
            ``'sum'`` draws as many samples as the dataset has; both begin
            the smaller domains anew, in another order.
        seed: Of the order, the same on all ranks; drawn if None.
        shuffle: Whether the order is drawn anew in every epoch; otherwise it
            is that of the dataset, domain by domain.

    Raises:
        TypeError: If the dataset does not say which domain a sample is of.
        ValueError: If ``batch_size`` is no multiple of the number of domains
            or not ``per_domain`` times that number, a domain has no sample,
            or there would be no block.

    Example:
        >>> class Clips(list):
        ...     get_data_info = list.__getitem__
        >>> clips = Clips(dict(domain=name) for name in 'aaabbbbb')
        >>> sampler = DomainBalancedSampler(clips, 2, seed=0, shuffle=False)
        >>> list(sampler)
        [0, 3, 1, 4, 2, 5]

    Source: batches of DomainBed (facebookresearch/DomainBed) and MER-DG
    (arXiv 2605.01967); ``length`` is a choice of this package.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        per_domain: int | None = None,
        length: str = 'shortest',
        seed: int | None = None,
        shuffle: bool = True,
    ) -> None:
        self.length = check_choice('length', length, _LENGTHS)
        self.rank, self.world_size = get_dist_info()
        self.domains = _by_domain(dataset)
        self.batch_size = batch_size
        self.per_domain = _share(batch_size, per_domain, list(self.domains))
        self.shuffle = shuffle
        self.seed: int = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.num_blocks = self._count_blocks()  # of each rank

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        count = self.num_blocks * self.world_size * self.per_domain
        drawn = [
            self._draw(indices, count, generator)
            for indices in self.domains.values()
        ]
        blocks = torch.stack(drawn, 1).view(-1, self.batch_size)
        yield from blocks[self.rank :: self.world_size].flatten().tolist()

    def __len__(self) -> int:
        return self.num_blocks * self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the order.

        Args:
            epoch: Number of the epoch that is about to begin.
        """
        self.epoch = epoch

    def _draw(
        self, indices: torch.Tensor, count: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Go through a domain as often as needed."""
        size = len(indices)
        orders = [
            torch.randperm(size, generator=generator)
            if self.shuffle
            else torch.arange(size)
            for _ in range(-(-count // size))
        ]
        return indices[torch.cat(orders)[:count]]

    def _count_blocks(self) -> int:
        sizes = {name: len(found) for name, found in self.domains.items()}
        blocks = {
            'shortest': min(sizes.values()) // self.per_domain,
            'longest': max(sizes.values()) // self.per_domain,
            'sum': sum(sizes.values()) // self.batch_size,
        }[self.length] // self.world_size
        if not blocks:
            raise ValueError(
                f'batch_size of DomainBalancedSampler must leave every one of '
                f'{self.world_size} ranks a batch of {self.per_domain} '
                f'samples per domain, got {sizes} with length='
                f"'{self.length}'; lower it, or set length='longest'"
            )
        return blocks


def _by_domain(dataset: Any) -> dict[str, torch.Tensor]:
    """Indices of the samples by domain, in label order if there is one."""
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    found: dict[str, list[int]] = {
        name: []
        for name in (getattr(dataset, 'metainfo', None) or {}).get(
            'domains', ()
        )
    }
    for index in range(len(dataset)):
        try:
            name = dataset.get_data_info(index)['domain']
        except (AttributeError, KeyError) as error:
            raise TypeError(
                'dataset of DomainBalancedSampler must give the domain of a '
                f"sample in get_data_info(index)['domain'], got "
                f'{type(dataset).__name__} without it; use '
                'AudioVisualDataset, or DefaultSampler'
            ) from error
        found.setdefault(name, []).append(index)
    empty = [name for name, indices in found.items() if not indices]
    if empty or not found:
        raise ValueError(
            'dataset of DomainBalancedSampler must have samples of every '
            f'domain it names, got none of {empty}; look at its skip_list '
            'and indices'
        )
    return {name: torch.tensor(found[name]) for name in found}


def _share(batch_size: int, per_domain: int | None, domains: list[str]) -> int:
    """Samples of each domain in a block."""
    share, rest = divmod(batch_size, len(domains))
    if rest or share < 1:
        raise ValueError(
            'batch_size of DomainBalancedSampler must be a multiple of the '
            f'{len(domains)} domains {domains}, got {batch_size}; set '
            'train_dataloader.sampler.batch_size and train_dataloader.'
            f'batch_size, to {max(share, 1) * len(domains)} for example'
        )
    if per_domain not in (None, share):
        raise ValueError(
            f'per_domain of DomainBalancedSampler must be {share}, '
            f'batch_size={batch_size} over {len(domains)} domains {domains}, '
            f'got {per_domain}; leave it out, or change batch_size'
        )
    return share
