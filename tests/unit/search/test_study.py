"""The study that other tools open: what the search knows, in Optuna's own words."""

from pathlib import Path

import optuna
import pytest
from searched_run import search

from trimtab.core.errors import ConfigError, StoreError
from trimtab.search.mirror import export, mirror
from trimtab.search.settings import SearchSettings
from trimtab.search.storage import address, full_address
from trimtab.search.study import journal, read_study

State = optuna.trial.TrialState


def opened(path: Path) -> optuna.Study:
    """Open a file as optuna-dashboard does."""
    if path.suffix == ".db":
        return optuna.load_study(study_name=None, storage=f"sqlite:///{path}")
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    return optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend))


@pytest.mark.parametrize("name", ["study.log", "study.db"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_study_says_what_the_search_knows(tmp_path: Path, name: str) -> None:
    run = search(running=(5,), constraints={"perplexity_ratio": 1.3})
    export(run, str(tmp_path / name))
    study = opened(tmp_path / name)
    trials = study.trials
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.metric_names == ["correct"] and study.user_attrs["seed"] == 3
    states = [State.COMPLETE, State.COMPLETE, State.COMPLETE, State.PRUNED, State.FAIL]
    assert [trial.state for trial in trials] == [*states, State.RUNNING]
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4, 5]
    assert trials[0].params == trials[1].params == {}
    assert [trials[n].value for n in (0, 1, 2)] == [3 / 8, 4 / 8, 7 / 8]
    assert trials[2].intermediate_values == {1: 3 / 4, 2: 7 / 8}
    assert trials[3].intermediate_values == {1: 0.0}
    assert trials[5].intermediate_values == {1: 1 / 2} and trials[5].value is None
    assert trials[4].value is None, "a failed trial has no value"
    assert trials[4].user_attrs["why"] == "Non-finite values in block 1"
    assert "no better" in trials[3].user_attrs["why"]
    assert [t.user_attrs["method"] for t in trials[:4]] == ["baseline", "prompt", "caa", "pca"]
    kinds = optuna.distributions
    assert trials[2].params["caa.layer"] == 3 and isinstance(trials[2].params["caa.layer"], int)
    assert trials[2].distributions == {
        "method": kinds.CategoricalDistribution(("caa", "pca")),
        "caa.layer": kinds.IntDistribution(0, 9),
        "caa.strength": kinds.FloatDistribution(0.1, 2.0, log=True),
        "caa.strength.sign": kinds.CategoricalDistribution(("+", "-")),
        "caa.positions": kinds.CategoricalDistribution(('"generated"', '"all"')),
    }
    assert trials[2].datetime_start.timestamp() == 1002
    assert trials[2].datetime_complete.timestamp() == 1012


def test_equal_records_are_an_equal_journal() -> None:
    texts = {journal(read_study(search())) for _ in range(2)}
    assert len(texts) == 1
    assert read_study(search(storage="sqlite:///a.db")).name == read_study(search()).name


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_database_follows_a_search_and_is_never_read_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    assert mirror(search(running=(2, 5)), url) == []
    first = opened(tmp_path / "study.db")
    assert [t.number for t in first.trials if t.state == State.RUNNING] == [2, 5]
    assert mirror(search(), url) == []
    second = opened(tmp_path / "study.db")
    assert second._study_id == first._study_id, "a page that is open stays what it is"
    whole = read_study(search())
    for mirrored, known in zip(second.trials, whole.trials, strict=True):
        for name in ("state", "values", "params", "intermediate_values", "user_attrs"):
            assert getattr(mirrored, name) == getattr(known, name)
    # something else was written there under the same name: it is replaced
    optuna.delete_study(study_name=whole.name, storage=url)
    other = optuna.create_study(study_name=whole.name, storage=url, direction="minimize")
    other.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=9)
    assert mirror(search(), url) == []
    assert [t.state for t in opened(tmp_path / "study.db").trials] == [
        t.state for t in whole.trials
    ]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////no/such/folder/study.db",
        "postgresql://me:s3cret-word@127.0.0.1:9/studies",
        "postgresql://me:s3cret-word@127.0.0.1:port/studies",
        "mysql+nodriver://me:s3cret-word@127.0.0.1/studies",
    ],
)
def test_a_database_that_is_not_there_is_a_note(url: str) -> None:
    (line,) = mirror(search(), SearchSettings(storage=url).storage)
    assert "goes on" in line and "s3cret" not in line


def test_a_file_that_is_something_else_is_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.log").write_text("mine")
    with pytest.raises(StoreError, match="no journal of a study"):
        export(search(), str(tmp_path / "notes.log"))
    assert (tmp_path / "notes.log").read_text() == "mine"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://me:p%40ss-word@host:5/db?x=1", "postgresql://me@host:5/db?x=1"),
        ("postgresql+psycopg://me:p@ss-word@host/db", "postgresql+psycopg://me@host/db"),
        ("mysql://host/db?password=p%40ss-word&x=1", "mysql://host/db?x=1"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("sqlite:////data/study.db", "sqlite:////data/study.db"),
    ],
)
def test_an_address_is_kept_without_its_password(url: str, kept: str) -> None:
    settings = SearchSettings(storage=url)
    assert settings.storage == kept and "ss-word" not in settings.model_dump_json()
    assert full_address(kept) == url
    assert SearchSettings(storage=kept).storage == kept, "as a resumed run reads it"


@pytest.mark.parametrize("url", ["study.db", "redis://me:s3cret-word@host", "://", "sqlite"])
def test_what_is_no_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="address of a database") as refused:
        address(url)
    assert "s3cret" not in str(refused.value)
