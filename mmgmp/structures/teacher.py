"""How a hook that averages weights and a model that learns from it meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor


class Teacher(Protocol):
    """An averaged model that the losses of a method may ask."""

    @property
    def is_ready(self) -> bool:
        """Whether the averaging has begun."""

    def teach(
        self, inputs: Mapping[str, Tensor]
    ) -> Sequence[Mapping[str, Tensor]]:
        """Return what the averaged copy of each method says.

        Without gradient and in eval mode.

        Args:
            inputs: The preprocessed inputs of the student.
        """


@runtime_checkable
class TeachableModel(Protocol):
    """A model that takes a teacher, and whose copy can be one."""

    def set_teacher(self, teacher: Teacher | None) -> None:
        """Take a teacher, or let go of it.

        Args:
            teacher: The teacher, or None.
        """

    def teach(
        self, inputs: Mapping[str, Tensor]
    ) -> Sequence[Mapping[str, Tensor]]:
        """Return what each method tells the student, in method order.

        Args:
            inputs: Preprocessed inputs.
        """
