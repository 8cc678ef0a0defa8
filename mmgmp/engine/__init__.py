"""What happens during training: optimizer wrappers and hooks."""

from mmgmp.engine import hooks, optim, runner

__all__ = ['hooks', 'optim', 'runner']
