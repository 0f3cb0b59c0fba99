"""An engine and an image for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import engine


@pytest.fixture(scope="package", autouse=True)
def address() -> Iterator[str]:
    """The engine's address, which is set in the environment too."""
    with engine.running() as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", found)
        with engine.image(found):
            yield found


@pytest.fixture(autouse=True)
def no_container_is_left(address: str) -> Iterator[None]:
    yield
    assert engine.containers(address) == []
