"""What happens during a run: its runner, optimizer wrappers and hooks."""

from mmgmp.engine import hooks, optim, runner
from mmgmp.utils.compat import check_local_checkpoints

__all__ = ['hooks', 'optim', 'runner']

check_local_checkpoints()
