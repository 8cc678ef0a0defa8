from __future__ import annotations

import pytest

from mmgmp.utils import log_names

QUANTITIES = [
    *log_names.RATIOS,
    log_names.SEMANTIC_COEFFICIENT,
    log_names.CONFLICT,
    log_names.COSINE,
    log_names.EFFECTIVE_LAMBDA,
    log_names.UPDATE_SCALE,
    log_names.grad_norm('classification'),
]


@pytest.mark.parametrize('quantity', QUANTITIES)
@pytest.mark.parametrize('modality', ['video', 'optical_flow', 'ratio_video'])
def test_what_was_named_is_read_back_and_by_nobody_else(quantity, modality):
    name = log_names.of_modality(quantity, modality)
    assert 'loss' not in name  # MMEngine would add it to the loss
    for other in QUANTITIES:
        expected = modality if other == quantity else None
        assert log_names.modality_of(name, other) == expected
    is_ratio = quantity in log_names.RATIOS
    assert log_names.ratio_and_modality_of(name) == (
        (quantity, modality) if is_ratio else None
    )
    is_norm = quantity == QUANTITIES[-1]
    assert log_names.task_and_modality_of(name) == (
        ('classification', modality) if is_norm else None
    )
    assert log_names.may_be_undefined(name) is (
        quantity in (log_names.COSINE, log_names.EFFECTIVE_LAMBDA)
    )


def test_a_quantity_alone_is_of_no_modality():
    assert log_names.modality_of('conflict_', log_names.CONFLICT) is None
    assert log_names.modality_of('conflict', log_names.CONFLICT) is None
