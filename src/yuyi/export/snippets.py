"""JavaScript that gives the vectors of an exported folder: in an edge function, in a page, in Node."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from yuyi.encode.static_folder import StaticModel
from yuyi.model.heads import UnitLength

if TYPE_CHECKING:
    from yuyi.train.starting.start import TextModel

# How Transformers.js calls a pooling, of those that its pipeline has.
_POOLING = {"mean": "mean", "cls": "cls", "last": "last_token"}
_TEXT = "'How do I renew my passport? 护照怎么续签？'"

_EDGE = """import {{ {names} }} from 'npm:@huggingface/transformers@4'

{open}

Deno.serve(async (request) => {{
  const {{ input }} = await request.json()
  {embed}
  const embedding = Array.from({values})
  return Response.json({{ embedding }})
}})
"""
_BROWSER = """<script type="module">
  import {{ {names} }} from '@huggingface/transformers'

  {open}
  {embed}
  console.log(Array.from({values}))
</script>
"""
_NODE = """import {{ {names} }} from '@huggingface/transformers'

{open}
{embed}
console.log(Array.from({values}))
"""


def pipeline_pooling(model: TextModel | StaticModel) -> tuple[str, bool]:
    """By which pooling and normalising the pipeline `feature-extraction` gives the model's own vectors.

    The pooling is "" where there is none: the pipeline knows neither dense layers nor several poolings, and
    has no vector for a text without tokens, as a token table may be given.
    """
    if isinstance(model, StaticModel):
        return "", True
    pooler = model.embedder.pooler
    units = [isinstance(head, UnitLength) for head in pooler.heads]
    known = _POOLING.get(pooler.pooling[0], "") if len(pooler.pooling) == 1 and all(units) else ""
    return known, any(units)


def javascript_snippets(name: str, dtype: str, pooling: str, normalize: bool) -> dict[str, str]:
    """JavaScript for `edge`, `browser` and `node`, by these names.

    Args:
        name: the model's, as Transformers.js is to look for it.
        dtype: the form, as Transformers.js calls it: `fp32`, `fp16`, `q8`.
        pooling: what `pipeline_pooling` gave; "" where the vector comes from the graph itself.
        normalize: whether the pipeline scales vectors to unit length.
    """
    kinds = {"edge": (_EDGE, "  ", "input"), "browser": (_BROWSER, "  ", _TEXT), "node": (_NODE, "", _TEXT)}
    snippets = {}
    for kind, (shape, indent, text) in kinds.items():
        names, opening, embedding, values = _parts(name, dtype, pooling, normalize, text)
        between = f"\n{indent if kind == 'browser' else ''}"
        snippets[kind] = shape.format(
            names=names, open=between.join(opening), embed=f"\n{indent}".join(embedding), values=values
        )
    return snippets


def _parts(
    name: str, dtype: str, pooling: str, normalize: bool, text: str
) -> tuple[str, list[str], list[str], str]:
    """What is imported, the lines that open the model, those that embed a text, and its vector."""
    quoted = json.dumps(name, ensure_ascii=False).replace("'", "\\'").replace('"', "'")
    form = f"{{ dtype: '{dtype}' }}"
    if pooling:
        how = f"{{ pooling: '{pooling}', normalize: {str(normalize).lower()} }}"
        opening = [f"const embed = await pipeline('feature-extraction', {quoted}, {form})"]
        return "pipeline", opening, [f"const output = await embed({text}, {how})"], "output.data"
    opening = [
        f"const tokenizer = await AutoTokenizer.from_pretrained({quoted})",
        f"const model = await AutoModel.from_pretrained({quoted}, {form})",
    ]
    embedding = [
        f"const tokens = tokenizer({text}, {{ truncation: true }})",
        "const { sentence_embedding } = await model(tokens)",
    ]
    return "AutoModel, AutoTokenizer", opening, embedding, "sentence_embedding.data"
