"""`python -m only1mcp_tui`, and the entry point of the `only1mcp` script."""

from only1mcp_tui.cli import only1mcp


def main() -> None:
    only1mcp(prog_name="only1mcp")


if __name__ == "__main__":
    main()
