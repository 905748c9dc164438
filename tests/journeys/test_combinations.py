"""The official client in every mode, against servers of every era and transport, alone and in company.

Whatever era the client speaks and whatever era the server speaks: tools, prompts and resources answer what the
server answers when it is asked directly, and every question of the server reaches the person behind the client.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest

from tests.support.asked_client import AskedClient, asked_client
from tests.support.gateway_process import remote, serving, stdio
from tests.support.processes import demo_command, free_port, running
from tests.support.recorded import Json

MODES = ("legacy", "auto", "2026-07-28")
SERVER = (sys.executable, "-m", "tests.support.everything_server")
SSE = (sys.executable, "-m", "tests.support.everything_sse")
KINDS = ("http", "http-legacy", "stdio", "stdio-legacy", "sse")
TITLE = "Every Thing"
CALLS: dict[str, Json] = {
    "test_simple_text": {},
    "test_image_content": {},
    "test_multiple_content_types": {},
    "test_error_handling": {},
    "test_tool_with_logging": {},
    "test_tool_with_progress": {},
    "json_schema_2020_12_tool": {"name": "Ann", "address": {"street": "s", "city": "c"}, "phone": "1"},
    "test_mcp_param": {"region": "eu ünïcödé"},
    "test_missing_capability": {},
    "test_sampling": {"prompt": "What is the capital of France?"},
    "test_elicitation": {"message": "Who are you?"},
    "test_elicitation_sep1034_defaults": {},
    "test_elicitation_sep1330_enums": {},
    "test_streaming_elicitation": {},
    "test_input_required_result_elicitation": {},
    "test_input_required_result_sampling": {},
    "test_input_required_result_list_roots": {},
    "test_input_required_result_request_state": {},
    "test_input_required_result_multiple_inputs": {},
    "test_input_required_result_multi_round": {},
    "test_input_required_result_capabilities": {},
}
PROMPTS: dict[str, dict[str, str]] = {
    "test_simple_prompt": {},
    "test_prompt_with_arguments": {"arg1": "a", "arg2": "b"},
    "test_input_required_result_prompt": {},
}
URIS = ("test://static-text", "test://static-binary", "test://template/7/data")


@contextmanager
def everything(kind: str, folder: Path) -> Iterator[str | tuple[str, ...]]:
    """The everything server of this kind: the command or URL that reaches it."""
    transport, _, era = kind.partition("-")
    only = ["--legacy-only"] if era else []
    if transport == "stdio":
        yield (*SERVER, "--stdio", *only)
        return
    port = free_port()
    command = [*SSE, "--port", str(port)] if transport == "sse" else [*SERVER, "--port", str(port), *only]
    with running(command, port, folder / f"{kind}.log"):
        yield f"http://localhost:{port}/{'sse' if transport == 'sse' else 'mcp'}"


def configured(kind: str, where: str | tuple[str, ...]) -> Json:
    if isinstance(where, tuple):
        return stdio("every", where, name=TITLE)
    return remote("every", where, "sse" if kind == "sse" else "http", name=TITLE)


async def asked_of(client: AskedClient) -> Json:
    """Everything in `CALLS`, `PROMPTS` and `URIS`: what came back, and what the server asked meanwhile."""
    found: Json = {}
    session = client.client
    tools = _exposed((await session.list_tools()).tools)
    prompts = _exposed((await session.list_prompts()).prompts)
    for tool, arguments in CALLS.items():
        call = session.call_tool(tools[tool], arguments, progress_callback=client.report)
        found[tool] = await _noted(client, call)
    for prompt, texts in PROMPTS.items():
        found[prompt] = await _noted(client, session.get_prompt(prompts[prompt], texts))
    for uri in URIS:
        found[uri] = await _noted(client, session.read_resource(uri))
    reference = types.PromptReference(type="ref/prompt", name=prompts["test_prompt_with_arguments"])
    found["completion"] = await _noted(client, session.complete(reference, {"name": "arg1", "value": "par"}))
    return found


def _exposed(items: list[Any]) -> dict[str, str]:
    """What the client must call each of the server's names; other servers' items left out."""
    origins = {item.name: (item.meta or {}).get("dev.only1mcp/origin", {}) for item in items}
    return {
        origin.get("name", name): name
        for name, origin in origins.items()
        if origin.get("backend") in (None, "every")
    }


async def _noted(client: AskedClient, asking: Any) -> Json:
    client.asked.clear()
    client.progress.clear()
    answer = (await asking).model_dump(mode="json", by_alias=True, exclude_none=True)
    for stamp in ("_meta", "resultType", "ttlMs", "cacheScope", "inputRequests", "requestState"):
        answer.pop(stamp, None)
    questions = sorted((method, repr(sorted(_plain(params).items()))) for method, params in client.asked)
    return {"answer": answer, "asked": questions, "progress": list(client.progress)}


def _plain(params: Json) -> Json:
    """Without what only one revision writes, and without the name of the server in front."""
    plain = {key: value for key, value in params.items() if key != "mode"}
    if "message" in plain:
        plain["message"] = plain["message"].removeprefix(f"[{TITLE}] ")
    return plain


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Json]:
    """What each kind of server answers when it is asked without the gateway; filled as it is needed."""
    return {}


@pytest.mark.parametrize(
    "company",
    [
        "alone",
        "of three prefixed",
        pytest.param("alone prefixed", marks=pytest.mark.long),
        pytest.param("of three", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_every_client_mode_gets_what_the_server_answers(
    kind: str, company: str, direct: dict[str, Json], tmp_path: Path
) -> None:
    others = [stdio(name, demo_command(name)) for name in ("clock", "notes")] if "three" in company else []
    prefixed = "prefixed" in company
    with ExitStack() as stack:
        where = stack.enter_context(everything(kind, tmp_path))
        if kind not in direct:
            era = "legacy" if "legacy" in kind or kind == "sse" else "auto"
            async with asked_client(where, era) as client:
                direct[kind] = await asked_of(client)
        server = configured(kind, where) | {"prefix": "always" if prefixed else "none"}
        gateway = stack.enter_context(serving(tmp_path, [server, *others]))
        for mode in MODES:
            async with asked_client(gateway.url, mode) as client:
                through = await asked_of(client)
                assert through == direct[kind], f"{kind} {company} {mode}"
