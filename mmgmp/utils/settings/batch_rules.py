"""Rules on the batches of a training."""

from __future__ import annotations

from collections.abc import Iterator

from mmgmp.utils.settings.facts import WARNING, LoaderFacts, Problem


def check_batches(train: LoaderFacts) -> Iterator[Problem]:
    """Apply the rules on size and order of batches.

    Args:
        train: Data loader of the training.

    Yields:
        What is wrong.
    """
    yield from _check_sizes(train)
    yield from _check_shuffle(train)


def _check_sizes(train: LoaderFacts) -> Iterator[Problem]:
    size, share = train.batch_size, -(-train.num_samples // train.num_ranks)
    if not size or not share:
        return
    if train.block_size and size % train.block_size:
        yield Problem(
            'batch',
            'train_dataloader.batch_size must be a multiple of '
            f'train_dataloader.sampler.batch_size={train.block_size}, got '
            f'{size}: batches would not be balanced; set both alike',
        )
    ranks = (
        '' if train.num_ranks == 1 else f' of each of {train.num_ranks} ranks'
    )
    if train.num_batches == 0:
        yield Problem(
            'batch',
            f'train_dataloader.batch_size must be at most the {share} '
            f'samples{ranks}, got {size} with drop_last=True: there would be '
            'no batch and no step; set a smaller batch_size',
        )
    elif share < size:
        yield Problem(
            'batch',
            f'train_dataloader.batch_size={size} is more than the {share} '
            f'samples{ranks}: every batch is the whole set; set a smaller '
            'batch_size',
            WARNING,
        )
    elif train.drop_last and (share % size) / share > 0.25:
        yield Problem(
            'drop-last',
            f'train_dataloader.drop_last leaves out {share % size} of the '
            f'{share} samples{ranks} in every epoch with batch_size={size}; '
            'another batch_size would fit better',
            WARNING,
        )


def _check_shuffle(train: LoaderFacts) -> Iterator[Problem]:
    # A batch sampler of the user's has an order of its own.
    if train.batch_size and train.num_samples and not train.shuffle:
        yield Problem(
            'shuffle',
            'train_dataloader.sampler.shuffle should be True, got False: '
            'annotation files are sorted, so batches would hold one domain '
            'or class',
            WARNING,
        )
