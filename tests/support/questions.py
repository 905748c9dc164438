"""What servers ask that nobody but the screen can answer: a form with a field of each kind, and a page."""

import json

from msgspec.structs import replace

from proxy_core.telemetry.snapshot import OpenQuestion
from tests.support.fake_control import NOW

SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "title": "Full name", "minLength": 2, "description": "As on the invoice"},
        "age": {"type": "integer", "minimum": 18, "maximum": 120, "default": 30},
        "plan": {"type": "string", "oneOf": [{"const": "f", "title": "Free"}, {"const": "p", "title": "Paid"}]},
        "topics": {
            "type": "array",
            "items": {"type": "string", "enum": ["news", "offers"]},
            "default": ["news"],
        },
        "api_key": {"type": "string"},
        "agree": {"type": "boolean"},
    },
}
FORM = OpenQuestion(
    "ab12cd34",
    "github",
    "nightly-cron",
    "token:ci",
    "github__create_issue",
    "Who opens this issue?",
    "form",
    json.dumps(SCHEMA),
    "",
    NOW - 18,
    NOW + 282,
)
URL = "https://github.example/login?code=ABCD-1234"
PAGE = replace(FORM, id="ef56ab78", mode="url", schema="", url=URL, message="Sign in to go on.")
