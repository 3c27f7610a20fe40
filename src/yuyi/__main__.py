"""`python -m yuyi`, the same as the command `yuyi`."""

from __future__ import annotations

from yuyi.cli.app import run

if __name__ == "__main__":
    run()
