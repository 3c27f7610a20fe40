"""The tables of settings in docs/train.md, made of the classes that hold them.

`python tests/train/settings_tables.py` writes them into the page; a test sees to it that they are up to date.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from yuyi.train.config import Continual, Course, Stage, Task
from yuyi.train.reading.masking import Decoding, Masking
from yuyi.train.reading.passages import PassageConfig
from yuyi.train.settings import CheckpointConfig, DataEntry, LogConfig, TrainConfig
from yuyi.train.starting.model_config import DenseConfig, KeepVocabulary, ModelConfig, TokenizerConfig
from yuyi.train.starting.vocabulary import VocabularyConfig
from yuyi.train.teaching.teacher import TeacherConfig

PAGE = Path(__file__).parent.parent.parent / "docs" / "train.md"
CLASSES = (
    TrainConfig, ModelConfig, TokenizerConfig, DenseConfig, KeepVocabulary, VocabularyConfig, DataEntry,
    Stage, Task, PassageConfig, Masking, Decoding, TeacherConfig, Continual, CheckpointConfig, LogConfig,
)  # fmt: skip
_TABLE = re.compile(r"(<!-- settings (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str) -> str:
    """The page with each table as its class has it now."""
    classes = {kind.__name__: kind for kind in CLASSES}
    return _TABLE.sub(lambda found: f"{found[1]}{table(classes[found[2]])}{found[3]}", page)


def table(kind: type) -> str:
    """Key, default, meaning, for each attribute of a class of settings."""
    meanings = _meanings(Course) | _meanings(kind) if issubclass(kind, Course) else _meanings(kind)
    hints = get_type_hints(kind)
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for each in fields(kind):
        lines.append(f"| `{each.name}` | {_default(each)} | {_cell(meanings[each.name], hints[each.name])} |")
    return "\n".join(lines) + "\n"


def _meanings(kind: type) -> dict[str, str]:
    """What the docstring says of each attribute."""
    text = (kind.__doc__ or "").partition("Attributes:\n")[2]
    parts = re.split(r"^ {8}(\w+): ", text, flags=re.MULTILINE)
    return {name: " ".join(told.split()) for name, told in zip(parts[1::2], parts[2::2], strict=True)}


def _default(each: Any) -> str:
    if each.default is not MISSING:
        value = each.default
    elif each.default_factory is not MISSING:
        value = each.default_factory()
    else:
        return "needed"
    if is_dataclass(value):
        return "as below"
    if value is None or value in ((), {}, ""):
        return ""
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _cell(meaning: str, hint: Any) -> str:
    choices = _choices(hint)
    named = all(f"`{choice}`" in meaning or f"{choice}:" in meaning for choice in choices)
    told = f"{', '.join(f'`{choice}`' for choice in choices)}: {meaning}" if not named else meaning
    return re.sub(r"`yuyi\.[\w.]+`", lambda name: name[0], told).replace("|", "\\|")


def _choices(hint: Any) -> list[str]:
    """What a Literal allows, wherever it stands in the annotation."""
    inner = get_args(hint)
    if inner and all(isinstance(each, str) for each in inner):
        return list(inner)
    return [choice for each in inner for choice in _choices(each)] if inner else []


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8", newline="\n")
