"""Rows of a plan that are made of other rows.

Two kinds: an ensemble, which trains nothing, and a training whose overrides
name checkpoints of other rows, ``{best:ROW}``. Both wait for the cells of the
rows that they need, with the same modality set, target and seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Protocol

from mmgmp.apis.benchmark.options import BEST, Overrides
from mmgmp.utils.checks import check_choice
from mmgmp.utils.typed_values import choice, demand, key, read_as, texts


def _members(place: str, value: Any) -> tuple[str, ...]:
    names = texts(place, value)
    advice = 'for example [Video alone, Audio alone]'
    demand(len(names) > 1, place, 'name two rows or more', value, advice)
    return names


@dataclass(frozen=True)
class Ensemble:
    """A mean of the predictions of rows that are trained apart.

    Args:
        members: The rows.
        weights: ``'equal'``, or ``'validation'``: of a grid those that are
            best on source validation.
        space: What is averaged, ``'probability'`` or ``'logit'``.
    """

    members: tuple[str, ...] = field(metadata=key(_members))
    weights: str = field(
        default='equal', metadata=key(choice('equal', 'validation'))
    )
    space: str = field(
        default='probability', metadata=key(choice('probability', 'logit'))
    )


def read_ensemble(place: str, value: Any) -> Ensemble:
    """Read ``ensemble`` of a row: its members, or a mapping with them.

    Example:
        >>> read_ensemble('ensemble', ['Video alone', 'Audio alone']).weights
        'equal'
    """
    raw = value if isinstance(value, Mapping) else {'members': value}
    found: Ensemble = read_as(Ensemble)(place, raw)
    return found


class Row(Protocol):
    """What is read of a method of a plan."""

    @property
    def overrides(self) -> Overrides:
        """Config keys that it sets."""

    @property
    def ensemble(self) -> Ensemble | None:
        """What it is a mean of."""


def named_rows(value: Any) -> Iterator[str]:
    """Find the rows whose checkpoints the value of an override names.

    Example:
        >>> list(named_rows(['{best:Video alone}', 3]))
        ['Video alone']
    """
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from named_rows(item)
    elif isinstance(value, str):
        yield from BEST.findall(value)


def needed_rows(row: Row) -> tuple[str, ...]:
    """List the rows that must be done before a row can start."""
    found = [*(row.ensemble.members if row.ensemble else ())]
    for value in row.overrides.values():
        found += named_rows(value)
    return tuple(dict.fromkeys(found))


def fill_checkpoints(
    overrides: Mapping[str, Any], checkpoints: Mapping[str, str]
) -> Overrides:
    """Put checkpoints where ``{best:ROW}`` names them.

    Args:
        overrides: Config keys.
        checkpoints: By row, of those that are trained; others stay named.

    Example:
        >>> fill_checkpoints({'a': '{best:Video alone}', 'b': '{best:ERM}'},
        ...                  {'Video alone': 'best_1.pth'})
        {'a': 'best_1.pth', 'b': '{best:ERM}'}
    """

    def fill(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [fill(item) for item in value]
        if not isinstance(value, str):
            return value
        return BEST.sub(lambda m: checkpoints.get(m[1], m[0]), value)

    return {name: fill(value) for name, value in overrides.items()}


def check_rows(rows: Mapping[str, Row], is_searched: bool) -> None:
    """Refuse rows that wait for what cannot come.

    Args:
        rows: Methods by name.
        is_searched: Whether the plan searches hyper-parameters.

    Raises:
        ValueError: If a needed row is unknown, trains nothing, or waits for
            the row that needs it; or if the plan has a search.
    """
    needs = {name: needed_rows(row) for name, row in rows.items()}
    trained = [name for name, row in rows.items() if row.ensemble is None]
    for name, needed in needs.items():
        place = f'methods.{name}'
        others = [other for other in trained if other != name]
        for other in needed:
            advice = 'name a row that is trained'
            check_choice(f'{place}: a row it needs', other, others, advice)
        rule = 'need no other row in a plan with a search'
        is_met = not (needed and is_searched)
        demand(is_met, place, rule, list(needed), 'write two plans')
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle = ' needs '.join(reversed(error.args[1]))
        raise ValueError(
            f'methods must not wait for each other, got {circle}; correct '
            'their {best:...}'
        ) from error
