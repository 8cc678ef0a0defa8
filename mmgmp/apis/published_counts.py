"""How many samples the published splits have, by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgmp.utils.checks import check_choice

_EPIC_CLASSES = (
    'take',
    'put',
    'open',
    'close',
    'wash',
    'cut',
    'mix',
    'pour',
)
_HAC_CLASSES = (
    'sleeping',
    'watching tv',
    'eating',
    'drinking',
    'swimming',
    'running',
    'opening door',
)
# Counted from the files that the two corpora are published with.
PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    'epic': {
        'classes': _EPIC_CLASSES,
        'train': {
            'D1': (421, 383, 231, 128, 223, 71, 42, 44),
            'D2': (715, 692, 245, 214, 298, 89, 113, 129),
            'D3': (919, 1121, 450, 367, 808, 110, 53, 69),
        },
        'test': {
            'D1': (124, 104, 52, 34, 66, 13, 20, 22),
            'D2': (208, 217, 68, 56, 136, 14, 26, 25),
            'D3': (241, 280, 102, 71, 245, 29, 1, 5),
        },
    },
    'hac': {
        'classes': _HAC_CLASSES,
        'train': {
            'human': (159, 158, 160, 158, 158, 158, 160),
            'animal': (103, 117, 123, 112, 109, 93, 73),
            'cartoon': (83, 93, 135, 104, 121, 163, 171),
        },
        'test': {
            'human': (39, 40, 39, 40, 40, 38, 40),
            'animal': (36, 26, 25, 21, 24, 27, 17),
            'cartoon': (23, 28, 28, 22, 27, 51, 39),
        },
    },
}


def split_of(path: str) -> str:
    """Tell the split from the name of an annotation file.

    Args:
        path: Such as ``hac_train.json``.

    Returns:
        ``'train'`` or ``'test'``.

    Raises:
        ValueError: If the name ends in neither.

    Example:
        >>> split_of('data/epic/epic_test.json')
        'test'
    """
    for split in ('train', 'test'):
        if Path(path).stem.endswith(split):
            return split
    raise ValueError(
        'expect: the name of an annotation file must end in train or test to '
        f'be compared with the published counts, got {path}'
    )


def compare_counts(
    corpus: str, path: str, annotation: Mapping[str, Any]
) -> list[str]:
    """Compare an annotation file with the published split.

    Args:
        corpus: ``'epic'`` or ``'hac'``.
        path: Its path, whose name tells the split.
        annotation: Its content.

    Returns:
        What differs, a line each: the classes, then domain by domain.

    Raises:
        ValueError: If the corpus is unknown or the split cannot be told.

    Example:
        >>> metainfo = dict(classes=PUBLISHED['hac']['classes'])
        >>> content = dict(metainfo=metainfo, data_list=[])
        >>> compare_counts('hac', 'hac_test.json', content)[0][:38]
        'test human: 0 samples, published 276; '
    """
    check_choice('expect', corpus, sorted(PUBLISHED))
    published, split = PUBLISHED[corpus], split_of(path)
    classes = list(annotation['metainfo']['classes'])
    if classes != list(published['classes']):
        return [
            f'classes {classes} are not the published ones, '
            f'{list(published["classes"])}'
        ]
    found = _count(annotation['data_list'], len(classes))
    return [
        f'{split} {domain}: {sum(ours)} samples, published {sum(theirs)}; '
        f'by class {list(ours)}, published {list(theirs)}'
        for domain in dict.fromkeys([*published[split], *found])
        if (ours := found.get(domain, (0,) * len(classes)))
        != (theirs := published[split].get(domain, (0,) * len(classes)))
    ]


def _count(
    data_list: Sequence[Mapping[str, Any]], num_classes: int
) -> dict[str, tuple[int, ...]]:
    """Samples by domain and class; the malformed are left out."""
    labels: dict[str, list[Any]] = {}
    for sample in data_list:
        if isinstance(sample, Mapping) and 'domain' in sample:
            labels.setdefault(str(sample['domain']), []).append(
                sample.get('label')
            )
    return {
        domain: tuple(values.count(label) for label in range(num_classes))
        for domain, values in labels.items()
    }
