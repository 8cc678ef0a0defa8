"""How many samples there are, by class, domain and annotation file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmgmp.apis.media_jobs import Fault


@dataclass(frozen=True)
class SplitCounts:
    """The samples of one annotation file.

    Args:
        path: The file.
        classes: Class names.
        counts: Samples of each class, by domain.

    Example:
        >>> counts = SplitCounts(
        ...     'train.json', ('walk',), {'here': (3,), 'there': (1,)})
        >>> [fault.message for fault in counts.faults(2)]
        ["class 'walk' has 1 samples in domain 'there', expected 2"]
    """

    path: str
    classes: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]

    @property
    def split(self) -> str:
        """Name of the file without its ending."""
        return Path(self.path).stem

    def faults(self, min_samples: int) -> list[Fault]:
        """Name classes and domains that are empty or too small.

        Args:
            min_samples: Samples that each class has to have in each domain.
        """
        if min_samples < 1:
            return []
        found = []
        totals = [sum(column) for column in zip(*self.counts.values())]  # noqa: B905
        for domain, counts in self.counts.items():
            if not any(counts):
                found.append(
                    f'domain {domain!r} has no samples, expected '
                    f'{min_samples} of each class'
                )
        for label, name in enumerate(self.classes):
            if not totals or not totals[label]:
                found.append(
                    f'class {name!r} has no samples, expected {min_samples} '
                    'in each domain'
                )
        for domain, counts in self.counts.items():
            for name, count, total in zip(
                self.classes, counts, totals, strict=True
            ):
                if any(counts) and total and count < min_samples:
                    found.append(
                        f'class {name!r} has {count} samples in domain '
                        f'{domain!r}, expected {min_samples}'
                    )
        return [Fault('few', self.path, text) for text in found]


def count_samples(
    path: str,
    metainfo: Mapping[str, Any],
    samples: Iterable[Mapping[str, Any]],
) -> SplitCounts:
    """Count the well-formed samples of an annotation file.

    Args:
        path: The file.
        metainfo: Its metainfo.
        samples: Its well-formed samples.

    Returns:
        The counts, with every domain and class of the metainfo.

    Example:
        >>> metainfo = dict(classes=['walk', 'run'], domains=['here'])
        >>> sample = dict(domain='here', label=1)
        >>> count_samples('train.json', metainfo, [sample]).counts
        {'here': (0, 1)}
    """
    classes = tuple(str(name) for name in metainfo['classes'])
    found = Counter((s['domain'], s['label']) for s in samples)
    return SplitCounts(
        path,
        classes,
        {
            domain: tuple(found[domain, k] for k in range(len(classes)))
            for domain in metainfo['domains']
        },
    )


def modality_table(
    having: Mapping[str, set[str]], num_samples: int, faults: Sequence[Fault]
) -> dict[str, dict[str, int]]:
    """Say what each modality lacks.

    Args:
        having: Samples with an entry, by modality.
        num_samples: Well-formed samples.
        faults: Everything that is wrong.

    Returns:
        By modality: samples with an entry (``entries``), without
        (``no entry``), and with a fault, by kind.

    Example:
        >>> fault = Fault('silent', 'a.wav', '', ('a',), 'audio')
        >>> modality_table({'audio': {'a'}}, 2, [fault])
        {'audio': {'entries': 1, 'no entry': 1, 'silent': 1}}
    """
    table = {}
    for name, ids in having.items():
        by_kind: dict[str, set[str]] = {}
        for fault in faults:
            if fault.modality == name and fault.kind != 'lacking':
                by_kind.setdefault(fault.kind, set()).update(fault.samples)
        table[name] = {
            'entries': len(ids),
            'no entry': num_samples - len(ids),
            **{kind: len(samples) for kind, samples in by_kind.items()},
        }
    return table
