"""What happens during a run: its runner, optimizer wrappers and hooks."""

from mmgmp.engine import hooks, optim, runner

__all__ = ['hooks', 'optim', 'runner']
