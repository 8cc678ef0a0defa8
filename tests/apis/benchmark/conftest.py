from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope='package')
def impatient():
    """Look at the processes often; those of a toy take no time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmgmp.apis.benchmark.runner._POLL_SECONDS', 0.02)
        yield
