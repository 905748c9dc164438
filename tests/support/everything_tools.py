"""What the tools and prompts of the everything server do, in the words of the conformance suite."""

import json
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

import anyio

from tests.support.everything_asking import ROOTS, Asking, elicitation, sampling
from tests.support.everything_catalog import PNG, WAV

Json = dict[str, Any]
STEP_S = 0.05
"""The suite wants notifications apart in time."""
RECONNECT_S = 0.3
TEXT: Json = {"type": "string"}


class ToolFailed(Exception):
    """The tool ran and says why it could not: a result with `isError`."""


class ToolsChange(Enum):
    """A tool that changes a list says which."""

    TOOLS = "tools"
    PROMPTS = "prompts"


Tool = Callable[[Asking, Json], Awaitable[Json | ToolsChange]]
Prompt = Callable[[Asking, Json], Awaitable[list[Json]]]


def words(text: str) -> Json:
    return {"content": [_text(text)]}


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _image() -> Json:
    return {"type": "image", "data": PNG, "mimeType": "image/png"}


def _resource(uri: str, mime_type: str, text: str) -> Json:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": text}}


async def _simple_text(asking: Asking, arguments: Json) -> Json:
    return words("This is a simple text response for testing.")


async def _image_content(asking: Asking, arguments: Json) -> Json:
    return {"content": [_image()]}


