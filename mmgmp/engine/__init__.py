"""What happens during training: optimizer wrappers and hooks."""

from mmgmp.engine import hooks, optim

__all__ = ['hooks', 'optim']
