"""What the tests that kill training runs share."""

from collections.abc import Iterator

import pytest

from tests.helpers.forked_trainer import ForkedTrainer


@pytest.fixture(scope="module")
def trainer() -> Iterator[ForkedTrainer]:
    """A process that forks training runs."""
    with ForkedTrainer() as process:
        yield process
