"""Under which conditions the numbers of a report were measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmgmp.apis.report.results import Results
from mmgmp.apis.report.words import column_words, setting_words

_CHOICES = {
    'best': 'the best epoch on source validation is tested',
    'last': 'the last epoch is tested',
}
_SPLITS = {'train': 'training', 'val': 'validation', 'test': 'test'}


def conditions(results: Results) -> dict[str, Any]:
    """Collect what a reader needs to judge the numbers.

    ``clips`` are by target and ``training`` by method, each a list of the
    different ones. No path of the machine is in it.
    """
    plan, facts = results.plan, list(results.facts.values())
    cells = results.cells.loc[list(results.facts)]
    clips: dict[str, list[Any]] = {}
    lengths: dict[str, list[Any]] = {}
    for fact, target, method in zip(
        facts, cells['target'], cells['method'], strict=True
    ):
        clips.setdefault(target, []).append(fact['clips'])
        length = f'{fact["length"]} {fact["unit"]}s'
        lengths.setdefault(method, []).append(length)
    dates = sorted(fact['date'] for fact in facts)
    return {
        'targets': list(plan.targets),
        'seeds': list(plan.seeds),
        'clips': {name: _different(found) for name, found in clips.items()},
        'training': {name: _different(f) for name, f in lengths.items()},
        'checkpoint': plan.checkpoint,
        'amp': plan.amp,
        'overrides': {k: _portable(v) for k, v in plan.overrides.items()},
        'dates': [dates[0], dates[-1]] if dates else [],
        'machines': _different(fact['machine'] for fact in facts),
        'software': _different(fact['software'] for fact in facts),
    }


def condition_texts(results: Results) -> list[list[str]]:
    """Lay the conditions out as pairs of name and text."""
    plan, found = results.plan, conditions(results)
    training = [
        _lengths_text(found['training']),
        _CHOICES[plan.checkpoint],
        'mixed precision' if plan.amp else '',
    ]
    rows = {
        'corpus': results.corpus,
        'clips': _by_target(found['clips']),
        'training': '; '.join(filter(None, training)),
        'targets': ', '.join(column_words(plan, x) for x in plan.targets),
        'seeds': ', '.join(map(str, found['seeds'])),
        'changed settings': '; '.join(
            setting_words(
                {
                    key: value
                    for key, value in plan.overrides.items()
                    if _portable(value) == value
                }
            )
        ),
        'date': ' to '.join(dict.fromkeys(found['dates'])),
        'hardware': '; '.join(map(_machine_text, found['machines'])),
        'software': '; '.join(
            ', '.join(f'{name} {version}' for name, version in item.items())
            for item in found['software']
        ),
    }
    return [[name, text] for name, text in rows.items() if text]


def _by_target(clips: Mapping[str, list[Mapping[str, int | str]]]) -> str:
    """Name the targets only if their clips differ in number."""
    texts = {
        target: ' or '.join(map(_clips_text, counts))
        for target, counts in clips.items()
    }
    if len(texts) > 1 and len(set(texts.values())) == 1:
        return f'each target: {next(iter(texts.values()))}'
    return '; '.join(f'target {name}: {text}' for name, text in texts.items())


def _clips_text(counts: Mapping[str, int | str]) -> str:
    texts = [
        f'{counts[split]} {word}'
        if isinstance(counts[split], int)
        else f'{word} not counted ({counts[split]})'
        for split, word in _SPLITS.items()
        if split in counts
    ]
    return ', '.join(texts) or 'not known'


def _lengths_text(lengths: Mapping[str, list[str]]) -> str:
    """Name the methods only if their trainings differ in length."""
    texts = {method: ' or '.join(found) for method, found in lengths.items()}
    if len(set(texts.values())) <= 1:
        return next(iter(texts.values()), '')
    return ', '.join(f'{method} {text}' for method, text in texts.items())


def _machine_text(machine: Mapping[str, Any]) -> str:
    gpu = machine.get('gpu', '')
    if 'cpu' not in machine:
        return gpu or 'Slurm nodes, processor not recorded'
    cpu = f'{machine["cpu"]}, {machine.get("cores", "?")} cores'
    return f'{gpu}; {cpu}' if gpu else f'{cpu}, no GPU'


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
        if item not in found:
            found.append(item)
    return found
