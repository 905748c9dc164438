"""The protocol's checklist, checked both ways: each row that is kept has a test that names it, and no test
names a row that is not listed here. A row that is kept in part says what is missing.
"""

import ast
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent
ROWS: Final = {"W": 26, "H": 9, "L": 19, "D": 5, "N": 22, "C": 17, "M": 20, "P": 12, "B": 14, "T": 5, "A": 12}
"""How many rows each part of the checklist has."""

KEPT: Final = {
    "W01": "a request id that is no string and no integer is refused; good ones are echoed with their type",
    "W02": "a body that is no JSON: 400, -32700, without an id for modern and 2025-11-25, with null for older",
    "W03": "an array: 400, -32600",
    "W04": "a batch on a session of 2025-03-26 is answered with an array; notifications alone get 202",
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
    "W26": "a capability that is needed and was not declared: 400, -32021, an object of objects",
    "H01": "the value codec round-trips",
    "H02": "bad base64 in a header: 400, -32020",
    "H03": "an argument without its header, or a header without its argument: 400, -32020",
    "H04": "integers are compared as numbers, in decimal form alone",
    "H05": "an invalid annotation of a modern HTTP server hides that tool and no other",
    "H06": "the same of a stdio or legacy server costs the annotation alone",
    "H07": "calls carry Mcp-Param-* made from the arguments, and Mcp-Name in the server's own words",
    "H08": "-32020 from a server: its tools are read again once, the call is made again once",
    "H09": "a client's headers never reach a backend",
    "L01": "initialize echoes each of the four versions; others get 2025-11-25",
    "L02": "session ids: visible ASCII, 128 bits or more, never the same",
    "L03": "no session 400, unknown 404, after DELETE 404",
    "L04": "another principal's session: 404, as one that never was",
    "L05": "a notification or response POSTed: 202",
    "L06": "the GET stream brings list_changed; a second one replaces the first",
    "L07": "a message is on one stream only",
    "L08": "a stream that broke is resumed: the rest of it, and nothing of another",
    "L09": "event ids are unique in a session; priming only for 2025-11-25",
    "L10": "a legacy client that hangs up has not cancelled",
    "L11": "notifications/cancelled stops the backend's call; no response follows",
    "L12": "an unsupported version header on a session: 4xx",
    "L13": "HTTP+SSE: endpoint first, 202 to POSTs, answers on the stream, 404 for unknown sessions",
    "L14": "nothing modern in a legacy result",
    "L15": "ping is answered before initialized and with every backend down",
    "L16": "two parallel POSTs of one session do not mix",
    "L17": "stdio: MCP lines on stdout and nothing else; the end of stdin is the end",
    "L18": "stdio: discover, then initialize on the same pipe: both are served",
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
    "N09": "a resource that a tool linked to is readable by that principal",
    "N10": "an unknown URI: -32602 modern, -32002 legacy, with the URI; no backend is asked",
    "N11": "empty contents mean not found",
    "N12": "a tool's page is named as clients must name it, and can be read",
    "N13": "the order of a merged list never changes by itself",
    "N14": "pages over 2500 tools have no gap and no repeat while one is added",
    "N15": "a cursor that is not ours for this list: -32602",
    "N16": "an empty cursor is followed; a cursor that repeats ends the list",
    "N17": "completion is mapped, capped at 100, and has no context for old servers",
    "N18": "one invalid item never empties a list",
    "N19": "schemas and structured content of other types reach modern clients only",
    "N20": "content that a revision does not know becomes text",
    "N21": "a network $ref in a schema is passed on and never fetched",
    "N22": "JSON Schema keywords survive unchanged",
    "C01": "ttlMs and cacheScope where they belong",
    "C02": "merged ttl is the least that remains, private if any is; alike on all pages",
    "C03": "a ttl that is negative or no integer is 0",
    "C04": "a private list of one principal is never given to another",
    "C05": "a list change counts at once, whatever the ttl",
    "C06": "what was read after questions is not cached",
    "C07": "one backend down: the rest, a short ttl, a mark; its return is announced",
    "C08": "a listen is acknowledged first, with what is honoured and the right subscription id",
    "C09": "nothing that was not asked for comes on a listen",
    "C10": "changes are told once, and not at all if the merged list is equal",
    "C11": "subscriptions of many clients are one at a legacy server, ended with the last",
    "C12": "another URI at a modern server: the new listen first, then the old one ends; nothing is lost",
    "C13": "an update below a subscribed resource is told, under the client's URI",
    "C14": "no progress and no log on a listen",
    "C15": "a stop ends a listen with its result; on stdio the result, then the cancellation",
    "C16": "after a broken listen: listen again, read again, tell what may have changed",
    "C17": "a listener that does not read is cut off at its bound, the others are not",
    "M01": "legacy client, modern server: elicitation on the call's stream, retry with the exact state",
    "M02": "several questions of one round go out together and come back by key",
    "M03": "a state alone: retried with back-off; the eleventh round ends the call",
    "M04": "a page gets an elicitationId for 2025-11-25; older clients are not asked",
    "M05": "a refused sampling fails the call with the client's error; a failed elicitation is a cancel",
    "M06": "modern client, legacy server: input_required, and the retry completes the same call",
    "M07": "two rounds; an old state is refused",
    "M08": "what is missing is asked again, what is unknown ignored, what is malformed refused",
    "M09": "a state that was tampered with, foreign, of other arguments or too old: one error",
    "M10": "of two retries with one state one goes on",
    "M11": "a parked call that expires is cancelled and not repeated",
    "M12": "hanging up while parked cancels nothing; hanging up on the retry does",
    "M13": "a client that lacks a capability: the server is refused, its error names what was missing",
    "M14": "modern to modern: questions as they are, the server's state sealed and given back exactly",
    "M15": "a state of one server with another's tool is refused",
    "M16": "-32042 becomes a page for modern clients, passes to 2025-11-25, is an internal error before",
    "M17": "input_required where no server may say it: -32603",
    "M18": "prompts and resources ask as tools do, between any two eras",
    "M19": "a question that could be two clients' is refused and reaches neither",
    "M20": "a question begins with the server's name; addresses stay as they are",
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
    "P11": "a silent call becomes a stream with comments, a fast one stays JSON",
    "P12": "a large result that nothing precedes is one JSON body",
    "B01": "the probe of a child ends in the right era, whatever it answers",
    "B02": "the probe over HTTP likewise; 401 and 503 are no verdict",
    "B03": "initialize carries no version header",
    "B04": "a discover that lists legacy versions only leads to initialize",
    "B05": "a lost session: one handshake for all who wait, each asks once more",
    "B06": "a legacy stream that broke is resumed by its last event id; the answer comes once",
    "B07": "a modern stream that broke loses a tool call and repeats a list",
    "B08": "a crash fails what is in flight at once; restart with back-off; listens again",
    "B09": "no secret of ours in a child's environment; EOF, TERM, KILL; no orphan",
    "B10": "garbage on stdout is skipped; a line without end costs that backend alone",
    "B11": "SSE endpoints and redirects to another origin are refused",
    "B12": "a server's era is remembered, and forgotten when it is contradicted",
    "B13": "an unknown resultType: -32603",
    "B14": "five failures open the circuit; trials close it",
    "T01": "tasks of undeclared clients: -32021; unknown tasks: -32602; removed methods: -32601",
    "T02": "a task's id is sealed and resolves at once; its header is checked",
    "T03": "another principal's task: -32602",
    "T04": "a server that insists on a task is polled for a client without them",
    "T05": "a legacy tool that requires a task works from any client; `execution` is never listed",
    "A01": "without a token: 401 that points to metadata, which everybody may read at both their places",
    "A02": "another audience or issuer, over, alg none, in the query: 401",
    "A03": "a scope that is missing: 403 with all that are needed",
    "A04": "a server never sees a client's token; its 401 is not relayed",
    "A05": "Host and Origin of strangers are refused on all routes",
    "A06": "a bind that others can reach is refused unless told",
    "A07": "metadata that point to private addresses, or redirect there, are not followed",
    "A08": "descriptions are cleaned of what hides; a changed tool is told, and withheld if that is wished",
    "A09": "a denied tool is not listed and cannot be called",
    "A10": "a tool's own hints decide neither retries nor access",
    "A11": "limits answer with an error of their own and leave the others alone",
    "A12": "no tokens and no arguments in the log",
}

IN_PART: Final[dict[str, str]] = {}

NOT_YET: Final[frozenset[str]] = frozenset()


def test_each_row_that_is_kept_is_named_by_a_test_and_no_other_row_is() -> None:
    listed = KEPT.keys() | IN_PART.keys()
    named = {row for path in TESTS.rglob("test_*.py") for row in _rows_named_in(path)}
    assert sorted(listed - named) == [], "rows without a test"
    assert sorted(named - listed) == [], "tests of rows that are not listed"


def test_every_row_of_the_checklist_is_accounted_for() -> None:
    listed = KEPT.keys() | IN_PART.keys() | NOT_YET
    assert {row: count for row, count in ROWS.items() if count != sum(each[0] == row for each in listed)} == {}


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
