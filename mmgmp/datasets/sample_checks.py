"""Check what the samples of an annotation file say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from mmgmp.utils.checks import check_choice
from mmgmp.utils.plain_text import short_repr


def check_identities(annotation: Mapping[str, Any], source: str) -> None:
    """Check id and domain of every sample, by which samples are chosen.

    Args:
        annotation: What :func:`load_annotation` returned.
        source: Name of the file.

    Raises:
        ValueError: If one is missing or no good, or an id stands twice.
    """
    places: dict[str, int] = {}
    for number, sample in enumerate(annotation['data_list']):
        check_identity(
            sample, annotation['metainfo']['domains'], source, number
        )
        sample_id = sample['id']
        if sample_id in places:
            raise ValueError(
                f'id of a sample must stand once in a file, got {sample_id!r} '
                f'in entries {places[sample_id]} and {number} of {source}; '
                'remove one, or rename it if they are two clips'
            )
        places[sample_id] = number


def check_identity(
    sample: Any, domains: Sequence[str], source: str, number: int
) -> None:
    """Check id and domain of one sample.

    Args:
        sample: Entry of ``data_list``.
        domains: Those of ``metainfo``.
        source: Name of the file.
        number: Place in ``data_list``.

    Raises:
        ValueError: If a part is missing or no good.

    Example:
        >>> check_identity({'id': 'a', 'domain': 'D '}, ['d'], 'a.json', 0)
        Traceback (most recent call last):
            ...
        ValueError: domain of sample 'a' of a.json must be one of ['d'], got \
'D '; write 'd' if that is meant (case and blanks count)
    """
    sample_id = sample.get('id') if isinstance(sample, Mapping) else None
    if not isinstance(sample_id, str) or not _is_text(sample_id):
        raise ValueError(
            f'entry {number} of {source} must be an object with an id, a '
            f'text, got {short_repr(sample)}; see docs/data.md'
        )
    domain = sample.get('domain')
    if domain in domains:
        return
    by_form = {name.strip().casefold(): name for name in domains}
    near = get_close_matches(str(domain).strip().casefold(), by_form, 1)
    cure = (
        f'write {by_form[near[0]]!r} if that is meant (case and blanks count)'
        if near
        else 'correct it, or add it to metainfo'
    )
    check_choice(
        f'domain of sample {sample_id!r} of {source}', domain, domains, cure
    )


def check_label(
    sample: Mapping[str, Any], classes: Sequence[str], source: str
) -> None:
    """Check the label of one sample.

    Args:
        sample: Entry of ``data_list`` with an id.
        classes: Class names.
        source: Name of the file.

    Raises:
        ValueError: If it is missing or no class.
    """
    label = sample.get('label')
    # True is an int in Python.
    if type(label) is not int or not 0 <= label < len(classes):
        got = (
            f'got {short_repr(label)}'
            if 'label' in sample
            else 'it is missing'
        )
        raise ValueError(
            f'label of sample {sample["id"]!r} must be a whole number from 0 '
            f'to {len(classes) - 1}, {got} in {source}; its classes are '
            f'{list(classes)}'
        )


def check_sample(
    sample: Mapping[str, Any],
    classes: Sequence[str],
    modalities: Sequence[str],
    source: str,
) -> None:
    """Check the label and the modality entries of one sample.

    Args:
        sample: Entry of ``data_list`` with an id.
        classes: Class names.
        modalities: Wanted modalities.
        source: Name of the file.

    Raises:
        ValueError: If the label is no class, a modality has no entry, or one
            of its paths, times or frame numbers cannot be.
    """
    check_label(sample, classes, source)
    entries = [key for key in sample if isinstance(sample[key], Mapping)]
    missing = [name for name in modalities if name not in entries]
    if missing:
        raise ValueError(
            f'modalities: sample {sample["id"]!r} of {source} has no '
            f'{missing} entry, it has {entries}; change modalities or add '
            'the entry in data_prep'
        )
    check_entries(sample, modalities, source)


def check_entries(
    sample: Mapping[str, Any], modalities: Sequence[str], source: str
) -> None:
    """Check the entries that a sample has.

    Args:
        sample: Entry of ``data_list`` with an id.
        modalities: Modalities to look at, which may be missing.
        source: Name of the file.

    Raises:
        ValueError: If a path, time or frame number cannot be.
    """
    for name in modalities:
        entry = sample.get(name)
        problem = _problem_of(entry) if isinstance(entry, Mapping) else ''
        if problem:
            raise ValueError(
                f'{name} of sample {sample["id"]!r}: {problem} in {source}; '
                'see docs/data.md'
            )


def _problem_of(entry: Mapping[str, Any]) -> str:
    """Say what is wrong with the entry of a modality, ``''`` if nothing."""
    if not entry:
        return 'must name a path, got nothing'
    for key, value in entry.items():
        if not isinstance(key, str):
            return f'keys must be texts, got {short_repr(key)}'
        if key.startswith('path') and not (
            isinstance(value, str) and _is_text(value) and '\0' not in value
        ):
            return f'{key} must be the name of a file, got {short_repr(value)}'
    for key, is_right, rule in _ENTRY_RULES:
        if key in entry and not is_right(entry[key]):
            return f'{key} must be {rule}, got {short_repr(entry[key])}'
    start, stop = entry.get('start') or 0, entry.get('stop')
    if stop is not None and stop <= start:
        return (
            f'stop must come after start, got {short_repr(start)} and '
            f'{short_repr(stop)}'
        )
    return ''


def _is_text(value: str) -> bool:
    """Whether there is something in it that can be written to a file."""
    is_whole = not any('\ud800' <= letter <= '\udfff' for letter in value)
    return bool(value.strip()) and is_whole


def _is_whole(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def _is_time(value: Any) -> bool:
    return value is None or (
        type(value) in (int, float) and math.isfinite(value) and value >= 0
    )


def _is_rate(value: Any) -> bool:
    return value is None or (
        type(value) in (int, float) and 0 < value < math.inf
    )


#: What transforms of this package read from an entry.
_ENTRY_RULES = (
    ('start', _is_time, 'seconds >= 0'),
    ('stop', _is_time, 'seconds >= 0'),
    ('start_frame', lambda value: _is_whole(value, 0), 'a whole number >= 0'),
    ('num_frames', lambda value: _is_whole(value, 1), 'a whole number >= 1'),
    ('start_sample', lambda value: _is_whole(value, 0), 'a whole number >= 0'),
    ('num_samples', lambda value: _is_whole(value, 1), 'a whole number >= 1'),
    ('fps', _is_rate, 'frames per second > 0'),
    (
        'filename_tmpl',
        lambda value: isinstance(value, str) and '{' in value,
        'a text with a field such as {:010}',
    ),
)
