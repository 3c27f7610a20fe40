// Texts and their nearness, computed in this page; the model lies in ./model, the library in ./node_modules.
import { AutoModel, AutoTokenizer, env } from "@huggingface/transformers";

const SAY = {
  en: {
    lead: "Each text becomes a vector, here in your browser, in Chinese and English alike. The nearer two texts are in meaning, the nearer their number is to 1.",
    query: "A text", others: "Compared with, one a line", found: "Nearest first",
    loading: "Loading the model…",
    ready: ({ megabytes, seconds, dim }) =>
      `Model of ${megabytes} MB, first vector after ${seconds} s, ${dim} dimensions. Nothing you type leaves this page.`,
    wrong: (error) => `The model cannot be opened.\nPut one into model/: yuyi export MODEL -o model --to browser\n${error}`,
    language: "中文", theme: "Light or dark",
  },
  zh: {
    lead: "每段文字都在您的浏览器里变成一个向量，中英文都可以。两段文字的意思越相近，它们的数值就越接近 1。",
    query: "一段文字", others: "与这些文字比较，每行一段", found: "由近到远",
    loading: "正在载入模型……",
    ready: ({ megabytes, seconds, dim }) =>
      `模型 ${megabytes} MB，${seconds} 秒后得到第一个向量，共 ${dim} 维。您输入的内容不会离开本页。`,
    wrong: (error) => `模型打不开。\n请先把模型放进 model/：yuyi export 模型 -o model --to browser\n${error}`,
    language: "English", theme: "明暗",
  },
};
const EXAMPLES = ["护照到期了怎么办？", "Where can I buy a watch?", "今天适合出去走走", "How does semantic search work?"];
const OTHERS = [
  "How do I renew my passport?", "护照怎么续签？", "香港哪里买手表好？", "Good watch shops in Hong Kong",
  "天气很好，我们去公园散步吧。", "The weather is lovely, let us go for a walk.",
  "语义搜索把文字变成向量，再比较它们。", "Semantic search turns text into vectors and compares them.",
];

const at = (id) => document.getElementById(id);
const vectors = new Map(); // of texts that were embedded before
let embed; // a text to its vector, once the model is there
let state = { key: "loading" };

// A function of a text that gives its vector, of unit length.
async function openModel(folder) {
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = "./";
  env.useBrowserCache = false; // The browser keeps static files by itself.
  env.useWasmCache = false; // Compiled while it is loaded.
  const runtime = new URL("./node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded", import.meta.url);
  env.backends.onnx.wasm.wasmPaths = { mjs: `${runtime}.mjs`, wasm: `${runtime}.wasm` };
  const [tokenizer, model] = await Promise.all([
    AutoTokenizer.from_pretrained(folder),
    AutoModel.from_pretrained(folder, { dtype: "q8" }),
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

async function vectorOf(text) {
  if (!vectors.has(text)) vectors.set(text, await embed(text));
  return vectors.get(text);
}

// Of two vectors of unit length.
const cosine = (one, other) => one.reduce((sum, value, place) => sum + value * other[place], 0);

let latest = 0;
async function compare() {
  const turn = ++latest;
  if (!embed) return;
  const query = await vectorOf(at("query").value);
  const found = [];
  for (const text of new Set(at("others").value.split("\n").filter((line) => line.trim()))) {
    found.push({ text, score: cosine(query, await vectorOf(text)) });
    if (turn !== latest) return; // Something was typed meanwhile.
  }
  found.sort((one, other) => other.score - one.score);
  at("results").replaceChildren(...found.map(resultItem));
}

function resultItem({ text, score }) {
  const item = document.createElement("li");
  const words = document.createElement("span");
  const number = document.createElement("output");
  words.textContent = text;
  number.textContent = (Math.round(100 * score) / 100 + 0).toFixed(2); // adding 0 takes the sign off -0
  item.style.setProperty("--share", Math.max(0, Math.min(1, score)));
  item.append(words, number);
  return item;
}

function speak(language) {
  const say = SAY[language];
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say[element.dataset.say];
  at("language").textContent = say.language;
  at("theme").textContent = say.theme;
  const line = say[state.key];
  at("status").textContent = typeof line === "function" ? line(state.about) : line;
  at("status").classList.toggle("wrong", state.key === "wrong");
}

function tell(key, about) {
  state = { key, about };
  speak(document.documentElement.lang);
}

function begin() {
  at("query").value = EXAMPLES[0];
  at("others").value = OTHERS.join("\n");
  for (const text of EXAMPLES) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: text });
    button.addEventListener("click", () => { at("query").value = text; compare(); });
    at("examples").append(button);
  }
  for (const id of ["query", "others"]) at(id).addEventListener("input", compare);
  at("language").addEventListener("click", () => speak(document.documentElement.lang === "zh" ? "en" : "zh"));
  at("theme").addEventListener("click", () => {
    const style = document.documentElement.style;
    const dark = style.colorScheme ? style.colorScheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    style.colorScheme = dark ? "light" : "dark";
  });
  speak(navigator.language.startsWith("zh") ? "zh" : "en");
}

begin();
try {
  embed = await openModel("model");
  const first = await vectorOf(at("query").value);
  const seconds = (performance.now() / 1000).toFixed(2); // since the page was opened
  const loaded = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/model/"));
  const bytes = loaded.reduce((sum, entry) => sum + entry.decodedBodySize, 0);
  tell("ready", { megabytes: (bytes / 1e6).toFixed(1), seconds, dim: first.length });
  await compare();
} catch (error) {
  tell("wrong", error);
}
