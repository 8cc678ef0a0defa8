"""Log lines of training that fit on a screen."""

from __future__ import annotations

import re
from typing import Any

from mmengine.runner import LogProcessor

from mmgmp.registry import LOG_PROCESSORS

#: Date, name of the logger and level, which MMEngine puts before a message.
_PREFIX = len('11/29 20:02:53 - mmengine - INFO - ')
_ITEM = re.compile(r'\s+(?=[^\s:]+: )')
#: What is shown first where there is not room for all.
_ORDER = ('eta', 'loss', 'accuracy', 'grad_norm', 'lr', 'time', 'memory')


@LOG_PROCESSORS.register_module()
class BriefLogProcessor(LogProcessor):
    """MMEngine's log processor, with training lines of one screen width.

    A step of a gradient strategy has some thirty numbers. All of them go to
    ``scalars.json`` and every other visualisation backend as before; the
    line that is printed has those that fit, the most telling first. Results
    of validation and test are printed whole.

    Args:
        width: Characters per line, date and level included; at least 80.
        **kwargs: As in MMEngine: ``window_size``, ``by_epoch``,
            ``custom_cfg``, ...

    Raises:
        ValueError: If there is no room for a line.

    Example:
        >>> LOG_PROCESSORS.build(dict(type='BriefLogProcessor')).width
        120
    """

    def __init__(self, width: int = 120, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if width < 80:
            raise ValueError(
                f'width of BriefLogProcessor must be at least 80, got {width};'
                ' correct log_processor.width'
            )
        self.width = width

    def get_log_after_iter(
        self, runner: Any, batch_idx: int, mode: str
    ) -> tuple[dict[str, Any], str]:
        """Return all numbers of an iteration, and the line to print.

        Args:
            runner: MMEngine's runner.
            batch_idx: Index of the batch in the loop.
            mode: ``'train'``, ``'val'`` or ``'test'``.

        Returns:
            Numbers by name, and the line.
        """
        tag, line = super().get_log_after_iter(runner, batch_idx, mode)
        return tag, shorten(line, self.width - _PREFIX)


def shorten(line: str, room: int) -> str:
    """Leave out numbers of a log line until it fits.

    Args:
        line: A header, and ``name: value`` after that.
        room: Characters it may have.

    Returns:
        The header and the numbers that have room, in their order; those
        named first in this module are chosen first.

    Example:
        >>> shorten('Epoch(train) [1][5/9]  lr: 1.0e-03  eta: 0:01:00  '
        ...         'data_time: 0.0411  loss: 2.71', 50)
        'Epoch(train) [1][5/9]  eta: 0:01:00  loss: 2.71'
    """
    header, *items = _ITEM.split(line.rstrip())
    names = [item.split(':')[0] for item in items]
    by_rank = sorted(
        range(len(items)),
        key=lambda i: _ORDER.index(names[i]) if names[i] in _ORDER else 99,
    )
    kept: set[int] = set()
    room -= len(header)
    for i in by_rank:
        if len(items[i]) + 2 <= room:
            room -= len(items[i]) + 2
            kept.add(i)
    return '  '.join([header, *(items[i] for i in sorted(kept))])
