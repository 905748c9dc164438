"""What a URI may mean: a rule that holds for what was said holds for what is read."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.catalog.uri_forms import forms_of

SECRET = "file:///secret/key"


@pytest.mark.parametrize(
    "uri",
    [
        "file:///pub/%2e%2e/secret/key",
        "file:///pub/../secret/key",
        "file:///pub/a/../../secret/key",
        "file:///pub/..%2fsecret%2Fkey",
        "file:///pub/%252e%252e/secret/key",
        "file:///secret\\key",
        "file:///%73ecret/key",
        "file:///./secret//key",
        "file:////secret/key",
        "FILE:///secret/key",
        "file://localhost/secret/key",
        "file://LOCALHOST/secret/./key",
    ],
)
def test_every_way_of_saying_it_means_what_it_says(uri: str):
    forms = forms_of(uri)
    assert forms is not None
    assert forms.meanings[0] == uri and SECRET in forms.meanings


@pytest.mark.parametrize(
    "uri", [SECRET, "note://Shopping/list", "db://users", "urn:isbn:1", "ui://page", "x", "", "http://h/a?b#c"]
)
def test_what_has_one_meaning_has_one(uri: str):
    forms = forms_of(uri)
    assert forms is not None
    assert forms.meanings == (uri,)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///pub\\..\\secret",
        "file:///a?b/../secret",
        "file:///../etc",
        "note://pub/../secret",
        "note:../x",
        "a:b/%2e%2e/../c",
        "file:///%2525252525252e",
    ],
)
def test_what_nobody_can_judge_has_none(uri: str):
    assert forms_of(uri) is None


@pytest.mark.parametrize(
    ("uri", "loosely"),
    [
        ("file:///secret/key?x=1", SECRET),
        ("file:///secret/key#top", SECRET),
        ("file:///secret/key%3Fx", SECRET),
        ("file:///s%65cret/key?%252e", SECRET),
        ("file:///secret/key/", SECRET),
        ("file://elsewhere/secret/key", SECRET),
        ("note://SHOPPING/List", "note://shopping/List"),
    ],
)
def test_what_a_careless_server_takes_it_for_is_known_too(uri: str, loosely: str):
    forms = forms_of(uri)
    assert forms is not None
    assert loosely in forms.loosely


@given(st.text(alphabet="ab%2eE5fF/\\.:?#+{}é\ud800", max_size=40))
def test_any_text_comes_to_an_end_and_what_it_means_means_itself(text: str):
    forms = forms_of(text)
    if forms is not None:
        # What was undone to the last is not undone any further.
        meant = forms_of(forms.meanings[-1])
        assert meant is not None
        assert set(meant.meanings) <= set(forms.meanings)


@pytest.mark.parametrize("text", ["%25", "%2e%2e/", "../", "/", "%", "a%2f", "?%23", "%5c.."])
def test_a_long_uri_is_judged_in_no_time(text: str):
    """8192 characters are a few milliseconds; encodings within each other were more than a second."""
    started_at = time.process_time()
    forms_of("file:///" + "%" + "25" * 4000)
    forms_of(("file:///" + text * 8192)[:8192])
    assert time.process_time() - started_at < 0.3
