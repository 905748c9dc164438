import pytest

from proxy_core.config.models import (
    Config,
    HealthEndpoint,
    ReplicaConfig,
    SseTransport,
    StdioTransport,
    ToolTimeouts,
)
from proxy_core.config.reference import BEGIN, END, reference, updated
from proxy_core.config.schema import config_schema


def test_every_key_of_the_models_has_a_row():
    text = reference()
    for model in (Config, StdioTransport, SseTransport, ReplicaConfig, ToolTimeouts, HealthEndpoint):
        for name in model.model_fields:
            assert f"| `{name}` |" in text


def test_a_model_that_stands_in_two_places_has_its_rows_at_the_first():
    text = reference()
    assert text.count("| `inherit_env` |") == 1
    assert "### `servers[].replicas[].transport (stdio)`\n\nThe keys of `servers[].transport (stdio)`." in text
    assert "### `servers[].tools.timeouts.<name>`" in text


def test_only_the_part_between_the_marks_is_renewed():
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    renewed = updated(document)
    assert renewed == f"before\n{BEGIN}\n\n{reference()}\n{END}\nafter\n"
    assert updated(renewed) == renewed


def test_a_document_without_marks_is_refused():
    with pytest.raises(ValueError, match="marks"):
        updated("nothing here")


def test_the_schema_knows_the_keys_and_refuses_others():
    schema = config_schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(Config.model_fields)
