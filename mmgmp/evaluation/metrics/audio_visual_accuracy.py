"""Accuracy of the fused model, of each modality and in each domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmaction.evaluation import top_k_accuracy
from numpy.typing import NDArray

from mmgmp.evaluation.functional import read_label, read_score
from mmgmp.evaluation.metrics.sample_metric import SampleMetric
from mmgmp.registry import METRICS

_FUSED = ''


@METRICS.register_module()
class AudioVisualAccuracy(SampleMetric):
    """Top-k accuracy overall, per modality branch and per domain.

    A joint model can be good because one modality carries it. The accuracy of
    each branch shows that, and the accuracy in each domain shows whether the
    model generalises or merely knows one of them.

    The names are ``acc/top1`` (fused), ``acc/top1_<modality>`` and, where
    the evaluated set holds more than one domain, ``acc/<domain>_top1`` and
    ``acc/<domain>_top1_<modality>``. ``save_best='acc/top1'`` selects by the
    first. For a confusion matrix put MMAction2's ``ConfusionMatrix`` beside
    this metric.

    Data samples hold ``pred_score`` ``(K,)``, ``gt_label`` ``(1,)``, the meta
    entry ``domain`` and, where the model gives them, ``modality_scores``:
    ``{modality: (K,)}`` with the same modalities in every sample, but for
    those that the sample's meta entry ``missing_modalities`` names: the
    accuracy of a branch is that over the samples which have its modality, and
    ``acc/samples_<modality>`` says how many these are.

    Args:
        topk: Values of k, each in 1..K.
        per_domain: Whether to report each domain on its own.
        per_class: Whether to add the fused ``mean_class`` accuracy and
            ``recall_<class>``, over the classes that the set contains.
        collect_device: Device on which MMEngine gathers the ranks' results.
        prefix: Word before the slash; ``None`` means ``'acc'``.

    Raises:
        ValueError: If ``topk`` is not a sequence of integers >= 1.

    Example:
        >>> import torch
        >>> metric = AudioVisualAccuracy(per_domain=False)
        >>> metric.process(None, [
        ...     {'pred_score': torch.tensor([0.9, 0.1]),
        ...      'modality_scores': {'audio': torch.tensor([0.2, 0.8])},
        ...      'gt_label': torch.tensor([0])}])
        >>> metric.evaluate(size=1)
        {'acc/top1': 1.0, 'acc/top1_audio': 0.0}

    Source: GMP (arXiv 2603.14175), Table 1 reports the fused model and its
    video and audio branches.
    """

    default_prefix = 'acc'

    def __init__(
        self,
        topk: Sequence[int] = (1,),
        per_domain: bool = True,
        per_class: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        valid = isinstance(topk, Sequence) and len(topk) > 0
        if not valid or not all(isinstance(k, int) and k > 0 for k in topk):
            raise ValueError(
                f'topk must be a sequence of integers >= 1, got {topk!r}; '
                'set topk=(1,) or topk=(1, 5) in the evaluator'
            )
        self.topk = tuple(topk)
        self.per_domain = per_domain
        self.per_class = per_class

    def read(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Return scores, label and domain; see the base class."""
        scores = _read_scores(sample)
        num_classes = len(scores[_FUSED])
        if max(self.topk) > num_classes:
            raise ValueError(
                f'topk must be at most the number of classes '
                f'{num_classes}, got {self.topk}; every prediction would '
                'count as right'
            )
        result = {
            'scores': scores,
            'label': read_label(sample, num_classes),
            'missing': tuple(sample.get('missing_modalities', ())),
        }
        if self.per_domain:
            result['domain'] = _read_domain(sample)
        return result

    def compute_metrics(
        self, results: list[dict[str, Any]]
    ) -> dict[str, float]:
        """Compute all accuracies from the samples of all ranks.

        Args:
            results: What :meth:`process` kept.

        Returns:
            Accuracy in [0, 1] by name, without the prefix.

        Raises:
            ValueError: If there is no sample, or the samples disagree in
                their modalities.
        """
        _check_modalities(results)
        groups = {'': results}
        if self.per_domain:
            domains = sorted({result['domain'] for result in results})
            if len(domains) > 1:
                for domain in domains:
                    groups[f'{domain}_'] = [
                        result
                        for result in results
                        if result['domain'] == domain
                    ]
        metrics = {
            f'{prefix}{name}': value
            for prefix, group in groups.items()
            for name, value in self._accuracies(group).items()
        }
        if self.per_class:
            metrics.update(self._recalls(results))
        return metrics

    def _accuracies(self, results: list[dict[str, Any]]) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for branch in _branches(results):
            having = [r for r in results if branch in r['scores']]
            labels = [result['label'] for result in having]
            scores = [result['scores'][branch] for result in having]
            suffix = f'_{branch}' if branch else ''
            if len(having) < len(results):
                metrics[f'samples{suffix}'] = float(len(having))
            for k, value in zip(
                self.topk,
                top_k_accuracy(scores, labels, self.topk),
                strict=True,
            ):
                metrics[f'top{k}{suffix}'] = float(value)
        return metrics

    def _recalls(self, results: list[dict[str, Any]]) -> dict[str, float]:
        from sklearn.metrics import recall_score

        labels = [result['label'] for result in results]
        predictions = [
            int(np.argmax(result['scores'][_FUSED])) for result in results
        ]
        present = sorted(set(labels))
        # MMAction2's mean_class_accuracy counts a class that is predicted
        # but absent from the set as a recall of 0.
        recalls = recall_score(
            labels, predictions, labels=present, average=None
        )
        classes = (self.dataset_meta or {}).get('classes')
        metrics = {'mean_class': float(np.mean(recalls))}
        for label, recall in zip(present, recalls, strict=True):
            name = classes[label] if classes else label
            metrics[f'recall_{name}'] = float(recall)
        return metrics


