"""How long a fresh process takes until it is of use: the median of ten.

    python benchmarks/startup.py [MODEL_FOLDER]

Files are in the page cache and bytecode is compiled, as on the second run of a day. Python's own start is in
each figure.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 10


def seconds(command: list[str]) -> float:
    """Median wall time of a command in a process of its own, after one run that warms the caches."""
    times = []
    for _ in range(ROUNDS + 1):
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def main() -> None:
    """Print the table."""
    model = ["--model", sys.argv[1]] if len(sys.argv) > 1 else []
    yuyi = [sys.executable, "-m", "yuyi"]
    commands = {
        "python -c pass": ([sys.executable, "-c", "pass"], ""),
        "import yuyi": ([sys.executable, "-c", "import yuyi"], "0.15"),
        "yuyi --help": ([*yuyi, "--help"], "0.30"),
        "yuyi similarity A B": (
            [*yuyi, "similarity", "胡子长得太快怎么办？", "胡子长得快怎么办？", *model],
            "1.00",
        ),
        "yuyi similarity A B --json": (
            [*yuyi, "similarity", "胡子长得太快", "胡子长得快", "--json", *model],
            "1.00",
        ),
    }
    print(f"| command | seconds (median of {ROUNDS}) | limit |\n|---|---|---|")
    for name, (command, limit) in commands.items():
        print(f"| `{name}` | {seconds(command):.3f} | {limit} |")


if __name__ == "__main__":
    main()
