"""What each form of a model costs, as `yuyi export` measures it: the table of `docs/export.md`.

    python benchmarks/export.py                              # MiniLM-L6 in every form: minutes
    python benchmarks/export.py MODEL --to onnx,onnx-int8 --javascript FOLDER --keep OUT

Prints Markdown, and writes it to `benchmarks/reports`. Extra: pip install 'yuyi[bench]'.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from encode_inputs import make_minilm

from yuyi.export.card import HEADINGS
from yuyi.export.export import export
from yuyi.export.form import TARGETS
from yuyi.export.settings import ExportSettings
from yuyi.machine import processor_name
from yuyi.markdown import table
from yuyi.parity import read_parity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yuyi.parity import Parity

REPORTS = Path(__file__).resolve().parent / "reports"


def main() -> None:
    """Export, print and write the report."""
    options = parse_options()
    with tempfile.TemporaryDirectory() as temporary:
        model = options.model or str(Path(temporary) / "MiniLM-L6")
        if options.model is None:
            make_minilm(Path(model))
        parity = read_parity(options.measured) if options.measured else measure(model, options, temporary)
    if parity is None:
        raise SystemExit(f"{options.measured}: no parity.json. Give a folder that was exported.")
    text = "\n".join(report(parity))
    print(text)
    REPORTS.mkdir(exist_ok=True)
    names = (parity.model, processor_name())
    of, on = (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in names)
    (REPORTS / f"export_{of}_{on}_{date.today():%Y%m}.md").write_text(text + "\n", encoding="utf-8")


def parse_options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", help="a folder or a name (default: MiniLM-L6 of its package)")
    parser.add_argument("--to", default=",".join(TARGETS), help="forms (default: all)")
    parser.add_argument("--javascript", type=Path, help="where Node and Chromium find Transformers.js")
    parser.add_argument("--keep", type=Path, help="leave the exported folder here")
    parser.add_argument("--measured", type=Path, help="a folder exported before, whose figures are taken")
    return parser.parse_args()


def measure(model: str, options: argparse.Namespace, temporary: str) -> Parity:
    """Export into a folder and give what was found there; no form is too far off to be in the table."""
    settings = ExportSettings(targets=tuple(options.to.split(",")), javascript=options.javascript, least=0.0)
    return export(model, options.keep or Path(temporary) / "out", settings)


def report(parity: Parity) -> Iterator[str]:
    """The lines of the Markdown page."""
    about = dict(parity.about)
    where = f"{about.pop('machine')}, {about.pop('cores')} cores"
    yield f"# Forms of {parity.model}, {about.pop('date')}"
    yield ""
    yield f"{where}; {', '.join(f'{name} {value}' for name, value in about.items())}."
    yield ""
    yield (
        f"`python benchmarks/export.py`: {parity.texts} texts, ten nearest of {parity.passages:,} passages, "
        f"{parity.pairs} judged pairs. Megabytes are those of the form's own files, "
        "speed is texts a second, start seconds from a new process to its first vector."
    )
    yield ""
    yield table(HEADINGS, parity.rows()).rstrip()


if __name__ == "__main__":
    main()
