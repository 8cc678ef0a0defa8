"""What is trained and tested on where a tested domain is trained on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def trained_domains(values: Mapping[str, Any]) -> list[str]:
    """Domains that are trained on, in label order.

    Args:
        values: A protocol as it was written out; empty gives no domains.

    Example:
        >>> trained_domains(dict(sources=['a', 'c'], target=['b']))
        ['a', 'c']
        >>> trained_domains(dict(sources=['a'], target=['b'], oracle=True))
        ['a', 'b']
    """
    sources = list(values.get('sources') or ())
    # Behind the sources, whose labels stay those of validation.
    added = values.get('target') or () if values.get('oracle') else ()
    return list(dict.fromkeys([*sources, *added]))


def hold_out(test: Sequence[Any], train: Sequence[Any], key: str) -> None:
    """Take the training split out of what is tested.

    Args:
        test: Configs of the tested data sets, changed in place.
        train: Configs of the trained ones.
        key: Option of the protocol that asks for it.

    Raises:
        ValueError: If nothing would be left to test on.
    """
    known = {path for part in train for path, _ in _files(part)}
    for part in test:
        kept = [name for path, name in _files(part) if path not in known]
        if not kept:
            raise ValueError(
                f'protocol.{key} needs tested clips that are not trained '
                'on, got the same annotation file in '
                f'test_dataloader and train_dataloader, {part["ann_file"]}; '
                'name that of a held-out split in test_dataloader'
            )
        part['ann_file'] = kept[0] if len(kept) == 1 else kept


def _files(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Annotation files: where they are, and as they are written."""
    names = part.get('ann_file') or []
    for name in [names] if isinstance(names, str) else names:
        yield os.path.join(part.get('data_root') or '', name), name