def _read_scores(sample: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    if 'pred_score' not in sample:
        raise KeyError(
            'pred_score must be in every data sample, got only '
            f'{sorted(sample)}; let the recognizer call set_pred_score in '
            "mode='predict'"
        )
    scores = {_FUSED: read_score(sample['pred_score'], 'pred_score')}
    for modality, value in sample.get('modality_scores', {}).items():
        name = f'modality_scores[{modality!r}]'
        score = read_score(value, name)
        if score.shape != scores[_FUSED].shape:
            raise ValueError(
                f'{name} must have the shape of pred_score '
                f'{scores[_FUSED].shape}, got {score.shape}; give every '
                'branch the same classes'
            )
        scores[modality] = score
    return scores


def _read_domain(sample: Mapping[str, Any]) -> str:
    if 'domain' not in sample:
        raise KeyError(
            'domain must be a meta entry of every data sample when '
            f'per_domain=True, got only {sorted(sample)}; add it to '
            'meta_keys of PackMultiModalInputs or set per_domain=False'
        )
    return str(sample['domain'])


def _check_modalities(results: list[dict[str, Any]]) -> None:
    if not results:
        raise ValueError(
            'the evaluated set must hold at least one sample, got none; '
            "check the dataset's ann_file and domains"
        )
    expected = _branches(results)[1:]
    for index, result in enumerate(results):
        found = list(result['scores'])[1:]
        if {*found} != {*expected} - {*result.get('missing', ())}:
            raise ValueError(
                'modality_scores must have the same modalities in every '
                f'sample, got {expected} in all and {found} in sample '
                f'{index}; an accuracy over a part of the set would mislead. '
                'A sample without a modality says so in missing_modalities'
            )


def _branches(results: list[dict[str, Any]]) -> list[str]:
    """Branches that any sample has, the fused one first."""
    names = [name for result in results for name in result['scores']]
    return list(dict.fromkeys(names))
