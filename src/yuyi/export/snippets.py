"""JavaScript that gives the vectors of an exported folder: in an edge function, in a page, in Node.

It does what `javascript/embed.mjs` does, by which forms are measured.
"""

from __future__ import annotations

import json
from textwrap import indent

_TEXT = "'How do I renew my passport? 护照怎么续签？'"

_EMBED = """const tokenizer = await AutoTokenizer.from_pretrained({name})
const model = await AutoModel.from_pretrained({name}, {{ dtype: '{dtype}' }})
// A text that is too long is cut with its closing token on, which is put back.
const closing = tokenizer('', {{ return_tensor: false }}).input_ids.slice(1).map(BigInt)

async function embed(text) {{
  const tokens = tokenizer({text}, {{ truncation: true }})
  const ids = tokens.input_ids.data
  ids.set(closing, ids.length - closing.length)
  const {{ sentence_embedding }} = await model(tokens)
  return Array.from(sentence_embedding.data)
}}
"""
_EDGE = """import { AutoModel, AutoTokenizer } from 'npm:@huggingface/transformers@4'

%s
Deno.serve(async (request) => {
  const { input } = await request.json()
  return Response.json({ embedding: await embed(input) })
})
"""
_NODE = f"""import {{ AutoModel, AutoTokenizer }} from '@huggingface/transformers'

%s
console.log(await embed({_TEXT}))
"""
# Library, runtime and model lie beside the page; without these lines they are looked for at other hosts.
_PAGE_HEAD = """<script type="importmap">
  {
    "imports": {
      "@huggingface/transformers": "./node_modules/@huggingface/transformers/dist/transformers.web.min.js",
      "onnxruntime-web/webgpu": "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs",
      "onnxruntime-common": "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs"
    }
  }
</script>
"""
_PAGE = f"""import {{ AutoModel, AutoTokenizer, env }} from '@huggingface/transformers'

Object.assign(env, {{ allowRemoteModels: false, allowLocalModels: true, localModelPath: './' }})
const runtime = new URL('./node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded', location.href)
env.backends.onnx.wasm.wasmPaths = {{ mjs: `${{runtime}}.mjs`, wasm: `${{runtime}}.wasm` }}

%s
console.log(await embed({_TEXT}))
"""


def javascript_snippets(name: str, dtype: str, prompt: str = "") -> dict[str, str]:
    """JavaScript for `edge`, `browser` and `node`, by these names.

    Args:
        name: the folder's, beside which the code runs.
        dtype: the form, as Transformers.js calls it: `fp32`, `fp16`, `q8`.
        prompt: what stands before each text.
    """
    text = f"{_quoted(prompt)} + text" if prompt else "text"
    # Outside a page a bare name is one of the hub.
    beside = _EMBED.format(name=_quoted(f"./{name}"), dtype=dtype, text=text)
    code = _PAGE % _EMBED.format(name=_quoted(name), dtype=dtype, text=text)
    page = f'{_PAGE_HEAD}<script type="module">\n{indent(code, "  ")}</script>\n'
    return {"edge": _EDGE % beside, "browser": page, "node": _NODE % beside}


def _quoted(text: str) -> str:
    inner = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", r"\'")
    return f"'{inner}'"
