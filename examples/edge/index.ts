// POST {"input": "a text"} -> {"embedding": [...]}: the vector of a text, of unit length.
import { AutoModel, AutoTokenizer, env } from "@huggingface/transformers";

env.allowRemoteModels = false;
const folder = Deno.env.get("MODEL") ?? `${import.meta.dirname}/model`;
const [tokenizer, model] = await Promise.all([
  AutoTokenizer.from_pretrained(folder),
  AutoModel.from_pretrained(folder, { dtype: "q8" }),
]);
// A text that is too long is cut with its closing token on, which is put back.
const closing = tokenizer("", { return_tensor: false }).input_ids.slice(1).map(BigInt);

async function embed(text: string): Promise<number[]> {
  const tokens = tokenizer(text, { truncation: true });
  const ids = tokens.input_ids.data;
  ids.set(closing, ids.length - closing.length);
  const { sentence_embedding } = await model(tokens);
  return Array.from(sentence_embedding.data);
}

function refuse(status: number, error: string): Response {
  return Response.json({ error: `${error} Send {"input": "a text"}.` }, { status });
}

async function answer(request: Request): Promise<Response> {
  if (request.method !== "POST") return refuse(405, `${request.method} is not answered, but POST.`);
  let body;
  try {
    body = await request.json();
  } catch {
    return refuse(400, "The body is not JSON.");
  }
  if (typeof body !== "object" || body === null || !("input" in body)) return refuse(400, "There is no input.");
  if (typeof body.input !== "string") return refuse(400, "input is not a text.");
  return Response.json({ embedding: await embed(body.input) });
}

Deno.serve(answer);
