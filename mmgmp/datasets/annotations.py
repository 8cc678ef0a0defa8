"""Read annotation files and check what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from mmengine.fileio import join_path
from mmengine.utils import is_abs

from mmgmp.datasets.unknown_classes import set_apart
from mmgmp.utils.plain_text import short_repr
from mmgmp.utils.text_files import read_json, read_yaml


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


def load_annotation(
    path: str, unknown_classes: Sequence[str] = (), keep_unknown: bool = False
) -> dict[str, Any]:
    """Load one annotation file.

    Args:
        path: JSON file of the form that ``docs/data.md`` describes, or the
            same in YAML.
        unknown_classes: As in :func:`set_apart`.
        keep_unknown: As in :func:`set_apart`.

    Returns:
        Its content, with ``metainfo`` (``classes`` and ``domains`` in it) and
        ``data_list``; the samples are not checked.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON or YAML, a part is missing or of
            another kind, or ``unknown_classes`` do not fit.
    """
    annotation = _read(path)
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
    for key in ('classes', 'domains'):
        _check_names(key, annotation['metainfo'][key], path)
    if not annotation['data_list']:
        raise ValueError(
            f'ann_file: data_list of {path} must hold samples, it is empty; '
            'write it again'
        )
    if not unknown_classes:
        return dict(annotation)
    return set_apart(annotation, unknown_classes, keep_unknown, path)


def _read(path: str) -> Any:
    """Read the file, whatever is in it."""
    kind = PurePath(path).suffix.lower()
    if kind not in ('.json', '.yml', '.yaml'):
        raise ValueError(
            f'ann_file must be a JSON or YAML file, got {path}; pickles can '
            'run programs and are not read: write it again as JSON, see '
            'docs/data.md'
        )
    try:
        return read_json(path) if kind == '.json' else read_yaml(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'ann_file: {path} does not exist; write it with the scripts of '
            'data_prep/<corpus>/, as in data_prep/hac/convert_annotations.py, '
            'or check data_root'
        ) from error
    except ValueError as error:
        raise ValueError(f'ann_file: {error}') from error


def _check_names(key: str, names: Any, path: str) -> None:
    """Classes and domains: what stands twice would count twice."""
    are_texts = isinstance(names, list) and all(
        isinstance(name, str) and name.strip() for name in names
    )
    if not are_texts or not names or len(set(names)) < len(names):
        raise ValueError(
            f'ann_file: {key} of metainfo must be a list of different names, '
            f'got {short_repr(names)} in {path}; see docs/data.md'
        )


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
