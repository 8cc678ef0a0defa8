"""What MMEngine and MMCV say at every start, kept off the screen.

For MMEngine 0.10.7 and MMCV 2.1. A training begins with about 550 lines: the
environment, the whole config and every hook. They stay in the log file of
the work directory; the screen gets what :class:`RunSummaryHook` says.
Remarks of upstream code about itself, which nobody who trains can act on,
go the same way. Whatever else is logged is shown.
"""

from __future__ import annotations

import logging
import re
import warnings

#: How long messages begin that belong into the log file.
OPENINGS = (
    f'\n{"-" * 60}\nSystem environment:\n',
    'Config:\n',
    'Hooks will be executed in the following order:\n',
)
#: Remarks that stand for nothing to be done, word for word.
REMARKS = frozenset(
    {
        'Distributed training is not used, all SyncBatchNorm (SyncBN) layers '
        'in the model will be automatically reverted to BatchNormXd layers '
        'if they are used.',
        '"FileClient" will be deprecated in future. Please use io functions '
        'in https://mmengine.readthedocs.io/en/latest/api/fileio.html'
        '#file-io',
        '"HardDiskBackend" is the alias of "LocalBackend" and the former '
        'will be deprecated in future.',
    }
)
#: Python warnings, by module.
WARNINGS = {
    'mmcv.cnn.bricks.transformer': (
        'Fail to import ``MultiScaleDeformableAttention`` from '
        '``mmcv.ops.multi_scale_deform_attn``, You should install ``mmcv`` '
        'rather than ``mmcv-lite`` if you need this module. '
    ),
}


class OffScreen(logging.Filter):
    """Let a handler pass over what is in the log file anyway."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown.

        Args:
            record: Of MMEngine's logger.
        """
        text = record.getMessage()
        return not (text.startswith(OPENINGS) or text in REMARKS)


def quiet_screen(logger: logging.Logger) -> None:
    """Filter what a logger shows, not what it writes to files.

    Args:
        logger: MMEngine's, once it has its handlers.

    Example:
        >>> logger = logging.getLogger('doctest')
        >>> logger.addHandler(logging.StreamHandler())
        >>> quiet_screen(logger)
        >>> record = logging.makeLogRecord({'msg': OPENINGS[1]})
        >>> logger.handlers[0].filter(record)
        False
    """
    for handler in logger.handlers:
        known = any(isinstance(part, OffScreen) for part in handler.filters)
        if not known and not isinstance(handler, logging.FileHandler):
            handler.addFilter(OffScreen())


def quiet_warnings() -> None:
    """Ignore the warnings above; those of others are left as they are."""
    for module, message in WARNINGS.items():
        warnings.filterwarnings(
            'ignore', re.escape(message), module=re.escape(module)
        )
