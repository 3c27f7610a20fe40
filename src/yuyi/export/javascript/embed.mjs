// Texts to vectors with Transformers.js, one at a time; the same in Node and in a page.

// Opens a model: a function of one text that gives its vector, a Float32Array.
export async function open({ AutoModel, AutoTokenizer, env }, folder, dtype) {
  env.allowRemoteModels = false;
  const [tokenizer, model] = await Promise.all([
    AutoTokenizer.from_pretrained(folder),
    AutoModel.from_pretrained(folder, { dtype }),
  ]);
  // A text that is too long is cut with its closing token on, which is put back.
  const closing = tokenizer("", { return_tensor: false }).input_ids.slice(1).map(BigInt);
  return async (text) => {
    const tokens = tokenizer(text, { truncation: true });
    const ids = tokens.input_ids.data;
    ids.set(closing, ids.length - closing.length);
    const { sentence_embedding } = await model(tokens);
    return sentence_embedding.data;
  };
}

// What Python asks for: all vectors, one after another, and how long they took.
export async function run(library, folder, dtype, texts) {
  const embed = await open(library, folder, dtype);
  const first = await embed(texts[0]);
  const coldStart = performance.now() / 1000; // since the process, or the page, began
  const vectors = new Float32Array(texts.length * first.length);
  const begin = performance.now();
  for (const [row, text] of texts.entries()) vectors.set(await embed(text), row * first.length);
  return { vectors, coldStart, seconds: (performance.now() - begin) / 1000 };
}
