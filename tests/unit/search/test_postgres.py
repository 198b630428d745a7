"""The mirror on a server of PostgreSQL's own, where there is one."""

from collections.abc import Iterator

import optuna
import postgres_server
import pytest
from searched_run import search

from trimtab.search import mirror as mirroring
from trimtab.search.mirror import mirror
from trimtab.search.settings import SearchSettings
from trimtab.search.study import read_study

pytestmark = pytest.mark.skipif(
    postgres_server.missing() is not None, reason=f"{postgres_server.missing()}"
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres_server.server() as address:
        yield address


def test_a_server_follows_a_search(url: str) -> None:
    storage = SearchSettings(storage=url).storage
    for running in ((2, 5), ()):
        assert mirror(search(running=running), storage) == []
    opened, whole = optuna.storages.RDBStorage(url), read_study(search())
    shown = optuna.load_study(study_name=None, storage=opened)
    assert shown.user_attrs == whole.about and shown.metric_names == list(whole.metrics)
    for mirrored, known in zip(shown.trials, whole.trials, strict=True):
        for name in ("state", "values", "params", "intermediate_values", "user_attrs"):
            assert getattr(mirrored, name) == getattr(known, name)
    opened.remove_session()
    opened.engine.dispose()


def test_a_search_does_not_wait_for_a_server_that_locks(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    storage = SearchSettings(storage=url).storage
    assert mirror(search(), storage) == []
    monkeypatch.setattr(mirroring, "_LONGEST_S", 0.5)
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE studies IN ACCESS EXCLUSIVE MODE")
        for _ in range(2):
            (line,) = mirror(search(), storage)
            assert "goes on" in line and "has not answered" in line and "-word" not in line
    monkeypatch.setattr(mirroring, "_LONGEST_S", 60)
    mirroring._at_work[storage].join(60)
    assert mirror(search(), storage) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("s3cret-word", "n0t-the-word"), "password authentication failed"),
        (("/postgres", "/elsewhere"), 'database "elsewhere" does not exist'),
        (("/postgres", "/postgres?conect_timeout=3"), 'invalid connection option "conect_timeout"'),
    ],
)
def test_what_a_server_refuses_is_a_note(url: str, change: tuple[str, str], says: str) -> None:
    (line,) = mirror(search(), SearchSettings(storage=url.replace(*change)).storage)
    assert "goes on" in line and says in line and "-word" not in line
