"""A reverse proxy that hides a prefix of names: clients say `add`, the server behind it hears `notes__add`.

    python -m tests.support.renaming_shim --port P --to http://127.0.0.1:8080 --prefix notes__

For judges that know their tools by fixed names. Changed are the names of tools and prompts, in calls, in lists
and in what an error says; everything else stays as it was, byte for byte.
"""

import json
from functools import partial
from typing import Any

from mcp.shared.inbound import decode_header_value, encode_header_value
from multidict import CIMultiDict

from tests.support import reverse_proxy

Json = dict[str, Any]
NAMED = ("tools/call", "prompts/get")
LISTS = ("tools", "prompts")
NAME_HEADER = "Mcp-Name"


class Renaming(reverse_proxy.Relay):
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def request(self, headers: CIMultiDict[str], body: bytes) -> bytes:
        message = _object(body)
        if message.get("method") in NAMED and NAME_HEADER in headers:
            # Each line by itself: two of them are for the server to refuse.
            values = headers.popall(NAME_HEADER)
            for value in values:
                headers.add(NAME_HEADER, self._prefixed_header(value))
        named = _named(message)
        if not isinstance(named.get("name"), str):
            return body
        named["name"] = self._prefix + named["name"]
        return json.dumps(message).encode()

    def _prefixed_header(self, value: str) -> str:
        """Encoded if it was; what cannot be decoded is left for the server to refuse."""
        name = decode_header_value(value)
        if name is None:
            return value
        return self._prefix + value if name == value else encode_header_value(self._prefix + name)

    def message(self, body: bytes) -> bytes:
        message = _object(body)
        result, error = message.get("result", {}), message.get("error", {})
        items = [item for kind in LISTS for item in result.get(kind, ())]
        for item in items:
            item["name"] = item["name"].removeprefix(self._prefix)
        if error:
            error["message"] = error["message"].replace(self._prefix, "")
        return json.dumps(message).encode() if items or error else body


def _named(message: Json) -> Json:
    """The object in a request that holds the name of a tool or prompt; empty if there is none."""
    params = message.get("params")
    if not isinstance(params, dict):
        return {}
    if message.get("method") in NAMED:
        return params
    ref = params.get("ref") if message.get("method") == "completion/complete" else None
    return ref if isinstance(ref, dict) and ref.get("type") == "ref/prompt" else {}


def _object(body: bytes) -> Json:
    """Empty for all that is no JSON object: a batch, or what a judge sends to have it refused."""
    try:
        message = json.loads(body)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def main() -> None:
    parser = reverse_proxy.arguments("A reverse proxy that hides a prefix of names.")
    parser.add_argument("--prefix", required=True)
    given = parser.parse_args()
    reverse_proxy.serve(given.to, given.port, partial(Renaming, given.prefix))


if __name__ == "__main__":
    main()
