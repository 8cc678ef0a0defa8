"""Let ``torchrun`` start processes on a machine without a GPU.

MMEngine 0.10.7 calls ``torch.cuda.set_device`` before it starts the process
group, whatever the backend is, and so fails where there is no CUDA device.
"""

from __future__ import annotations

import atexit
import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as torch_dist
from mmengine.device import (
    is_mlu_available,
    is_musa_available,
    is_npu_available,
)
from mmengine.dist import utils

_ACCELERATORS = (
    torch.cuda.is_available,
    is_mlu_available,
    is_musa_available,
    is_npu_available,
)


def allow_cpu_processes() -> None:
    """Replace the function of MMEngine that starts a process group, once.

    With an accelerator, or another initialiser than PyTorch's, MMEngine's own
    function does the work.

    Example:
        >>> allow_cpu_processes()
    """
    if not hasattr(utils._init_dist_pytorch, '__wrapped__'):
        utils._init_dist_pytorch = _with_cpus(utils._init_dist_pytorch)


def _with_cpus(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def start(
        backend: str, init_backend: str = 'torch', **kwargs: Any
    ) -> None:
        if init_backend != 'torch' or any(found() for found in _ACCELERATORS):
            original(backend, init_backend=init_backend, **kwargs)
            return
        if backend == 'nccl':
            raise ValueError(
                "env_cfg.dist_cfg.backend must be 'gloo' where there is no "
                "GPU, got 'nccl'; add --cfg-options "
                'env_cfg.dist_cfg.backend=gloo'
            )
        torch_dist.init_process_group(backend=backend, **kwargs)
        # Gloo's threads may abort an interpreter that ends before them.
        atexit.register(_stop)

    return start


def _stop() -> None:
    if torch_dist.is_initialized():
        torch_dist.destroy_process_group()
