import re
from importlib.resources import files
from pathlib import Path

import pytest

from proxy_core.config.load import from_text
from proxy_core.config.models import Config, ReplicaConfig, ServerConfig, ToolRules
from proxy_core.config.yaml_document import read_yaml

TEMPLATES = [
    path for path in (files("proxy_core.config") / "templates").iterdir() if path.name.endswith(".yaml")
]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_is_the_defaults(template: Path):
    assert from_text(template.read_text(), Path("/x.yaml"), {}).config == Config()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_every_section(template: Path):
    assert set(read_yaml(template.read_text()).data) == set(Config.model_fields)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_its_examples_name_every_key_of_a_server(template: Path):
    known = {*ServerConfig.model_fields, *ToolRules.model_fields, *ReplicaConfig.model_fields} - {"prefix"}
    named = set(re.findall(r"[{ -]([a-z_]+):", template.read_text()))
    assert known <= named


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_its_examples_are_valid_when_their_comment_marks_are_taken_off(template: Path):
    lines = (
        template.read_text()
        .replace("servers: []", "servers:")
        .replace("profiles: {}", "profiles:")
        .splitlines()
    )
    text = "\n".join(line.removeprefix("#") if line.startswith("#  ") else line for line in lines)
    text = text.replace("  # format:", "  format:").replace("  # file:", "  file:")
    loaded = from_text(text, Path("/etc/x.yaml"), {"HOME": "/home/me", "GITHUB_TOKEN": "x"})
    assert [server.id for server in loaded.config.servers] == ["files", "github", "search"]
    assert loaded.config.logging.format == "json"
    assert loaded.config.profiles["review"].context == "search"
