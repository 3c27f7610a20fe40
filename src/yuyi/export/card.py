"""README.md of an exported folder: the model's own card and a section on its forms, or a new one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yuyi.artifacts import SEAL, is_sealed, sealed
from yuyi.export.form import DTYPES
from yuyi.export.snippets import javascript_snippets
from yuyi.known import find
from yuyi.markdown import table
from yuyi.parity import FORMS_BEGIN, FORMS_END
from yuyi.training_record import TRAINING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from yuyi.export.form import Form, Target
    from yuyi.export.source import Source
    from yuyi.parity import Parity

_CARD = "README.md"
# The card of the model that something was cut off goes along under this name.
_OLD_CARD = "SOURCE.md"
_SECTION = re.compile(rf"\n*{FORMS_BEGIN}.*{FORMS_END}\n*", re.DOTALL)
_HEAD = re.compile(r"---\r?\n(.*?\n)---\r?\n", re.DOTALL)
# What the card of the source may say and nothing else does.
_KEPT = ("license", "license_name", "license_link", "language", "base_model", "datasets")
HEADINGS = ("form", "MB", "dim", "mean cosine", "lowest", "top 10", "STS", "texts/s", "start, s")
_PACKAGE = "@huggingface/transformers@~4.3.0"
_MOST_NAMED = 8


def write_card(
    folder: Path, name: str, given: str, source: Source, forms: Sequence[Form], parity: Parity
) -> None:
    """Write README.md, and copy the record of the model's training.

    A card that somebody wrote stays as it is, with a section on the forms at its end. What describes a model
    that layers, pieces or dimensions were cut off is copied to `SOURCE.md`, and the new card is its own.

    Args:
        folder: the exported one.
        name: what it will be called.
        given: the model as the user named it.
        source: the model.
        forms: what was written.
        parity: what was measured.
    """
    origin = source.reference.folder
    if (origin / TRAINING).is_file():
        shutil.copyfile(origin / TRAINING, folder / TRAINING)
    section = f"{FORMS_BEGIN}\n{_forms_section(name, source, forms, parity)}{FORMS_END}\n"
    card = origin / _CARD
    before = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    whole = source.dim == source.reference.dim and all(form.target != "smaller" for form in parity.forms)
    if before and whole:
        ours = is_sealed(before)
        text = _SECTION.sub("\n", SEAL.sub("", before) if ours else before).rstrip() + f"\n\n{section}"
        text = sealed(text) if ours else text
    else:
        if before:
            (folder / _OLD_CARD).write_text(before, encoding="utf-8")
        head = _front_matter(given, source, forms, before)
        text = sealed(f"---\n{head}---\n\n# {name}\n\n{_origin(parity, before)}\n{section}")
    (folder / _CARD).write_text(text, encoding="utf-8")


def _origin(parity: Parity, before: str) -> str:
    smaller = any(form.target == "smaller" for form in parity.forms)
    told = f"{'Smaller than' if smaller else 'Forms of'} {parity.model}, made by `yuyi export`."
    return f"{told} The card of that model is [{_OLD_CARD}]({_OLD_CARD}).\n" if before else f"{told}\n"


def _front_matter(given: str, source: Source, forms: Sequence[Form], before: str) -> str:
    """Lines of YAML; what the card of the source said and nobody else does goes before."""
    targets = {form.target for form in forms}
    known = None if Path(given).exists() else find(given)
    told: dict[str, Any] = {
        "license": source.reference.license.lower(),
        "language": list(source.reference.languages),
        "base_model": known.id if known else "",
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": [
            "sentence-transformers",
            "feature-extraction",
            *(["onnx"] if targets & DTYPES.keys() else []),
            *(["transformers.js"] if "browser" in targets else []),
            *(["static-embeddings"] if "static" in targets else []),
        ],
    }
    kept = dict(_kept(before))
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in told.items() if value]
    return "".join([*kept.values(), *(line for line in lines if line.partition(":")[0] not in kept)])


def _kept(card: str) -> Iterator[tuple[str, str]]:
    """Keys of a card's front matter that are worth keeping, each with its lines as they stand."""
    found = _HEAD.match(card)
    for entry in re.findall(r"^\S.*\n(?:[ \t-].*\n)*", found[1], re.MULTILINE) if found else ():
        key = entry.partition(":")[0]
        if key in _KEPT:
            yield key, entry


