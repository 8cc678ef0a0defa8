"""Classes that a model is not to know, behind those that it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def set_apart(
    annotation: Mapping[str, Any],
    unknown: Sequence[str],
    keep: bool,
    path: str,
) -> dict[str, Any]:
    """Number the known classes first, and keep or drop the others.

    Args:
        annotation: Content of an annotation file.
        unknown: Names of the unknown classes.
        keep: Whether their samples stay, with labels behind the known ones.
        path: The file, for messages.

    Returns:
        The annotation with other labels; classes stay in the order of the
        file, known ones first.

    Raises:
        TypeError: If ``unknown`` is a single string.
        ValueError: If a name is no class of the file, stands twice, or no
            known class, or no sample, is left.

    Example:
        >>> samples = [dict(label=0), dict(label=1), dict(label=2)]
        >>> annotation = dict(
        ...     metainfo=dict(classes=['a', 'b', 'c']), data_list=samples)
        >>> set_apart(annotation, ['a'], True, 'x.json')['data_list']
        [{'label': 2}, {'label': 0}, {'label': 1}]
    """
    if isinstance(unknown, str):
        raise TypeError(
            f'unknown_classes must be a list of names, got {unknown!r}; '
            f'write [{unknown!r}]'
        )
    classes = list(annotation['metainfo']['classes'])
    known = [name for name in classes if name not in unknown]
    strange = [name for name in unknown if name not in classes]
    if strange or not known or len(set(unknown)) < len(unknown):
        raise ValueError(
            'unknown_classes must name, once each, some classes of '
            f'{classes}, but not all, got {list(unknown)}; {path}'
        )
    order = [*known, *(name for name in classes if name in unknown)]
    names = order if keep else known
    samples = []
    for sample in annotation['data_list']:
        label = sample.get('label')
        # What is no label of the file is complained about where all are.
        is_label = isinstance(label, int) and 0 <= label < len(classes)
        name = classes[label] if is_label else None
        if name is None:
            samples.append(sample)
        elif name in names:
            samples.append({**sample, 'label': order.index(name)})
    if not samples:
        raise ValueError(
            f'unknown_classes must leave samples of {path}, got '
            f'{list(unknown)}, and no sample of another class'
        )
    metainfo = {**annotation['metainfo'], 'classes': names}
    return {**annotation, 'metainfo': metainfo, 'data_list': samples}
