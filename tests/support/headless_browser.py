"""A browser for tests: goes where it is sent, and on to wherever that leads. `$BROWSER` runs it with the URL.

python headless_browser.py URL
"""

import shlex
import sys
from pathlib import Path
from urllib.request import urlopen

ENV = {"BROWSER": shlex.join((sys.executable, str(Path(__file__).resolve()), "%s"))}
"""The environment of a process whose `webbrowser` this is to be."""


def main() -> None:
    with urlopen(sys.argv[1], timeout=20) as answer:
        answer.read()


if __name__ == "__main__":
    main()
