"""Published numbers, to stand beside measured ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmgmp.utils.text_files import read_yaml


@dataclass(frozen=True)
class Published:
    """One published accuracy.

    Args:
        mean: Top-1 accuracy in percent.
        std: Its deviation over seeds, None if the paper gives none.
    """

    mean: float
    std: float | None = None


@lru_cache(maxsize=1)
def load_published() -> Mapping[str, Any]:
    """Read the data file of the package.

    Example:
        >>> sorted(load_published()['sources'])
        ['gmp', 'mbcd']
    """
    path = Path(__file__).with_name('published.yml')
    data: dict[str, Any] = read_yaml(path)
    return data


def find_published(
    wanted: Mapping[str, Any],
    method: str,
    modalities: str,
    split: str,
    column: str,
) -> Published | None:
    """Look up one number.

    Args:
        wanted: ``corpus``, ``source`` and, for some sources, ``table``.
        method: Row.
        modalities: Modality set; ``''`` means video and audio.
        split: ``'source'`` or ``'target'``.
        column: Target domain, ``'avg'`` or a branch of the model.

    Returns:
        The number, or None if it was not published.

    Raises:
        ValueError: If no table at all fits ``wanted``.

    Example:
        >>> find_published({'corpus': 'HAC', 'source': 'gmp', 'table': '2'},
        ...                'GMP', '', 'target', 'avg')
        Published(mean=64.91, std=None)
    """
    tables = _tables(wanted)
    for table in tables:
        if (
            table['modalities'] != (modalities or 'V+A')
            or table['split'] != split
            or column not in table['columns']
            or method not in table['rows']
        ):
            continue
        values = table['rows'][method]
        value = values[table['columns'].index(column)]
        if value is None:
            return None
        return (
            Published(*value) if isinstance(value, list) else Published(value)
        )
    return None


def describe_source(wanted: Mapping[str, Any]) -> str:
    """Name the paper and its protocol.

    Args:
        wanted: As in :func:`find_published`.
    """
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
        if all(
            str(table.get(key)) == str(value) for key, value in wanted.items()
        )
    ]
    if not found:
        known = sorted(
            {
                (t['corpus'], t['source'], t.get('table', ''))
                for t in everything
            }
        )
        raise ValueError(
            'published must fit one of the known tables (corpus, source, '
            f'table) {known}, got {dict(wanted)}'
        )
    return found
