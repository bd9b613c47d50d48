"""Fixtures that several tests share."""

from __future__ import annotations

import pytest

from trueup.core.errors import Unavailable
from trueup.models import SMOLLM2


@pytest.fixture(scope="session")
def weights():
    """The embedded model's weights, fetched once for the user; without a network its tests are skipped."""
    try:
        return SMOLLM2.fetch()
    except Unavailable as error:
        pytest.skip(str(error))
