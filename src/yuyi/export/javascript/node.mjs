// node node.mjs LIBRARY MODEL DTYPE TEXTS VECTORS: texts from a JSON file to float32 values in another.
import { readFile, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { run } from "./embed.mjs";

const [library, model, dtype, texts, out] = process.argv.slice(2);
const result = await run(
  await import(pathToFileURL(library)), model, dtype, JSON.parse(await readFile(texts, "utf8")),
);
await writeFile(out, result.vectors);
console.log(JSON.stringify({ coldStart: result.coldStart, seconds: result.seconds }));
