import pytest

from trimtab.models.tiny import save_tiny


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache folder for this test alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TRIMTAB_CACHE", str(folder))
    return folder


@pytest.fixture
def tiny_dir(tmp_path, own_cache):
    return save_tiny(tmp_path / "tiny", "llama")
