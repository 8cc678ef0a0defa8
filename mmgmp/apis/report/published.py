"""Published numbers, to stand beside measured ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from mmgmp.utils.text_files import read_yaml


class Published(NamedTuple):
    """A top-1 accuracy in percent; ``std`` is None if the paper has none."""

    mean: float
    std: float | None = None


@lru_cache(maxsize=1)
def load_published() -> Mapping[str, Any]:
    """Read the data file of the package.

    Example:
        >>> sorted(load_published()['sources'])
        ['gmp', 'mbcd']
    """
    data: dict[str, Any] = read_yaml(Path(__file__).with_name('published.yml'))
    return data


def find_published(
    wanted: Mapping[str, Any],
    method: str,
    modalities: str,
    split: str,
    column: str,
) -> Published | None:
    """Look up one number, None if it was not published.

    Args:
        wanted: ``corpus``, ``source`` and, for some sources, ``table``.
        method: Row.
        modalities: Modality set; ``''`` means video and audio.
        split: ``'source'`` or ``'target'``.
        column: Target domain, ``'avg'`` or a branch of the model.

    Raises:
        ValueError: If no table at all fits ``wanted``.

    Example:
        >>> find_published({'corpus': 'HAC', 'source': 'gmp', 'table': '2'},
        ...                'GMP', '', 'target', 'avg')
        Published(mean=64.91, std=None)
    """
    place = (modalities or 'V+A', split)
    for table in _tables(wanted):
        is_there = column in table['columns'] and method in table['rows']
        if is_there and (table['modalities'], table['split']) == place:
            value = table['rows'][method][table['columns'].index(column)]
            if isinstance(value, list):
                return Published(*value)
            return None if value is None else Published(value)
    return None


def describe_source(wanted: Mapping[str, Any]) -> str:
    """Name the paper and its protocol; ``wanted`` as in the look-up."""
    table = _tables(wanted)[0]
    source = load_published()['sources'][table['source']]
    number = f', Table {table["table"]}' if 'table' in table else ''
    return (
        f'{source["paper"]}{number}, {table["corpus"]}, {source["link"]}; '
        f'{source["protocol"]}'
    )


def _tables(wanted: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    everything = load_published()['tables']
    found = [
        table
        for table in everything
        if all(str(table.get(k)) == str(v) for k, v in wanted.items())
    ]
    if not found:
        keys = ('corpus', 'source', 'table')
        known = sorted({tuple(t.get(k, '') for k in keys) for t in everything})
        raise ValueError(
            f'published must fit one of the known tables {keys} {known}, got '
            f'{dict(wanted)}; correct it in the plan'
        )
    return found
