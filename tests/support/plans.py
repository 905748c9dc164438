"""What to ask of each server that the tests know, so that every tool, resource and prompt of it is used."""

from tests.support.survey import Plan

DEMO_CLOCK = Plan(
    calls={
        "now": {"timezone": "Asia/Tokyo"},
        "convert": {"time": "2026-03-01T12:00:00", "from": "Europe/Berlin", "to": "America/New_York"},
        "countdown": {"seconds": 0},
    },
    prompts={"meeting": {"topic": "tea", "timezone": "Europe/London"}},
    uris={"clock://now/{timezone}": "clock://now/Europe%2FBerlin"},
    completions=(
        ("prompt", "meeting", "timezone", "Europe/B"),
        ("template", "clock://now/{timezone}", "timezone", "Asia/T"),
    ),
    varying=frozenset({"now", "meeting", "clock://now", "clock://now/{timezone}"}),
)
DEMO_NOTES = Plan(
    calls={
        "add": {"text": "Buy ünïcödé milk"},
        "search": {"query": "milk"},
        "list": {},
        "delete": {"id": 1_000_000},
    },
    prompts={"summarise": {"about": "nothing has this"}},
    uris={"note:///{id}": "note:///999999"},
    completions=(("template", "note:///{id}", "id", "x"),),
    varying=frozenset({"add", "search", "list"}),
    transient="note:///",
)
DEMO_FLAKY = Plan(
    calls={
        "echo": {"text": "  spaces, \t tabs, \n lines, \U0001f600  "},
        "delay": {"seconds": 0.05},
        "fail": {"message": "as asked"},
        "error": {"code": 4711},
        "garbage": {},
        "log": {"level": "info", "text": "hello"},
        "stderr": {"text": "hello"},
        "big": {"bytes": 300_000},
    },
    skipped=frozenset({"crash"}),
)
TIME = Plan(
    calls={
        "get_current_time": {"timezone": "UTC"},
        "convert_time": {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"},
    },
    varying=frozenset({"get_current_time", "convert_time"}),
)
SDK = Plan(
    calls={
        "add": {"a": 2, "b": 40},
        "words": {"text": "one two"},
        "mixed": {},
        "fail": {"message": "as asked"},
        "refuse": {"code": 4712},
        "steps": {"text": "step", "count": 3},
        "announce": {"text": "hear"},
        "wait": {"mark": "short", "seconds": 0},
        "history": {},
    },
    prompts={"review": {"code": "x = 1"}},
    uris={"sdk://notes/{name}": "sdk://notes/seven"},
    completions=(("prompt", "review", "style", "b"), ("template", "sdk://notes/{name}", "name", "a")),
    varying=frozenset({"history"}),
)
EVERYTHING = Plan(
    calls={
        "echo": {"message": "hello"},
        "get-annotated-message": {"messageType": "error", "includeImage": True},
        "get-env": {},
        "get-resource-links": {"count": 4},
        "get-resource-reference": {"resourceType": "Blob", "resourceId": 3},
        "get-structured-content": {"location": "Chicago"},
        "get-sum": {"a": 1.5, "b": 2},
        "get-tiny-image": {},
        "gzip-file-as-resource": {"name": "a.gz", "data": "data:text/plain,hello", "outputType": "resource"},
        "toggle-simulated-logging": {},
        "toggle-subscriber-updates": {},
        "trigger-long-running-operation": {"duration": 0.1, "steps": 2},
    },
    # Only to be called as a task: an error to whoever asks it directly, an answer through the gateway.
    skipped=frozenset({"simulate-research-query"}),
    asking=frozenset(
        {"get-roots-list", "trigger-elicitation-request", "trigger-sampling-request", "trigger-url-elicitation"}
    ),
    prompts={
        "simple-prompt": {},
        "args-prompt": {"city": "Rome", "state": "Lazio"},
        "completable-prompt": {"department": "Sales", "name": "David"},
        "resource-prompt": {"resourceType": "Text", "resourceId": "1"},
    },
    uris={
        "demo://resource/dynamic/text/{resourceId}": "demo://resource/dynamic/text/3",
        "demo://resource/dynamic/blob/{resourceId}": "demo://resource/dynamic/blob/4",
    },
    completions=(
        ("prompt", "completable-prompt", "department", "E"),
        ("template", "demo://resource/dynamic/text/{resourceId}", "resourceId", "7"),
    ),
    varying=frozenset(
        {
            "get-env",
            "get-resource-reference",
            "toggle-simulated-logging",
            "toggle-subscriber-updates",
            "resource-prompt",
            "demo://resource/dynamic/text/{resourceId}",
            "demo://resource/dynamic/blob/{resourceId}",
        }
    ),
    transient="demo://resource/session/",
)
