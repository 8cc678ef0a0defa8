"""What all metrics of the package have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.evaluator import BaseMetric


class SampleMetric(BaseMetric):
    """Keeps something of every sample, and measures all that was kept.

    MMEngine gathers what was kept from all ranks, drops the samples that were
    added to fill the last batch, and calls :meth:`compute_metrics`. A
    subclass says what is kept of a sample and what is computed of it.

    Args:
        collect_device: Device on which MMEngine gathers the ranks' results.
        prefix: Word before the slash; ``None`` means that of the class.

    Example:
        >>> class Count(SampleMetric):
        ...     default_prefix = 'set'
        ...     def read(self, sample):
        ...         return sample['gt_label']
        ...     def compute_metrics(self, results):
        ...         return {'labels': len(set(results))}
        >>> metric = Count()
        >>> metric.process(None, [{'gt_label': 1}, {'gt_label': 0}])
        >>> metric.evaluate(size=2)
        {'set/labels': 2}
    """

    def __init__(
        self, collect_device: str = 'cpu', prefix: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)

    def process(
        self,
        data_batch: Any,  # noqa: ARG002
        data_samples: Sequence[Mapping[str, Any]],
    ) -> None:
        """Keep what is needed of each sample.

        Args:
            data_batch: Not used.
            data_samples: Samples as dicts, see the class.

        Raises:
            KeyError: If a sample lacks a field.
            TypeError: If a score is not a tensor.
            ValueError: If a score or a label cannot be evaluated.
        """
        for sample in data_samples:
            self.results.append(self.read(sample))

    @abstractmethod
    def read(self, sample: Mapping[str, Any]) -> Any:
        """Return what is kept of a sample; it must be possible to pickle it.

        Args:
            sample: A data sample as a dict.
        """
