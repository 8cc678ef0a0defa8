"""MMEngine's runner, with a moment before anything is built."""

from __future__ import annotations

from typing import Any

from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import nn

from mmgmp.registry import RUNNERS
from mmgmp.utils.compat import quiet_screen


@RUNNERS.register_module()
class CheckedRunner(Runner):
    """MMEngine's ``Runner`` that tells its hooks what it is about to do.

    The first event of MMEngine, ``before_run``, comes when data loaders and
    learning rate schedules have been built; a mistake in the settings has
    shown itself by then as some other error. This runner calls
    ``before_build`` of the hooks that have it, with ``mode='train'``,
    ``'val'`` or ``'test'``. The stock scripts build it where the config says
    ``runner_type='CheckedRunner'``.

    It also keeps off the screen what belongs into the log file only: the
    environment, the config, the list of hooks.

    Example:
        >>> RUNNERS.get('CheckedRunner').__mro__[1].__name__
        'Runner'
    """

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger, quiet on the screen and whole in its file.

        Args:
            *args: As in MMEngine.
            **kwargs: As in MMEngine.
        """
        logger = super().build_logger(*args, **kwargs)
        quiet_screen(logger)
        return logger

    def train(self) -> nn.Module:
        """Train, as MMEngine does."""
        self.call_hook('before_build', mode='train')
        return super().train()

    def val(self) -> dict[str, Any]:
        """Validate, as MMEngine does."""
        self.call_hook('before_build', mode='val')
        metrics: dict[str, Any] = super().val()
        return metrics

    def test(self) -> dict[str, Any]:
        """Test, as MMEngine does."""
        self.call_hook('before_build', mode='test')
        metrics: dict[str, Any] = super().test()
        return metrics
