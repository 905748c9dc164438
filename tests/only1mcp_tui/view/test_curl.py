"""What is copied as curl and as Python, without running it; test_copies_that_run.py does."""

import ast
import shlex

import pytest
from msgspec.structs import replace

from only1mcp_tui.view.curl import CannotCopy, curl_text
from only1mcp_tui.view.python_snippet import python_text
from proxy_core.telemetry.exchanges import ExchangeDetail
from tests.support.exchanges import EVIL, hostile_detail, plain_detail, translated_detail
from tests.support.fake_control import exchange_row

URL = "http://127.0.0.1:8080/mcp"


def test_a_modern_request_has_its_routing_headers() -> None:
    words = shlex.split(curl_text(translated_detail(), URL), comments=True)
    assert "MCP-Protocol-Version: 2026-07-28" in words
    assert "Mcp-Method: tools/call" in words
    assert "Mcp-Name: github__search_issues" in words
    assert "Authorization: Bearer $ONLY1MCP_TOKEN" in words
    assert words.count("curl") == 1


def test_a_name_that_no_header_carries_is_encoded() -> None:
    text = curl_text(plain_detail(exchange_row(1, "resources/read", "note://日本")), URL)
    assert "Mcp-Name: =?base64?bm90ZTovL+aXpeacrA==?=" in text


def test_headers_that_carry_arguments_are_kept() -> None:
    detail = plain_detail(exchange_row(1))
    first = replace(detail.messages[0], headers=(("mcp-param-region", "eu"), ("cookie", "no")))
    text = curl_text(replace(detail, messages=(first, *detail.messages[1:])), URL)
    assert "mcp-param-region: eu" in text
    assert "cookie" not in text


def test_masked_parts_are_said_to_be_masked() -> None:
    assert "masked" in curl_text(translated_detail(), URL)
    assert "masked" in python_text(translated_detail(), URL)
    assert "masked" not in curl_text(plain_detail(exchange_row(1)), URL)


def without_body(detail: ExchangeDetail, **fields: object) -> ExchangeDetail:
    first, *others = detail.messages
    return replace(detail, messages=(replace(first, **fields), *others))  # type: ignore[arg-type]


@pytest.mark.parametrize("write", [curl_text, python_text])
@pytest.mark.parametrize(
    ("detail", "words"),
    [
        (without_body(translated_detail(), body=""), "was not kept"),
        (without_body(translated_detail(), is_cut=True), "was cut"),
        (without_body(translated_detail(), body="{"), "no JSON"),
        (without_body(translated_detail(), body="[" * 100_000), "no JSON"),
        (replace(translated_detail(), messages=()), "was not kept"),
    ],
)
def test_what_was_not_kept_whole_is_refused_with_the_reason(write, detail: ExchangeDetail, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CannotCopy, match=words):
        write(detail, URL)


def test_a_method_without_a_call_in_the_sdk_is_refused() -> None:
    with pytest.raises(CannotCopy, match="c copies it as curl"):
        python_text(plain_detail(exchange_row(1, "completion/complete", "")), URL)


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_an_enemys_words_stay_inside_their_quotes(era: str) -> None:
    evil = EVIL.replace("\ud800", "") + '\'; touch /tmp/owned; \'""" $(id) `id`'
    detail = plain_detail(exchange_row(1, "tools/call", evil, era=era), arguments={evil: evil})
    program = python_text(detail, URL)
    assert ast.literal_eval(ast.parse(program).body[-2].body[-2].body[0].value.value.args[0]) == evil  # type: ignore[attr-defined]
    text = curl_text(detail, URL)
    assert "touch" not in shlex.split(text, comments=True)
    assert not any(ord(c) < 0x20 and c != "\n" for c in text + program)
    assert "\u202e" not in text + program


def test_what_is_no_request_at_all_is_refused() -> None:
    with pytest.raises(CannotCopy):
        curl_text(hostile_detail(), URL)
