"""Read annotation files and skip lists, and check what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.fileio import get_text, join_path, load
from mmengine.utils import is_abs


def resolve(path: str, root: str) -> str:
    """Join a relative path to the data root.

    Args:
        path: Path as the annotation or the config gives it.
        root: Data root; ``''`` is the working directory.

    Returns:
        The path; absolute ones come back unchanged.

    Example:
        >>> resolve('human/audio/a.wav', 'data/HAC')
        'data/HAC/human/audio/a.wav'
    """
    return path if is_abs(path) or not root else join_path(root, path)


def load_annotation(path: str) -> dict[str, Any]:
    """Load one annotation file.

    Args:
        path: JSON file of the form that ``docs/data.md`` describes.

    Returns:
        Its content, with ``metainfo`` (``classes`` and ``domains`` in it) and
        ``data_list``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a part is missing.
    """
    try:
        annotation = load(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'ann_file: {path} does not exist; write it with the scripts of '
            'data_prep/<corpus>/, as in data_prep/hac/convert_annotations.py, '
            'or check data_root'
        ) from error
    is_complete = isinstance(annotation, Mapping) and all(
        isinstance(annotation.get(key), kind)
        for key, kind in (('metainfo', Mapping), ('data_list', list))
    )
    if not is_complete or not {'classes', 'domains'} <= set(
        annotation['metainfo']
    ):
        raise ValueError(
            'ann_file must hold metainfo, with classes and domains, and a '
            f'data_list; {path} does not; see docs/data.md'
        )
    return annotation


def merge_metainfo(
    annotations: Sequence[Mapping[str, Any]], paths: Sequence[str]
) -> dict[str, Any]:
    """Merge the metainfo of files that are read as one.

    Args:
        annotations: Contents of the files.
        paths: Their paths, for the error message.

    Returns:
        Metainfo of the first file, with the domains of all.

    Raises:
        ValueError: If the files do not name the same classes.
    """
    merged = dict(annotations[0]['metainfo'])
    for annotation, path in zip(annotations, paths, strict=True):
        metainfo = annotation['metainfo']
        if list(metainfo['classes']) != list(merged['classes']):
            raise ValueError(
                'ann_file: files read together must name the same classes, '
                f'{paths[0]} has {merged["classes"]} and {path} has '
                f'{metainfo["classes"]}'
            )
        merged['domains'] = list(
            dict.fromkeys([*merged['domains'], *metainfo['domains']])
        )
    return merged


def check_domains(
    domains: Sequence[str] | None, present: Sequence[str], source: str
) -> tuple[str, ...]:
    """Check the wanted domains against those that a file has.

    Args:
        domains: Wanted domains in label order; ``None`` takes all.
        present: Domains that have samples.
        source: Name of the file or files.

    Returns:
        The wanted domains.

    Raises:
        TypeError: If ``domains`` is a single string.
        ValueError: If a domain is unknown, repeated, or none is left.
    """
    if isinstance(domains, str):
        raise TypeError(
            f'domains must be a list of names, got {domains!r}; '
            f'write [{domains!r}]'
        )
    wanted = tuple(present if domains is None else domains)
    unknown = [domain for domain in wanted if domain not in present]
    if unknown or not wanted or len(set(wanted)) < len(wanted):
        raise ValueError(
            'domains must name, once each, domains that the annotation has '
            f'samples of, got {list(wanted)}; {source} has {list(present)}'
        )
    return wanted


def check_sample(
    sample: Mapping[str, Any],
    classes: Sequence[str],
    modalities: Sequence[str],
    source: str,
) -> None:
    """Check the label and the modality entries of one sample.

    Args:
        sample: Entry of ``data_list``.
        classes: Class names.
        modalities: Wanted modalities.
        source: Name of the file.

    Raises:
        ValueError: If the label is no class or a modality has no entry.
    """
    label = sample['label']
    is_class = isinstance(label, int) and 0 <= label < len(classes)
    if not is_class:
        raise ValueError(
            f'label of sample {sample["id"]!r} must be one of 0 to '
            f'{len(classes) - 1}, got {label!r} in {source}; its classes are '
            f'{list(classes)}'
        )
    entries = [key for key in sample if isinstance(sample[key], Mapping)]
    missing = [name for name in modalities if name not in entries]
    if missing:
        raise ValueError(
            f'modalities: sample {sample["id"]!r} of {source} has no '
            f'{missing} entry, it has {entries}; change modalities or add '
            'the entry in data_prep'
        )


def read_skip_list(
    skip_list: str | Sequence[str] | None, root: str
) -> set[str]:
    """Read the ids that a dataset leaves out.

    Args:
        skip_list: Path of a JSON list, or of a text file with one id per
            line, or the ids themselves.
        root: Data root that a relative path is joined to.

    Returns:
        The ids.

    Raises:
        FileNotFoundError: If the file does not exist.

    Example:
        >>> read_skip_list(['human/a'], '')
        {'human/a'}
    """
    if skip_list is None or not isinstance(skip_list, str):
        return set(skip_list or ())
    path = resolve(skip_list, root)
    try:
        text = get_text(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'skip_list: {path} does not exist; it is a file of sample ids, '
            'None skips nothing'
        ) from error
    if Path(path).suffix == '.json':
        return set(json.loads(text))
    return {line.strip() for line in text.splitlines() if line.strip()}
