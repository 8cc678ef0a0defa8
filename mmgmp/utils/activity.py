"""When something that follows the epochs acts."""

from __future__ import annotations

from dataclasses import dataclass, field

from mmengine.logging import MessageHub


@dataclass(frozen=True)
class ActivityWindow:
    """Epochs in which something acts, both ends inclusive.

    Args:
        start_epoch: First such epoch, 0-based.
        end_epoch: Last such epoch; ``None`` means to the end.
        advice: What to do about an empty window.

    Raises:
        ValueError: If the window is empty or starts before epoch 0.

    Example:
        >>> window = ActivityWindow(2, 3)
        >>> [epoch in window for epoch in range(5)]
        [False, False, True, True, False]
    """

    start_epoch: int = 0
    end_epoch: int | None = None
    advice: str = field(
        default='leave end_epoch=None to stay active to the end',
        repr=False,
        compare=False,
    )

    def __post_init__(self) -> None:
        """Refuse an empty window."""
        start, end = self.start_epoch, self.end_epoch
        if start < 0 or (end is not None and end < start):
            raise ValueError(
                'start_epoch and end_epoch must satisfy 0 <= start_epoch <= '
                f'end_epoch, got {start} and {end}; {self.advice}'
            )

    def __contains__(self, epoch: int) -> bool:
        return self.start_epoch <= epoch and (
            self.end_epoch is None or epoch <= self.end_epoch
        )


def current_epoch() -> int:
    """Return the 0-based epoch of the run; 0 where there is none.

    Example:
        >>> current_epoch()
        0
    """
    return int(MessageHub.get_current_instance().get_info('epoch', 0))
