"""What is pushed to the hub arrives there, as one commit, with the environment's token."""

from pathlib import Path

import pytest
from loopback_hub import loopback_hub

from trimtab.core.errors import ConfigError, ModelError
from trimtab.models.push import push_folder

# the hub client gives its HTTP library bytes in a way that it is about to drop
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite is offline, and the hub is on this machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    (made / "figures").mkdir(parents=True)
    (made / "README.md").write_text("---\nlibrary_name: peft\n---\n# It\n")
    (made / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 50)
    (made / "figures" / "a.png").write_bytes(b"\x89PNG")
    return made


def test_a_folder_arrives(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_mine")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # the storage behind Xet has a protocol of its own, which this server does not speak
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with loopback_hub() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        for _ in range(2):  # a repository that is there already gets another commit
            url = push_folder(folder, "me/sums", "An adapter", private=True)
        assert url == f"{hub.url}/me/sums"
        sent = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.*")}
        assert hub.files == sent and hub.private == {"me/sums": True}
        assert hub.tokens - {"None"} == {"Bearer hf_secret_of_mine"}
        hub.refuses = 403
        with pytest.raises(ModelError, match="did not take 'me/sums'") as caught:
            push_folder(folder, "me/sums", "An adapter", private=True)
        assert "\n" not in str(caught.value) and "hf_secret" not in str(caught.value)


def test_what_can_not_be_pushed_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="HF_TOKEN is not set"):
        push_folder(folder, "me/sums", "An adapter", private=True)
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_mine")
    with pytest.raises(ConfigError, match="no id on the hub"):
        push_folder(folder, "me/sums/x", "An adapter", private=True)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="did not take"):
        push_folder(folder, "me/sums", "An adapter", private=True)
