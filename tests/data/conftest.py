"""Caches of these tests go to a folder of the session, never to the user's."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("STROMA_CACHE")
    os.environ["STROMA_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["STROMA_CACHE"]
    else:
        os.environ["STROMA_CACHE"] = before
