"""A model with two encoders small enough to compute by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmgmp.structures import Task, TaskLosses, attach_task_losses

#: Worked example of the paper's rule: confidences of two samples.
CONFIDENCES = {
    Task.CLASSIFICATION: {'video': [0.8, 0.6], 'audio': [0.4, 0.3]},
    Task.DOMAIN: {'video': [0.9, 0.7], 'audio': [0.5, 0.3]},
}
K = 0.2384058440442351  # 1 - tanh(1)


def confidences(values=CONFIDENCES, dtype=torch.float64):
    return {
        task: {m: torch.tensor(v, dtype=dtype) for m, v in by.items()}
        for task, by in values.items()
    }


def linear_tasks(
    encoders: dict[str, nn.Parameter],
    class_gradient=(1.0, 0.0),
    domain_gradient=(-1.0, 1.0),
    values=CONFIDENCES,
) -> Tensor:
    """Losses that are linear, so their gradients are what is asked for."""

    def loss(gradient):
        return sum(
            (p * torch.tensor(gradient, dtype=p.dtype)).sum()
            for p in encoders.values()
        )

    losses = {
        Task.CLASSIFICATION: loss(class_gradient),
        Task.DOMAIN: loss(domain_gradient),
    }
    return attach_task_losses(
        sum(losses.values()),
        TaskLosses(
            losses,
            {m: [p] for m, p in encoders.items()},
            confidences(values),
        ),
    )


def two_encoders(dtype=torch.float64):
    return {
        m: nn.Parameter(torch.zeros(2, dtype=dtype))
        for m in ('video', 'audio')
    }


class ToyModel(nn.Module):
    """Two linear encoders, one classifier, one reversed discriminator."""

    def __init__(self, modalities=('video', 'audio'), domain_weight=0.3):
        super().__init__()
        self.encoders = nn.ModuleDict(
            {
                m: nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
                for m in modalities
            }
        )
        width = 3 * len(modalities)
        self.classifier = nn.Linear(width, 4)
        self.discriminator = nn.Linear(width, 2)
        self.domain_weight = domain_weight
        self.double()

    def loss(self, data, extra=False, class_weight=1.0):
        inputs, labels, domains = data
        features = {m: e(inputs[m]) for m, e in self.encoders.items()}
        fused = torch.cat(list(features.values()), 1)
        scale = self.domain_weight
        flipped = fused.detach() + (fused.detach() - fused) * scale
        logits = self.classifier(fused)
        domain_logits = self.discriminator(flipped)
        cross_entropy = nn.functional.cross_entropy
        n = len(labels)

        def mean(values):
            return values.sum() / max(n, 1)

        losses = {
            Task.CLASSIFICATION: class_weight
            * mean(cross_entropy(logits, labels, reduction='none')),
            Task.DOMAIN: mean(
                cross_entropy(domain_logits, domains, reduction='none')
            ),
        }
        if extra:
            losses[Task.EXTRA] = mean(fused.square().sum(1)) * 0.1
        confidence = {}
        for task, head, target in (
            (Task.CLASSIFICATION, self.classifier, labels),
            (Task.DOMAIN, self.discriminator, domains),
        ):
            confidence[task] = {}
            for i, m in enumerate(self.encoders):
                with torch.no_grad():
                    weight = head.weight[:, 3 * i : 3 * i + 3]
                    p = (features[m] @ weight.T).softmax(1)
                    confidence[task][m] = p.gather(1, target[:, None]).squeeze(
                        1
                    )
        return attach_task_losses(
            sum(losses.values()),
            TaskLosses(
                losses,
                {m: list(e.parameters()) for m, e in self.encoders.items()},
                confidence,
                features=features,
            ),
        )


def toy_data(n=16, modalities=('video', 'audio'), seed=0):
    g = torch.Generator().manual_seed(seed)
    inputs = {}
    for i, m in enumerate(modalities):
        inputs[m] = (1 + 2 * i) * torch.randn(
            n, 5, generator=g, dtype=torch.float64
        )
    labels = torch.randint(4, (n,), generator=g)
    domains = torch.randint(2, (n,), generator=g)
    return inputs, labels, domains


def take(data, index):
    inputs, labels, domains = data
    return (
        {m: x[index] for m, x in inputs.items()},
        labels[index],
        domains[index],
    )
