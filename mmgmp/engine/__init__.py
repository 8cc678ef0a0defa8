"""What happens during training: optimizer wrappers and hooks."""

from mmgmp.engine import hooks, optim
from mmgmp.utils.compat import check_local_checkpoints

__all__ = ['hooks', 'optim']

check_local_checkpoints()