def _forms_section(name: str, source: Source, forms: Sequence[Form], parity: Parity) -> str:
    about = parity.about
    passages = "" if about["passages"] == "yuyi" else f" of {about['passages']}"
    pairs = "" if about["pairs"] == "yuyi" else f" of {about['pairs']}"
    parts = [
        "## Forms\n",
        f"Each form beside the model, {parity.reference.target}: cosines of {parity.texts} texts of "
        f"many kinds, the ten nearest of {parity.passages:,} passages{passages}, Spearman correlation × 100 "
        f"with the scores of {parity.pairs:,} pairs{pairs}, texts a second, and seconds from the start of a "
        f"process to the first vector. {about['date']}, {about['machine']}, cores: {about['cores']}, "
        f"yuyi {about['yuyi']}.\n",
        table(HEADINGS, parity.rows()),
        "".join(_facts(form) for form in forms),
        _python(name, forms),
        _javascript(name, source, forms),
    ]
    return "\n".join(part for part in parts if part)


def _facts(form: Form) -> str:
    """A line on a form: its files, and what its maker tells."""
    told = [", ".join(f"`{file}`" for file in form.files)]
    told += [f"{key.replace('_', ' ')} {_in_words(value)}" for key, value in form.facts.items() if value]
    return f"- {form.target}: {'; '.join(told)}\n"


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        if "name" in value:
            return str(value["name"])
        return _in_words([f"{key} {_in_words(inner)}" for key, inner in value.items()])
    if isinstance(value, list | tuple):
        more = f" and {len(value) - _MOST_NAMED} more" if len(value) > _MOST_NAMED else ""
        return ", ".join(map(_in_words, value[:_MOST_NAMED])) + more
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)


def _python(name: str, forms: Sequence[Form]) -> str:
    """How each form is opened in Python."""
    calls = [(_call("yuyi.load", name, form, form.options), form.target) for form in forms]
    text = "In Python, with the path of this folder:\n\n```python\nimport yuyi\n\n"
    text += _choice(calls)
    text += '\nprint(model.encode(["胡子长得太快怎么办？", "How do I renew my passport?"]).shape)\n```\n'
    calls = [(_call("SentenceTransformer", name, form, _their_options(form)), form.target) for form in forms]
    needed = ""
    if any(form.is_graph for form in forms):
        needed = (
            ", whose ONNX backend wants an environment of its own: "
            "`pip install 'sentence-transformers<6' 'optimum-onnx[onnxruntime]'`"
        )
    text += f"\nWith sentence-transformers{needed}:\n"
    text += "\n```python\nfrom sentence_transformers import SentenceTransformer\n\n"
    return f"{text}{_choice(calls)}\n```\n"


def _call(function: str, name: str, form: Form, options: Mapping[str, Any]) -> str:
    place = f"{name}/{form.folder}" if form.folder else name
    arguments = [json.dumps(place, ensure_ascii=False)]
    arguments += [f"{key}={json.dumps(value)}" for key, value in options.items()]
    return f"model = {function}({', '.join(arguments)})"


def _choice(calls: Sequence[tuple[str, Target]]) -> str:
    """A line for each call, with the forms that it opens; all but the first are commented out."""
    targets: dict[str, list[str]] = {}
    for call, target in calls:
        targets.setdefault(call, []).append(target)
    lines = [f"{call}  # {', '.join(of)}" for call, of in targets.items()]
    return "\n# ".join(lines)


def _their_options(form: Form) -> dict[str, Any]:
    if not form.is_graph:
        return {}
    return {"backend": "onnx", "model_kwargs": {"file_name": form.files[0]}}


def _javascript(name: str, source: Source, forms: Sequence[Form]) -> str:
    """How Transformers.js opens the smallest form that a page can run."""
    there = {form.target: form for form in forms}
    order: tuple[Target, ...] = ("browser", "onnx-int8", "onnx", "onnx-fp16")
    target = next((each for each in order if each in there), None)
    prompt = source.reference.role_prompts[""]
    # A graph would pool the prompt, too; the line on the form says so.
    if target is None or (prompt and not source.pools_prompts):
        return ""
    snippets = javascript_snippets(name, DTYPES[target], prompt)
    languages = {"edge": "ts", "browser": "html", "node": "js"}
    titles = {"edge": "In an edge function:", "browser": "In a page:", "node": "In Node:"}
    told = f"With Transformers.js (`npm install --ignore-scripts {_PACKAGE}`), beside this folder.\n\n"
    return told + "\n".join(
        f"{titles[kind]}\n\n```{languages[kind]}\n{code.rstrip()}\n```\n" for kind, code in snippets.items()
    )
