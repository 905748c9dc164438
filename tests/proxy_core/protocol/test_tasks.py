"""Tasks as both forms write them."""

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.protocol import tasks
from proxy_core.protocol.results import UnusableResult
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.tasks import Status

TASK = {"taskId": "t1", "status": "working"}
RELATED = "io.modelcontextprotocol/related-task"


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def test_the_extensions_task_is_the_result_itself():
    task = tasks.created(raw(TASK | {"resultType": "task", "pollIntervalMs": 2000}), Era.MODERN)
    assert task is not None
    assert (task.id, task.status, task.pause_s) == ("t1", Status.WORKING, 2.0)


def test_the_experiments_task_is_a_member_of_the_result():
    task = tasks.created(raw({"task": TASK | {"pollInterval": 3000}}), Era.LEGACY)
    assert task is not None
    assert (task.id, task.pause_s) == ("t1", 3.0)


@pytest.mark.parametrize("era", Era)
@pytest.mark.parametrize("result", [{"content": []}, {"content": [{"type": "text", "text": "a task"}]}])
def test_a_plain_result_is_no_task(result: Any, era: Era):
    assert tasks.created(raw(result), era) is None


def test_neither_form_is_taken_for_the_other():
    assert tasks.created(raw({"task": TASK}), Era.MODERN) is None
    assert tasks.created(raw(TASK | {"resultType": "task"}), Era.LEGACY) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"taskId": None},
        {"taskId": ""},
        {"taskId": 7},
        {"taskId": "x" * 1025},
        {"status": "lost"},
        {"status": 1},
    ],
)
def test_a_task_without_a_usable_id_or_state_is_refused(wrong: Any):
    with pytest.raises(UnusableResult):
        tasks.created(raw(TASK | {"resultType": "task"} | wrong), Era.MODERN)
    with pytest.raises(UnusableResult):
        tasks.created(raw({"task": TASK | wrong}), Era.LEGACY)
    with pytest.raises(UnusableResult):
        tasks.state(raw(TASK | wrong))


@pytest.mark.parametrize("result", ["7", "null", "[]", '{"task": 7}', ""])
def test_what_is_no_task_at_all_is_refused(result: str):
    with pytest.raises(UnusableResult):
        tasks.created(Raw(result.encode()), Era.LEGACY)


@pytest.mark.parametrize(
    ("said", "pause_s"),
    [
        (0, 1.0),
        (1, 0.25),
        (-5, 0.25),
        (400, 0.4),
        (1e12, 3600.0),
        (True, 1.0),
        ("5", 1.0),
        (None, 1.0),
        ([], 1.0),
    ],
)
def test_how_often_is_looked_is_the_servers_to_say_within_bounds(said: Any, pause_s: float):
    assert tasks.state(raw(TASK | {"pollIntervalMs": said})).pause_s == pause_s


def test_a_client_gets_all_of_a_task_but_its_id_and_a_state():
    members = tasks.state(raw(TASK | {"ttlMs": None, "custom": [1], "requestState": "x"})).members
    shown = json.loads(json.dumps({key: json.loads(bytes(value)) for key, value in members.items()}))
    assert shown.keys() >= {"requestState"}
    mine = tasks.for_client(members, "o1.token")
    assert mine.keys() == {"taskId", "status", "ttlMs", "custom"}
    assert mine["taskId"] == "o1.token"


@pytest.mark.parametrize("kind", [None, "complete"])
def test_what_a_task_has_come_to_is_a_result(kind: str | None):
    result = raw({"content": []} | ({} if kind is None else {"resultType": kind}))
    assert tasks.final(result) is result


@pytest.mark.parametrize("result", [{"resultType": "input_required"}, {"resultType": "task"}, [], None])
def test_what_asks_for_more_is_nothing_that_a_task_can_come_to(result: Any):
    with pytest.raises(UnusableResult):
        tasks.final(raw(result))


@pytest.mark.parametrize(
    ("data", "is_insisted_on"),
    [
        ({"requiredCapabilities": tasks.NEEDED}, True),
        ({"requiredCapabilities": {"elicitation": {}} | tasks.NEEDED}, True),
        ({"requiredCapabilities": {"extensions": {"example.com/other": {}}}}, False),
        ({"requiredCapabilities": {"extensions": [tasks.TASKS]}}, False),
        ({"requiredCapabilities": ["extensions"]}, False),
        ({}, False),
        ([], False),
    ],
)
def test_a_server_insists_by_the_capability_that_it_misses(data: Any, is_insisted_on: bool):
    assert tasks.is_insisted_on(json.dumps(data).encode()) is is_insisted_on


def test_an_error_without_data_insists_on_nothing():
    assert not tasks.is_insisted_on(b"")


@pytest.mark.parametrize(
    ("capabilities", "takes"),
    [
        ({"tasks": {"requests": {"tools": {"call": {}}}}}, True),
        ({"tasks": {"requests": {"tools": {}}}}, False),
        ({"tasks": {"requests": {"tools": {"call": True}}}}, False),
        ({"tasks": {}}, False),
        ({"tasks": 7}, False),
        ({}, False),
    ],
)
def test_a_legacy_server_takes_tasks_if_it_says_so_for_tools(capabilities: Any, takes: bool):
    assert tasks.takes_tasks(capabilities) is takes


@pytest.mark.parametrize(
    ("execution", "is_required"),
    [
        ({"taskSupport": "required"}, True),
        ({"taskSupport": "optional"}, False),
        ({}, False),
        ("required", False),
    ],
)
def test_a_tool_says_that_it_is_a_task_only(execution: Any, is_required: bool):
    assert tasks.is_required({"name": "x", "execution": execution}) is is_required


@pytest.mark.parametrize(
    ("meta", "task"),
    [
        ({RELATED: {"taskId": "t1"}}, "t1"),
        ({RELATED: {"taskId": 7}}, None),
        ({RELATED: "t1"}, None),
        ({RELATED: None}, None),
        ({}, None),
        (7, None),
    ],
)
def test_a_message_names_the_task_that_it_belongs_to(meta: Any, task: str | None):
    assert tasks.related_task(raw({"message": "?", "_meta": meta})) == task


@pytest.mark.parametrize(
    ("meta", "kept"), [({RELATED: {"taskId": "t1"}}, {}), ({RELATED: 7, "a/b": 1}, {"_meta": {"a/b": 1}})]
)
def test_a_result_loses_the_name_of_its_task(meta: Any, kept: Any):
    assert (
        json.loads(bytes(tasks.without_relation(raw({"content": [], "_meta": meta})))) == {"content": []} | kept
    )


def test_a_result_that_names_no_task_stays_the_very_object():
    result = raw({"content": []})
    assert tasks.without_relation(result) is result
