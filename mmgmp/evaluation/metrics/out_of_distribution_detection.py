"""Whether the confidence of a model tells a foreign corpus apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmgmp.evaluation.functional import auroc, fpr_at_tpr, read_score
from mmgmp.evaluation.metrics.sample_metric import SampleMetric
from mmgmp.registry import METRICS


@METRICS.register_module()
class OutOfDistributionDetection(SampleMetric):
    """AUROC and FPR95 of the largest class probability, known vs foreign.

    The evaluated set holds samples of two corpora, such as a
    ``ConcatDataset`` of HAC and EPIC-Kitchens; the meta entry ``domain``
    says which are foreign. Known samples are the positives. Class labels are
    not read, as those of the foreign corpus mean nothing to the model.

    Reports ``ood/auroc`` (higher is better) and ``ood/fpr95`` (lower is
    better), both in [0, 1].

    Args:
        foreign_domains: Domains of the corpus that the model does not know.
        collect_device: Device on which MMEngine gathers the ranks' results.
        prefix: Word before the slash; ``None`` means ``'ood'``.

    Raises:
        ValueError: If no foreign domain is named.

    Example:
        >>> import torch
        >>> metric = OutOfDistributionDetection(foreign_domains=['D1'])
        >>> metric.process(None, [
        ...     {'pred_score': torch.tensor([0.9, 0.1]), 'domain': 'human'},
        ...     {'pred_score': torch.tensor([0.6, 0.4]), 'domain': 'D1'}])
        >>> metric.evaluate(size=2)
        {'ood/auroc': 1.0, 'ood/fpr95': 0.0}

    Source: Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and
    Out-of-Distribution Examples in Neural Networks" (ICLR 2017).
    """

    default_prefix = 'ood'

    def __init__(
        self,
        foreign_domains: Sequence[str],
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if isinstance(foreign_domains, str) or not foreign_domains:
            raise ValueError(
                'foreign_domains must be a list of at least one domain, got '
                f"{foreign_domains!r}; for example ['D1']"
            )
        self.foreign_domains = frozenset(foreign_domains)

    def read(self, sample: Mapping[str, Any]) -> tuple[float, bool]:
        """Return confidence and whether it is foreign; see the base class."""
        if 'domain' not in sample:
            raise KeyError(
                'domain must be a meta entry of every data sample, got '
                f'only {sorted(sample)}; add it to meta_keys of '
                'PackMultiModalInputs'
            )
        score = read_score(sample.get('pred_score'), 'pred_score')
        return float(score.max()), sample['domain'] in self.foreign_domains

    def compute_metrics(
        self, results: list[tuple[float, bool]]
    ) -> dict[str, float]:
        """Compute both measures from the samples of all ranks.

        Args:
            results: What :meth:`process` kept.

        Returns:
            Values by name, without the prefix.

        Raises:
            ValueError: If all samples are known, or all are foreign.
        """
        known = [score for score, is_foreign in results if not is_foreign]
        foreign = [score for score, is_foreign in results if is_foreign]
        if not known or not foreign:
            raise ValueError(
                'the evaluated set must hold known and foreign samples, got '
                f'{len(known)} and {len(foreign)} with foreign_domains='
                f'{sorted(self.foreign_domains)}; concatenate two datasets '
                'and name the domains of the second'
            )
        return {
            'auroc': auroc(known, foreign),
            'fpr95': fpr_at_tpr(known, foreign),
        }