async def _audio_content(asking: Asking, arguments: Json) -> Json:
    return {"content": [{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]}


async def _embedded_resource(asking: Asking, arguments: Json) -> Json:
    text = "This is an embedded resource content."
    return {"content": [_resource("test://embedded-resource", "text/plain", text)]}


async def _multiple_content_types(asking: Asking, arguments: Json) -> Json:
    data = json.dumps({"test": "data", "value": 123})
    mixed = _resource("test://mixed-content-resource", "application/json", data)
    return {"content": [_text("Multiple content types test:"), _image(), mixed]}


async def _error_handling(asking: Asking, arguments: Json) -> Json:
    raise ToolFailed("This tool intentionally returns an error for testing")


async def _log(asking: Asking, text: str) -> None:
    await asking.ctx.session.send_log_message("info", text, related_request_id=asking.ctx.request_id)


async def _tool_with_logging(asking: Asking, arguments: Json) -> Json:
    await _log(asking, "Tool execution started")
    await anyio.sleep(STEP_S)
    await _log(asking, "Tool processing data")
    await anyio.sleep(STEP_S)
    await _log(asking, "Tool execution completed")
    return words("The tool has logged.")


async def _logging_tool(asking: Asking, arguments: Json) -> Json:
    await _log(asking, "For those who set a level.")
    return words("The tool has logged.")


async def _tool_with_progress(asking: Asking, arguments: Json) -> Json:
    for done in (0, 50, 100):
        await asking.ctx.session.report_progress(done, 100, f"Completed {done} of 100")
        await anyio.sleep(STEP_S)
    return words("The tool has reported.")


async def _reconnection(asking: Asking, arguments: Json) -> Json:
    if asking.ctx.close_sse_stream is not None:
        await asking.ctx.close_sse_stream()
        await anyio.sleep(RECONNECT_S)
    return words("Reconnection test completed")


async def _sampling(asking: Asking, arguments: Json) -> Json:
    [answer] = await asking.ask({"prompt": sampling(str(arguments.get("prompt", "")))})
    return words(f"LLM response: {answer['content']['text']}")


async def _elicitation(asking: Asking, arguments: Json) -> Json:
    username = {"type": "string", "description": "User's response"}
    email = {"type": "string", "description": "User's email address"}
    question = elicitation(str(arguments.get("message", "")), username=username, email=email)
    [answer] = await asking.ask({"user": question})
    return _outcome("User response:", answer)


async def _elicitation_defaults(asking: Asking, arguments: Json) -> Json:
    question = elicitation(
        "Please provide user information",
        name={"type": "string", "description": "User name", "default": "John Doe"},
        age={"type": "integer", "description": "User age", "default": 30},
        score={"type": "number", "description": "User score", "default": 95.5},
        status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        verified={"type": "boolean", "description": "Verification status", "default": True},
    )
    [answer] = await asking.ask({"user": question})
    return _outcome("Elicitation completed:", answer)


async def _elicitation_enums(asking: Asking, arguments: Json) -> Json:
    values = [f"value{number}" for number in (1, 2, 3)]
    titled = [{"const": value, "title": f"The {value}"} for value in values]
    question = elicitation(
        "Please choose",
        untitledSingle={"type": "string", "enum": values},
        titledSingle={"type": "string", "oneOf": titled},
        legacyEnum={"type": "string", "enum": values, "enumNames": [f"The {value}" for value in values]},
        untitledMulti={"type": "array", "items": {"type": "string", "enum": values}},
        titledMulti={"type": "array", "items": {"anyOf": titled}},
    )
    [answer] = await asking.ask({"choice": question})
    return _outcome("Elicitation completed:", answer)


def _outcome(said: str, answer: Json) -> Json:
    return words(f"{said} action={answer['action']}, content={json.dumps(answer.get('content', {}))}")


async def _rich_schema(asking: Asking, arguments: Json) -> Json:
    return words(f"Called with {json.dumps(arguments)}")


async def _mcp_param(asking: Asking, arguments: Json) -> Json:
    return words(f"The region is {arguments.get('region')}")


async def _missing_capability(asking: Asking, arguments: Json) -> Json:
    asking.require("sampling")
    return words("The client can sample.")


async def _streaming_elicitation(asking: Asking, arguments: Json) -> Json:
    [answer] = await asking.ask({"user": elicitation("Shall the stream go on?", go_on={"type": "boolean"})})
    return _outcome("User response:", answer)


async def _trigger_tool_change(asking: Asking, arguments: Json) -> ToolsChange:
    return ToolsChange.TOOLS


async def _trigger_prompt_change(asking: Asking, arguments: Json) -> ToolsChange:
    return ToolsChange.PROMPTS


async def _ask_name(asking: Asking, arguments: Json) -> Json:
    [answer] = await asking.ask({"user_name": elicitation("What is your name?", name=TEXT)})
    return words(f"Hello, {_content(answer).get('name')}!")


async def _ask_model(asking: Asking, arguments: Json) -> Json:
    [answer] = await asking.ask({"capital_question": sampling("What is the capital of France?")})
    return words(answer["content"]["text"])


async def _ask_roots(asking: Asking, arguments: Json) -> Json:
    [answer] = await asking.ask({"client_roots": ROOTS})
    return words(", ".join(str(root["uri"]) for root in answer["roots"]))


async def _ask_with_state(asking: Asking, arguments: Json) -> Json:
    await asking.ask({"confirm": elicitation("Please confirm", ok={"type": "boolean"})}, with_state=True)
    return words("state-ok")


async def _ask_three(asking: Asking, arguments: Json) -> Json:
    questions = {
        "user_name": elicitation("What is your name?", name=TEXT),
        "greeting": sampling("Generate a greeting", 50),
        "client_roots": ROOTS,
    }
    name, greeting, roots = await asking.ask(questions, with_state=True)
    said = f"{greeting['content']['text']} {_content(name).get('name')}"
    return words(f"{said}, {len(roots['roots'])} roots")


async def _ask_twice(asking: Asking, arguments: Json) -> Json:
    [name] = await asking.ask({"step1": elicitation("Step 1: What is your name?", name=TEXT)}, with_state=True)
    question = elicitation("Step 2: What is your favorite color?", color=TEXT)
    [color] = await asking.ask({"step2": question}, with_state=True)
    return words(f"{_content(name).get('name')} likes {_content(color).get('color')}")


async def _ask_what_is_declared(asking: Asking, arguments: Json) -> Json:
    possible = {"elicitation": elicitation("What is your name?", name=TEXT), "sampling": sampling("Say hello")}
    able = {name: question for name, question in possible.items() if name in asking.declared}
    answers = await asking.ask(able)
    return words(f"Asked for {', '.join(able)}; got {len(answers)} answers")


def _content(answer: Json) -> Json:
    content = answer.get("content")
    return content if isinstance(content, dict) else {}


TOOLS: dict[str, Tool] = {
    "test_simple_text": _simple_text,
    "test_image_content": _image_content,
    "test_audio_content": _audio_content,
    "test_embedded_resource": _embedded_resource,
    "test_multiple_content_types": _multiple_content_types,
    "test_error_handling": _error_handling,
    "test_tool_with_logging": _tool_with_logging,
    "test_tool_with_progress": _tool_with_progress,
    "test_reconnection": _reconnection,
    "test_sampling": _sampling,
    "test_elicitation": _elicitation,
    "test_elicitation_sep1034_defaults": _elicitation_defaults,
    "test_elicitation_sep1330_enums": _elicitation_enums,
    "json_schema_2020_12_tool": _rich_schema,
    "test_mcp_param": _mcp_param,
    "test_missing_capability": _missing_capability,
    "test_streaming_elicitation": _streaming_elicitation,
    "test_logging_tool": _logging_tool,
    "test_trigger_tool_change": _trigger_tool_change,
    "test_trigger_prompt_change": _trigger_prompt_change,
    "test_input_required_result_elicitation": _ask_name,
    "test_input_required_result_sampling": _ask_model,
    "test_input_required_result_list_roots": _ask_roots,
    "test_input_required_result_request_state": _ask_with_state,
    "test_input_required_result_multiple_inputs": _ask_three,
    "test_input_required_result_multi_round": _ask_twice,
    "test_input_required_result_tampered_state": _ask_with_state,
    "test_input_required_result_capabilities": _ask_what_is_declared,
    "test_extra_tool": _simple_text,
}


def _user(content: Json) -> Json:
    return {"role": "user", "content": content}


async def _simple_prompt(asking: Asking, arguments: Json) -> list[Json]:
    return [_user(_text("This is a simple prompt for testing."))]


async def _prompt_with_arguments(asking: Asking, arguments: Json) -> list[Json]:
    said = f"arg1='{arguments.get('arg1')}', arg2='{arguments.get('arg2')}'"
    return [_user(_text(f"Prompt with arguments: {said}"))]


async def _prompt_with_embedded_resource(asking: Asking, arguments: Json) -> list[Json]:
    uri = str(arguments.get("resourceUri", "test://embedded-resource"))
    embedded = _resource(uri, "text/plain", "Embedded resource content for testing.")
    return [_user(embedded), _user(_text("Please process the embedded resource above."))]


async def _prompt_with_image(asking: Asking, arguments: Json) -> list[Json]:
    return [_user(_image()), _user(_text("Please analyze the image above."))]


async def _prompt_that_asks(asking: Asking, arguments: Json) -> list[Json]:
    question = elicitation("What context should the prompt use?", context=TEXT)
    [answer] = await asking.ask({"user_context": question})
    return [_user(_text(f"The context is {_content(answer).get('context')}"))]


PROMPTS: dict[str, Prompt] = {
    "test_simple_prompt": _simple_prompt,
    "test_prompt_with_arguments": _prompt_with_arguments,
    "test_prompt_with_embedded_resource": _prompt_with_embedded_resource,
    "test_prompt_with_image": _prompt_with_image,
    "test_input_required_result_prompt": _prompt_that_asks,
    "test_extra_prompt": _simple_prompt,
}
