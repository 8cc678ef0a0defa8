"""A runner that writes the protocol out before it builds anything."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner
from torch import nn

from mmgmp.engine.runner.checked_runner import CheckedRunner
from mmgmp.registry import RUNNERS
from mmgmp.utils.protocol import resolve_protocol


@RUNNERS.register_module()
class ProtocolRunner(CheckedRunner):
    """The checked runner on a config whose protocol is written out.

    ``runner_type='ProtocolRunner'`` in a config makes the stock scripts and
    mim build it. They have merged ``--cfg-options`` by then, so one
    ``protocol.target=...`` reaches the data loaders, the model and the work
    directory; hooks, checkpoints and the config that is written into the work
    directory hold plain values.

    Example:
        >>> RUNNERS.get('ProtocolRunner').__name__
        'ProtocolRunner'
    """

    @classmethod
    def from_cfg(cls, cfg: Config | ConfigDict | dict[str, Any]) -> Runner:
        """Build a runner from a config, its protocol written out.

        Args:
            cfg: The config; it is not changed.

        Returns:
            The runner.

        Raises:
            ValueError: If the protocol is none.
        """
        config = cfg if isinstance(cfg, Config) else ConfigDict(cfg)
        return super().from_cfg(resolve_protocol(config))

    def wrap_model(
        self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module
    ) -> nn.Module:
        """Wrap the model as MMEngine does, on CPUs without a device number.

        Args:
            model_wrapper_cfg: Config of the wrapper, None for the default.
            model: The model.

        Returns:
            The model, wrapped if there are several processes.
        """
        if self.distributed and not torch.cuda.is_available():
            # PyTorch refuses the number that MMEngine would pass on.
            model_wrapper_cfg = {
                'type': 'MMDistributedDataParallel',
                'broadcast_buffers': False,
                **(model_wrapper_cfg or {}),
                'device_ids': None,
            }
        return super().wrap_model(model_wrapper_cfg, model)
