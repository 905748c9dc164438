"""The little project that the recorded day is about, and one page of documentation on a server of its own."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

AUTHOR: Final = {
    "GIT_AUTHOR_NAME": "Demo",
    "GIT_AUTHOR_EMAIL": "demo@example.com",
    "GIT_COMMITTER_NAME": "Demo",
    "GIT_COMMITTER_EMAIL": "demo@example.com",
}
_DATE: Final = "2026-01-05T09:00:00+00:00"
_FILES: Final = {
    "README.md": "# Shop\n\nA basket, its prices and a receipt.\n\nRun the tests with `python -m pytest`.\n",
    "shop/__init__.py": "",
    "shop/basket.py": (
        "from shop.prices import price_of\n\n\nclass Basket:\n    def __init__(self) -> None:\n"
        "        self.items: list[str] = []\n\n    def add(self, item: str) -> None:\n"
        "        self.items.append(item)\n\n    def total(self) -> int:\n"
        "        return sum(price_of(item) for item in set(self.items))\n"
    ),
    "shop/prices.py": (
        'PRICES = {"tea": 350, "cup": 900, "pot": 2400}\n\n\ndef price_of(item: str) -> int:\n'
        '    """In cents. Raises: KeyError."""\n    return PRICES[item]\n'
    ),
    "shop/receipt.py": (
        "from shop.basket import Basket\n\n\ndef receipt(basket: Basket) -> str:\n"
        '    lines = [f"{item:<10}" for item in basket.items]\n'
        '    return "\\n".join([*lines, f"{basket.total() / 100:.2f}"])\n'
    ),
    "tests/test_basket.py": (
        "from shop.basket import Basket\n\n\ndef test_a_basket_adds_up():\n    basket = Basket()\n"
        '    basket.add("tea")\n    basket.add("cup")\n    assert basket.total() == 1250\n'
    ),
}
_PAGE: Final = """<!doctype html><html><head><title>Rounding</title></head><body><article>
<h1>Rounding</h1><p>Money is kept in whole cents. A receipt divides by a hundred when it prints, and nowhere
else; a total that was divided early cannot be added up again without an error.</p>
<p>Taxes are rounded per line, half up, because that is what the law of most places asks for.</p>
</article></body></html>"""


def make(folder: Path) -> None:
    """Files and one commit; the commit is the same each time."""
    for name, text in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    dates = {"GIT_AUTHOR_DATE": _DATE, "GIT_COMMITTER_DATE": _DATE}
    env = {"PATH": os.environ["PATH"], "HOME": str(folder)} | AUTHOR | dates
    for arguments in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("add", "README.md", "shop", "tests"),
        ("commit", "--quiet", "--message", "Sell tea"),
    ):
        subprocess.run(["git", *arguments], cwd=folder, env=env, check=True, capture_output=True)
    (folder / ".git/info/exclude").write_text(".memory.jsonl\n.npm\n.config\n.cache\n")


@asynccontextmanager
async def documentation() -> AsyncIterator[str]:
    """Its address."""

    async def page(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=_PAGE, content_type="text/html")

    runner = web.ServerRunner(web.Server(page))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
