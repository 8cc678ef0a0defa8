"""Format the text of a config once, and not at every place that writes it.

MMEngine 0.10.7 runs yapf over the whole config each time it asks for
``Config.pretty_text``: for the log, the work directory, the visualisation
backend and the checkpoint. That is about half of the time between the start
of a training and its first step. The texts are the same, so this remembers
them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from mmengine.config import config as module

# A run has one config; a process that trains many keeps the last of them.
_REMEMBERED = 8


def format_configs_once() -> None:
    """Let MMEngine's config remember what yapf made of a text.

    Example:
        >>> format_configs_once()
    """
    if not hasattr(module.FormatCode, '__wrapped__'):
        module.FormatCode = _remember(module.FormatCode)


def _remember(format_code: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[tuple[str, str], Any] = {}

    @functools.wraps(format_code)
    def remembered(text: str, **options: Any) -> Any:
        key = (text, repr(sorted(options.items())))
        if key not in known:
            while len(known) >= _REMEMBERED:
                del known[next(iter(known))]
            known[key] = format_code(text, **options)
        return known[key]

    return remembered
