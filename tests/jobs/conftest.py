"""Jobs in a folder of their own, on one thread, with photos that take no time."""

import pytest
import torch
from job_photos import write_colours


@pytest.fixture(autouse=True)
def own_place(monkeypatch, tmp_path):
    """Nothing is found on the machine, nothing is left on it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path / "cache"))
    for name in ("TORCH_HOME", "HF_HOME", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    monkeypatch.delenv("STROMA_WEIGHTS", raising=False)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    return write_colours(tmp_path_factory.mktemp("photos") / "colours")
