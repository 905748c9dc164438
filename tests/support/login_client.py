"""Whoever uses the gateway in the suite's scenarios of authorization: it is the gateway that is judged.

    python -m tests.support.login_client FOLDER URL

A gateway that keeps its files in FOLDER is started, with the suite's server at URL behind it. A person logs in
whenever the gateway says that one has to, by `only1mcp login` and a browser that says yes to everything; then
every tool is called. It ends well if the login did where it should, and did not where it must not.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from tests.support.gateway_process import COMMAND, GatewayProcess, remote, serving
from tests.support.headless_browser import ENV as BROWSER
from tests.support.processes import eventually, quiet_env
from tests.support.wire import LEGACY_ERA, MODERN_ERA, ask, call, connected

Json = dict[str, Any]
SERVER, TOOL = "suite", "test-tool"
MODERN = "2026-07-28"
PATIENCE_S = 20
MOST_LOGINS = 6
"""More than a gateway may ask for; whether it asks for less is what the suite counts."""
DECLINED = frozenset(
    {
        "auth/resource-mismatch",
        "auth/iss-supported-missing",
        "auth/iss-wrong-issuer",
        "auth/iss-unexpected",
        "auth/iss-normalized",
        "auth/metadata-issuer-mismatch",
    }
)
"""Scenarios in which a client must not log in."""
REFUSED = frozenset({"auth/scope-retry-limit"})
"""Those in which the server refuses for ever."""


def main() -> int:
    folder, url = Path(sys.argv[1]), sys.argv[2]
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    era = MODERN_ERA if os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"] == MODERN else LEGACY_ERA
    folder.mkdir(parents=True)
    login = login_of(scenario, context, url)
    server = remote(SERVER, url)
    if login:
        server["transport"]["auth"] = login
    log = {"level": "debug", "format": "json"}
    # Its own, where no other gateway of this machine has to be asked whether it is this one.
    with tempfile.TemporaryDirectory(prefix="o1-") as runtime:
        os.environ["XDG_RUNTIME_DIR"] = runtime
        with serving(folder, [server], routing={"prefix": "none"}, logging=log) as gateway:
            eventually(lambda: settled(gateway), gateway.log, PATIENCE_S)
            return asyncio.run(visit(folder, gateway, scenario, era))


def login_of(scenario: str, context: Json, url: str) -> Json:
    """What an operator would write into the configuration, who knows what the scenario says."""
    if scenario == "auth/basic-cimd":
        return {"client_metadata_url": "https://conformance-test.local/client-metadata.json"}
    if "client_id" not in context:
        return {}
    login = {"client_id": context["client_id"], "issuer": context.get("issuer") or issuer_of(url)}
    if "private_key_pem" in context:
        login |= {
            "private_key": context["private_key_pem"],
            "signing_algorithm": context["signing_algorithm"],
        }
    else:
        login["client_secret"] = context["client_secret"]
    is_own = scenario.startswith("auth/client-credentials")
    return login | ({"grant": "client_credentials"} if is_own else {})


def issuer_of(url: str) -> str:
    parts = urlsplit(url)
    with urlopen(f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}") as answer:
        return str(json.load(answer)["authorization_servers"][0])


def settled(gateway: GatewayProcess) -> bool:
    said = [line["message"] for line in gateway.lines if line["source"] == SERVER]
    return any(text.startswith(("healthy", "auth_required", "unhealthy")) for text in said)


async def visit(folder: Path, gateway: GatewayProcess, scenario: str, era: str) -> int:
    for _ in range(MOST_LOGINS):
        if wants_login(folder):
            done = only1mcp(folder, "login", SERVER)
            if done.returncode:
                print(done.stderr, file=sys.stderr)
                return 0 if scenario in DECLINED else 1
        elif await uses(gateway, era):
            return 1 if scenario in DECLINED | REFUSED else 0
        elif not wants_login(folder):
            print("a call failed, and no login would help", file=sys.stderr)
            return 0 if scenario in REFUSED else 1
    print("the gateway asks for one login after the other", file=sys.stderr)
    return 1


async def uses(gateway: GatewayProcess, era: str) -> bool:
    """Whether every tool could be called."""
    async with connected(gateway.url, era) as client:
        deadline_at = time.monotonic() + PATIENCE_S / 4
        # Without a server in service it says so, in place of a list.
        while TOOL not in json.dumps(await ask(client, "tools/list")):
            if time.monotonic() > deadline_at:
                return False
            await asyncio.sleep(0.1)
        return "result" in await call(client, TOOL)


def wants_login(folder: Path) -> bool:
    status = json.loads(only1mcp(folder, "status", "--json").stdout)
    return any(row["login"] for row in status["servers"])


def only1mcp(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments, "--config", str(folder / "only1mcp.yaml")],
        cwd=folder,
        env={**quiet_env(folder), **BROWSER},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
