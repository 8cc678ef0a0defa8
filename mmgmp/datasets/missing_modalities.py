"""What happens to a sample that lacks a modality."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log

from mmgmp.datasets.annotations import resolve
from mmgmp.utils.checks import check_choice

_ON_MISSING = ('raise', 'zeros')


def read_on_missing(
    on_missing: str | Mapping[str, str], modalities: Sequence[str]
) -> dict[str, str]:
    """Read the policy of each modality.

    Args:
        on_missing: ``'raise'`` or ``'zeros'``, for all or by modality.
        modalities: Modalities of the dataset.

    Returns:
        Policy by modality.

    Raises:
        ValueError: If a policy or a modality is unknown.

    Example:
        >>> read_on_missing({'audio': 'zeros'}, ['video', 'audio'])
        {'video': 'raise', 'audio': 'zeros'}
    """
    given = (
        dict.fromkeys(modalities, on_missing)
        if isinstance(on_missing, str)
        else dict(on_missing)
    )
    for name, policy in given.items():
        check_choice(
            'modality in on_missing',
            name,
            modalities,
            'correct on_missing or modalities of the dataset',
        )
        check_choice(f'on_missing of {name}', policy, _ON_MISSING)
    return {name: given.get(name, 'raise') for name in modalities}


def find_modalities(
    sample: Mapping[str, Any], on_missing: Mapping[str, str], root: str
) -> tuple[str, ...]:
    """Name the modalities that a sample has to have, or has.

    Args:
        sample: Entry of an annotation.
        on_missing: Policy by modality.
        root: Data root.

    Returns:
        Those with the policy ``'raise'``, whether they are there or not, and
        those of the others that have an entry whose files exist.

    Raises:
        ValueError: If there are none.

    Example:
        >>> find_modalities(
        ...     dict(audio=None), dict(video='raise', audio='zeros'), '')
        ('video',)
    """
    found = tuple(
        name
        for name, policy in on_missing.items()
        if policy == 'raise' or _is_there(sample.get(name), root)
    )
    if not found:
        raise ValueError(
            f'on_missing: sample {sample.get("id")!r} has none of '
            f'{list(on_missing)}; is data_root right? If so, leave the '
            'sample out with skip_list'
        )
    return found


def report_missing(
    data_list: Sequence[Mapping[str, Any]],
    modalities: Sequence[str],
    source: Any,
) -> None:
    """Log how many samples lack a modality.

    Args:
        data_list: Samples as handed to the pipeline.
        modalities: Modalities of the dataset.
        source: Name of the annotation files.

    Raises:
        ValueError: If a modality is missing in all samples.
    """
    for name in modalities:
        lacking = [
            sample['sample_id']
            for sample in data_list
            if name in sample.get('missing_modalities', ())
        ]
        if not lacking:
            continue
        if len(lacking) == len(data_list):
            raise ValueError(
                f'on_missing: no sample of {source} has {name!r}; are its '
                'files below data_root? If there are none, leave it out of '
                'modalities'
            )
        print_log(
            f'{len(lacking)} of {len(data_list)} samples of {source} have no '
            f'{name}, zeros stand for its feature: {lacking[:5]}'
            f'{" ..." if len(lacking) > 5 else ""}',
            logger='current',
            level=logging.WARNING,
        )


def _is_there(entry: Any, root: str) -> bool:
    """Whether there is an entry, and its files or folders exist."""
    if not isinstance(entry, Mapping):
        return entry is not None  # of a wrong type, which is refused later
    return all(
        os.path.exists(resolve(str(value), root))
        for key, value in entry.items()
        if key.startswith('path')
    )
