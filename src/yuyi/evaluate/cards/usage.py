"""How to use a model, as code that runs: in Python, with sentence-transformers, at the command line."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yuyi.evaluate.cards.facts import Facts

_PYTHON = """\
```python
import yuyi

model = yuyi.load({place}){note}
queries = model.encode_query(["{query}"])
documents = model.encode_document(["{answer}", "{other}"])
print(model.similarity(queries, documents))  # (1, 2)
```
"""
_SHORTER = """\
```python
import yuyi

model = yuyi.load({place}, truncate_dim={dim})  # {shorter}
print(model.encode("{query}").shape)  # ({dim},)
```
"""
_ELSEWHERE = """\
```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer({place})
queries = model.encode_query(["{query}"])
documents = model.encode_document(["{answer}", "{other}"])
print(model.similarity(queries, documents))
```
"""
_COMMANDS = """\
```bash
yuyi similarity "{query}" "{answer}" "{other}" --model {typed}
yuyi search "{query}" docs/ --model {typed}
```
"""


def usage(facts: Facts, name: str, words: Mapping[str, str]) -> str:
    """Blocks of code as Markdown, for whoever has the model under this name: of the hub, or of a folder."""
    own = "/" not in name
    values = {
        "place": json.dumps(name, ensure_ascii=False),
        "typed": shlex.quote(name),
        "note": f"  # {words['here']}" if own else "",
        **{key: words[key] for key in ("query", "answer", "other", "shorter")},
    }
    parts = [_PYTHON.format(**values)]
    if len(facts.dims) > 1:
        parts.append(_SHORTER.format(**values, dim=facts.dims[1]))
    if facts.opens_elsewhere:
        parts += [words["with sentence-transformers"] + "\n", _ELSEWHERE.format(**values)]
    parts += [words["at the command line"] + "\n", _COMMANDS.format(**values)]
    return "\n".join(parts)
