"""YAML as a document: plain values only, bounded against alias bombs, each with the line it came from.

Knows the syntax, nothing of what the keys mean. Import it where there is YAML to read: its parser is large.
"""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from proxy_core.config.document import (
    MAX_DEPTH,
    MAX_NODES,
    Document,
    DocumentFault,
    KeyPath,
    printable,
    shown_path,
)

_PLAIN_TAGS = {"null", "bool", "int", "float"}
_TAG = "tag:yaml.org,2002:"


def read_yaml(text: str) -> Document:
    try:
        root: Node | None = YAML(typ="safe", pure=True).compose(text)
    except RecursionError as error:
        raise DocumentFault("nested too deeply") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = error.problem or error.context or "bad syntax"
        line = mark.line + 1 if mark else None
        raise DocumentFault(f"not valid YAML: {printable(message, 200)}", line) from error
    except YAMLError as error:
        raise DocumentFault(f"not valid YAML: {printable(str(error), 200)}") from error
    if root is None:
        return Document({}, {}, is_empty=True)
    walk = _YamlWalk()
    return Document(walk.value(root, ()), walk.lines)


class _YamlWalk:
    """Builds plain values from composed nodes and notes where each came from."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._left = MAX_NODES
        self._scalars = YAML(typ="safe", pure=True).constructor

    def value(self, node: Node, path: KeyPath) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._left -= 1
        if self._left < 0:
            raise DocumentFault(f"more than {MAX_NODES} values; are aliases nested?", line)
        if len(path) > MAX_DEPTH:
            raise DocumentFault("nested too deeply", line)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode) or str(key_node.tag) == f"{_TAG}merge":
                raise DocumentFault("a key must be plain text; merge keys (<<) are not supported", line)
            key_path = (*path, key := str(key_node.value))
            if key in result:
                first = self.lines[key_path]
                raise DocumentFault(f"duplicate key, already on line {first}", line, shown_path(key_path))
            self.lines[key_path] = line
            result[key] = self.value(value_node, key_path)
        return result

    def _scalar(self, node: Node, path: KeyPath) -> Any:
        tag = str(node.tag).removeprefix(_TAG)
        if tag in {"str", "timestamp"}:
            return str(node.value)
        line, key = node.start_mark.line + 1, shown_path(path)
        if tag not in _PLAIN_TAGS:
            raise DocumentFault(f"the tag {printable(str(node.tag))} is not supported", line, key)
        try:
            return self._scalars.construct_object(node)
        except (ValueError, LookupError, YAMLError) as error:
            # An explicit tag, as `!!int`, hands the constructor what it does not expect.
            raise DocumentFault(f"not a usable {tag}", line, key) from error
