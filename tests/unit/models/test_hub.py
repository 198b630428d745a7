import shutil

import pytest

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.models.load import load_model, resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def snapshot(tmp_path, tiny_dir, monkeypatch):
    """A hub cache that holds one model, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--owner--name"
    folder = repository / "snapshots" / COMMIT
    shutil.copytree(tiny_dir, folder)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return folder


def test_cached_model_works_offline_and_is_pinned_to_its_commit(snapshot):
    resolved = resolve(ModelSpec(id="owner/name", device="cpu"))
    assert resolved.spec.revision == COMMIT
    assert resolve(resolved.spec) == resolved
    assert load_model(resolved).layout.num_layers == 4
    assert resolved.card.num_layers == 4


def test_identity_depends_on_the_commit(snapshot):
    other = COMMIT[::-1]
    snapshot.rename(snapshot.with_name(other))
    (snapshot.parents[1] / "refs" / "main").write_text(other)
    resolved = resolve(ModelSpec(id="owner/name", device="cpu"))
    assert resolved.spec.revision == other
    shutil.copytree(snapshot.with_name(other), snapshot)
    pinned = resolve(ModelSpec(id="owner/name", device="cpu", revision=COMMIT))
    assert pinned.identity != resolved.identity


def test_unknown_revision_offline(snapshot):
    with pytest.raises(ModelError, match="can't be reached"):
        resolve(ModelSpec(id="owner/name", revision="v9", device="cpu"))


def test_pickled_weights_on_the_hub_are_not_loaded(snapshot):
    (snapshot / "model.safetensors").rename(snapshot / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no safetensors weights.*save_pretrained"):
        load_model(resolve(ModelSpec(id="owner/name", device="cpu")))
