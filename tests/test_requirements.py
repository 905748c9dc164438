"""The protocol's checklist, checked both ways: each row that is kept has a test that names it, and no test
names a row that is not listed here. A row that is kept in part says what is missing.
"""

import ast
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent

KEPT: Final = {
    "W01": "a request id that is no string and no integer is refused; good ones are echoed with their type",
    "W02": "a body that is no JSON: 400, -32700, without an id for modern and 2025-11-25, with null for older",
    "W03": "an array: 400, -32600",
    "W05": "modern without _meta: 400, -32602, id echoed",
    "W06": "_meta without protocolVersion: 400, -32602",
    "W07": "_meta without clientCapabilities: 400, -32602",
    "W08": "_meta without clientInfo is served",
    "W09": "header version unlike the envelope's: 400, -32020, before the version is looked at",
    "W10": "version header missing under a modern envelope: 400, -32020",
    "W11": "an unknown version in both: 400, -32022 with what was asked and what is supported",
    "W12": "Mcp-Method missing, other or in another case: 400, -32020",
    "W13": "Mcp-Name missing or other on calls, prompts and reads: 400, -32020",
    "W14": "Mcp-Name with spaces around it is accepted",
    "W15": "Mcp-Name in base64 is accepted",
    "W16": "header names in any case",
    "W17": "two Mcp-Method lines: 400, -32020",
    "W18": "methods that the modern era removed or never had: 404, -32601",
    "W19": "a modern notification: 202, no effect",
    "W20": "a response POSTed in the modern era: 400, -32600",
    "W21": "Accept without one of the types: 406; wildcards are accepted",
    "W22": "a body above the limit: 413, not read whole",
    "W23": "an unknown log level: -32602",
    "W24": "no session id on any modern response",
    "W25": "every modern result has a resultType and our serverInfo",
    "H01": "the value codec round-trips",
    "H02": "bad base64 in a header: 400, -32020",
    "H09": "a client's headers never reach a backend",
    "L01": "initialize echoes each of the four versions; others get 2025-11-25",
    "L02": "session ids: visible ASCII, 128 bits or more, never the same",
    "L03": "no session 400, unknown 404, after DELETE 404",
    "L05": "a notification or response POSTed: 202",
    "L06": "the GET stream brings list_changed; a second one replaces the first",
    "L07": "a message is on one stream only",
    "L10": "a legacy client that hangs up has not cancelled",
    "L11": "notifications/cancelled stops the backend's call; no response follows",
    "L12": "an unsupported version header on a session: 4xx",
    "L14": "nothing modern in a legacy result",
    "L15": "ping is answered before initialized and with every backend down",
    "L16": "two parallel POSTs of one session do not mix",
    "L19": "the handshake answers at once and lists within five seconds while a backend starts",
    "D01": "discover lists versions, capabilities and hints, serverInfo in _meta",
    "D02": "every advertised method works with no backend at all",
    "D03": "instructions are merged, bounded, cleaned, in config order",
    "D04": "capabilities declared upstream never exceed the client's",
    "D05": "our own requests declare none",
    "N01": "one name in two backends: two exposed names, each call to the right one",
    "N02": "any name becomes legal, unique, reversible and short enough",
    "N03": "adding a tool or a server renames nothing",
    "N04": "an unprefixed clash is hidden with a warning",
    "N05": "a bare name works where one backend alone has it",
    "N06": "unknown tools and prompts: -32602",
    "N07": "one URI in two backends: the first as it is, the second as an alias; both readable",
    "N08": "a templated URI is routed; the longest literal prefix wins",
    "N10": "an unknown URI: -32602 modern, -32002 legacy, with the URI; no backend is asked",
    "N11": "empty contents mean not found",
    "N13": "the order of a merged list never changes by itself",
    "N14": "pages over 2500 tools have no gap and no repeat while one is added",
    "N15": "a cursor that is not ours for this list: -32602",
    "N16": "an empty cursor is followed; a cursor that repeats ends the list",
    "N17": "completion is mapped, capped at 100, and has no context for old servers",
    "N18": "one invalid item never empties a list",
    "N19": "schemas and structured content of other types reach modern clients only",
    "N20": "content that a revision does not know becomes text",
    "N22": "JSON Schema keywords survive unchanged",
    "C01": "ttlMs and cacheScope where they belong",
    "C02": "merged ttl is the least that remains, private if any is; alike on all pages",
    "C03": "a ttl that is negative or no integer is 0",
    "C07": "one backend down: the rest, a short ttl, a mark; its return is announced",
    "C08": "a listen is acknowledged first, with what is honoured and the right subscription id",
    "C09": "nothing that was not asked for comes on a listen",
    "C10": "changes are told once, and not at all if the merged list is equal",
    "P01": "equal ids and tokens of many clients do not cross",
    "P02": "no progress token from the client: none upstream, no progress",
    "P03": "progress that does not rise, or comes after the answer, is dropped",
    "P04": "a cancelled call is cancelled at the backend, in its era's way, under our id",
    "P05": "a POSTed modern cancellation cancels nothing",
    "P06": "no log level asked for: no log message, however chatty the backend",
    "P07": "only messages from the level on, on the call's own stream",
    "P08": "the backend hears the most verbose level; each client gets its own",
    "P09": "no level set: none is sent to a modern backend",
    "P10": "a log line that belongs to no call stays here",
    "B01": "the probe of a child ends in the right era, whatever it answers",
    "B02": "the probe over HTTP likewise; 401 and 503 are no verdict",
    "B03": "initialize carries no version header",
    "B04": "a discover that lists legacy versions only leads to initialize",
    "B05": "a lost session: one handshake for all who wait, each asks once more",
    "B08": "a crash fails what is in flight at once; restart with back-off; listens again",
    "B09": "no secret of ours in a child's environment; EOF, TERM, KILL; no orphan",
    "B10": "garbage on stdout is skipped; a line without end costs that backend alone",
    "B13": "an unknown resultType: -32603",
    "A05": "Host and Origin of strangers are refused on all routes",
    "A06": "a bind that others can reach is refused unless told",
    "A09": "a denied tool is not listed and cannot be called",
    "A12": "no tokens and no arguments in the log",
}

IN_PART: Final = {
    "A08": "names and descriptions are cleaned; a changed tool raises no audit event yet",
    "B11": "an SSE endpoint on another origin and every redirect are refused, same-origin ones too",
    "T05": "`execution` is never listed; tools that require a task cannot be called yet",
}


def test_each_row_that_is_kept_is_named_by_a_test_and_no_other_row_is() -> None:
    listed = KEPT.keys() | IN_PART.keys()
    named = {row for path in TESTS.rglob("test_*.py") for row in _rows_named_in(path)}
    assert sorted(listed - named) == [], "rows without a test"
    assert sorted(named - listed) == [], "tests of rows that are not listed"


def _rows_named_in(path: Path) -> set[str]:
    return {
        call.args[0].value
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "requirement"
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }
