"""Errors: one exit code each, and suggestions."""

from trimtab.core import errors


def test_every_class_has_an_exit_code_of_its_own() -> None:
    found = errors.TrimtabError.__subclasses__()
    # one of another module hands on the code of somebody else's
    classes = [c for c in found if c.__module__ == errors.__name__]
    codes = {c.__name__: c.exit_code for c in classes}
    # Wrong data is a wrong input just as a wrong configuration is; no other code is shared.
    assert codes.pop("DataError") == codes["ConfigError"] == 2
    codes["MemoryShortError"] = errors.MemoryShortError.exit_code
    assert sorted(codes.values()) == [2, 3, 4, 5, 6, 7, 8, 9, 10]


def test_the_hint_stands_behind_the_message() -> None:
    error = errors.StoreError("The disk is full.", hint="Free space.")
    assert str(error) == "The disk is full. Free space."
    assert (error.message, error.hint) == ("The disk is full.", "Free space.")
    assert str(errors.StoreError("The disk is full.")) == "The disk is full."


def test_near_names_are_suggested_and_else_all_are_listed() -> None:
    known = ["steering", "controls", "model"]
    assert errors.did_you_mean("stering", known) == "Did you mean 'steering'?"
    assert errors.did_you_mean("zzz", known) == "Known: controls, model, steering."


def test_memory_is_short_by_every_name_that_it_has() -> None:
    short = [
        MemoryError(),
        errors.MemoryShortError("no room"),
        errors.JudgeMemoryError("no room"),
        type("OutOfMemoryError", (RuntimeError,), {})("as torch calls it"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ]
    assert all(map(errors.is_out_of_memory, short))
    other = [RuntimeError("shapes differ"), errors.JudgeError("it said: can't allocate memory")]
    assert not any(map(errors.is_out_of_memory, other))
