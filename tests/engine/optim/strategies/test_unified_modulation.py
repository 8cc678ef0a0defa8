from __future__ import annotations

import pytest
import torch

from mmgmp.engine.optim import UnifiedModulation
from mmgmp.structures import BatchSignals

K = 0.2384058440442351  # 1 - tanh(1)


@pytest.mark.parametrize(
    ('source', 'expected'),
    [
        ('semantic', (K, 1)),
        ('domain', (1, K)),
        ('mean', ((1 + K) / 2, (1 + K) / 2)),
        ('product', (K, K)),
    ],
)
def test_worked_factors(source, expected):
    """Video is ahead in classification, audio in domain invariance."""
    rho = torch.tensor([2.0, 0.5], dtype=torch.float64)
    signals = BatchSignals(('video', 'audio'), rho, 1 / rho)
    factors = UnifiedModulation(source=source).coefficients(signals)
    assert factors.classification.tolist() == pytest.approx(expected)
    assert torch.equal(factors.classification, factors.domain)
    assert factors.extra.tolist() == [1, 1]
