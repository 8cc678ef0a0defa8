"""Under which conditions the numbers of a report were measured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmgmp.apis.benchmark.results import Results


def conditions(results: Results) -> dict[str, Any]:
    """Collect what a reader needs to judge the numbers.

    Args:
        results: What was measured.

    Returns:
        ``targets``, ``seeds``, ``clips`` and ``training`` (by target and
        by method), ``checkpoint``, ``amp``, ``overrides``, ``dates``,
        ``machines`` and ``software``. No path of the machine is in it.
    """
    plan = results.plan
    clips: dict[str, list[Any]] = {}
    lengths: dict[str, list[str]] = {}
    facts = list(results.facts.values())
    for number, fact in results.facts.items():
        cell = results.cells.loc[number]
        _add(clips.setdefault(cell['target'], []), fact['clips'])
        length = f'{fact["length"]} {fact["unit"]}s'
        _add(lengths.setdefault(cell['method'], []), length)
    dates = sorted(fact['date'] for fact in facts)
    return {
        'targets': list(plan.targets),
        'seeds': list(plan.seeds),
        'clips': clips,
        'training': lengths,
        'checkpoint': plan.checkpoint,
        'amp': plan.amp,
        'overrides': {
            key: _portable(value) for key, value in plan.overrides.items()
        },
        'dates': [dates[0], dates[-1]] if dates else [],
        'machines': _different(fact['machine'] for fact in facts),
        'software': _different(fact['software'] for fact in facts),
    }


def condition_texts(results: Results) -> list[list[str]]:
    """Lay the conditions out as pairs of name and text.

    Args:
        results: What was measured.
    """
    plan, found = results.plan, conditions(results)
    kind = ' (SYNTHETIC)' if plan.synthetic else ''
    choice = {
        'best': 'the best epoch on source validation is tested',
        'last': 'the last epoch is tested',
    }[plan.checkpoint]
    rows = {
        'corpus': plan.corpus + kind,
        'clips': '; '.join(
            f'target {target}: ' + ' or '.join(map(_clips_text, counts))
            for target, counts in found['clips'].items()
        ),
        'training': '; '.join(
            filter(
                None,
                (
                    _lengths_text(found['training']),
                    choice,
                    'mixed precision' if plan.amp else '',
                ),
            )
        ),
        'targets': ', '.join(found['targets']),
        'seeds': ', '.join(map(str, found['seeds'])),
        'changed settings': ', '.join(
            f'{key}={value}'
            for key, value in plan.overrides.items()
            if _portable(value) == value
        ),
        'date': ' to '.join(dict.fromkeys(found['dates'])),
        'hardware': '; '.join(map(_machine_text, found['machines'])),
        'software': '; '.join(
            ', '.join(f'{name} {version}' for name, version in item.items())
            for item in found['software']
        ),
    }
    return [[name, text] for name, text in rows.items() if text]


def _clips_text(counts: dict[str, int | str]) -> str:
    words = {'train': 'training', 'val': 'validation', 'test': 'test'}
    return (
        ', '.join(
            f'{counts[split]} {word}'
            if isinstance(counts[split], int)
            else f'{word} not counted ({counts[split]})'
            for split, word in words.items()
            if split in counts
        )
        or 'not known'
    )


def _lengths_text(lengths: dict[str, list[str]]) -> str:
    """Name the methods only if their trainings differ in length."""
    texts = {method: ' or '.join(found) for method, found in lengths.items()}
    if len(set(texts.values())) <= 1:
        return next(iter(texts.values()), '')
    return ', '.join(f'{method} {text}' for method, text in texts.items())


def _machine_text(machine: dict[str, Any]) -> str:
    if 'cpu' not in machine:
        return machine['gpu'] or 'Slurm nodes, processor not recorded'
    cpu = f'{machine["cpu"]}, {machine["cores"]} cores'
    return f'{machine["gpu"]}; {cpu}' if machine['gpu'] else f'{cpu}, no GPU'


def _portable(value: Any) -> Any:
    """Take the folders off an absolute path.

    Example:
        >>> _portable('/home/me/data/hac'), _portable(0.5)
        ('.../hac', 0.5)
    """
    if isinstance(value, list):
        return [_portable(item) for item in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return f'.../{Path(value).name}'
    return value


def _different(items: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        _add(found, item)
    return found


def _add(items: list[Any], item: Any) -> None:
    if item not in items:
        items.append(item)
