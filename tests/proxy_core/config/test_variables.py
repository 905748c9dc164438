from typing import Any

import pytest

from proxy_core.config.variables import Expander, SecretUnreadable


def expanded(value: Any, lenient: bool = False, **environ: str) -> tuple[Any, Expander]:
    expander = Expander(environ, lenient)
    return expander.expand(value), expander


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${A}", "x"),
        ("Bearer ${A}!", "Bearer x!"),
        ("${A}${A}", "xx"),
        ("${B:-y}", "y"),
        ("${B:-}", ""),
        ("${EMPTY:-y}", "y"),
        ("${EMPTY}", ""),
        ("$${A}", "${A}"),
        ("$A", "$A"),
        ("${A", "${A"),
    ],
)
def test_references_are_replaced_as_a_shell_would(text: str, result: str):
    value, expander = expanded(text, A="x", EMPTY="")
    assert value == result
    assert not expander.found.unset


def test_an_unset_variable_is_named_with_its_place_and_the_text_stays():
    value, expander = expanded({"servers": [{"env": {"T": "${NOPE}"}}]})
    assert value == {"servers": [{"env": {"T": "${NOPE}"}}]}
    assert expander.found.unset == {("servers", 0, "env", "T"): "environment variable NOPE is not set"}


@pytest.mark.parametrize("text", ["${}", "${A-B}", "${1}", "${env:A}", "${input:a}", "${workspaceFolder}"])
def test_what_is_no_reference_of_ours_is_malformed(text: str):
    _, expander = expanded(text, A="x")
    assert list(expander.found.malformed) == [()]


@pytest.mark.parametrize("text", ["${input:a}", "${workspaceFolder}/x", "${A-B}"])
def test_in_another_programs_file_it_is_unset_instead(text: str):
    _, expander = expanded(text, lenient=True)
    assert "only by the program" in expander.found.unset[()]
    assert not expander.found.malformed


def test_another_programs_env_reference_is_read():
    assert expanded("${env:A}", lenient=True, A="x")[0] == "x"


def test_only_values_from_the_environment_worth_hiding_are_secrets():
    _, expander = expanded(["${A}", "${B}", "${C:-long-default-value}"], A="long-enough-value", B="short")
    assert expander.found.secrets == {"long-enough-value"}


def kept(service: str, name: str) -> str | None:
    if service == "locked":
        raise SecretUnreadable("the keyring is locked")
    return {"github/token": "long-enough-value"}.get(f"{service}/{name}")


def test_a_secret_is_read_by_its_service_and_name_and_hidden():
    expander = Expander({}, read_secret=kept)
    assert expander.expand("Bearer ${keyring:github/token}") == "Bearer long-enough-value"
    assert expander.found.secrets == {"long-enough-value"}
    assert expander.expand("$${keyring:github/token}") == "${keyring:github/token}"


def test_a_secret_that_is_not_there_or_cannot_be_read_is_named_with_its_place():
    expander = Expander({}, read_secret=kept)
    expander.expand({"a": "${keyring:github/none}", "b": "${keyring:locked/x}"})
    assert expander.found.unset == {
        ("a",): "the secret github/none is not kept here: only1mcp secret set github/none",
        ("b",): "the keyring is locked",
    }
    assert Expander({}).expand("${keyring:a/b}") == "${keyring:a/b}"


@pytest.mark.parametrize("inner", ["", "a", "a/", "/b", "a/b/c", "a b/c", "../x", "a/b:-default", "a/${b"])
def test_what_names_no_secret_is_malformed_and_asks_for_none(inner: str):
    def never(service: str, name: str) -> str | None:
        raise AssertionError(f"{service}/{name} was asked for")

    expander = Expander({}, read_secret=never)
    expander.expand(f"${{keyring:{inner}}}")
    assert list(expander.found.malformed) == [()]
