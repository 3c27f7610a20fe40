"""Builds the tiny transformer models that the tests load, one folder beside this file for each.

Random weights (every parameter, so that a swapped bias or norm shows), 32 dimensions, two or three layers, a
vocabulary of a few hundred pieces. Where transformers has the class it writes the weights itself; "gte-new",
which transformers does not open, is written under the names of the published weights. Run
`python tests/tiny/encoders.py` after a change; the folders are committed.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
import transformers
from texts import TEXTS
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

if TYPE_CHECKING:
    from torch import Tensor

HERE = Path(__file__).parent
# Characters that the texts lack and tests want: full-width, 4-byte Chinese, emoji, accents.
MORE = (
    "的是在了不和有大这主中人上为们地个用工时要动国产以我到他会作来分生对于学级就年阶义发成部民可出能方进同行"
    "面说种过命度革"
    "而多子后自社加小机也经力线本电高量长党得实家定深法表着水理化争现所二起政三好十战无农使性前等反体合斗路图"
    "把结第里正新开论"
    "𠮷😀éü"
)
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
BERT_SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
ROBERTA_SPECIAL = {
    "bos_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "mask_token": "<mask>",
}


def main() -> None:
    _bert_zh()
    _bert_dense()
    _bert_plain()
    _roberta()
    _xlm_roberta()
    _modernbert()
    _gte_new()


def _bert_zh() -> None:
    """As gte-small-zh and Dmeta: CLS, then unit length; saved by sentence-transformers itself."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    folder, tokenizer = _fresh("bert-zh"), _wordpiece()
    _save_tokenizer(folder, tokenizer, BERT_SPECIAL, 64)
    model = transformers.BertModel(
        transformers.BertConfig(
            **SHAPE, vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=64, type_vocab_size=2
        )
    )
    _randomise(model, 1)
    model.save_pretrained(folder)
    modules = [Transformer(str(folder), max_seq_length=48), Pooling(32, "cls"), Normalize()]
    sentence_transformer = SentenceTransformer(
        modules=modules, prompts={"query": "为这个句子生成表示：", "document": ""}, device="cpu"
    )
    _fresh("bert-zh")
    sentence_transformer.save(str(folder), create_model_card=False)


def _bert_dense() -> None:
    """As acge_text_embedding: mean, then a dense layer to more dimensions; in a pickle, files as of 2024."""
    folder, tokenizer = _fresh("bert-dense"), _wordpiece()
    _save_tokenizer(folder, tokenizer, BERT_SPECIAL, 64)
    config = transformers.BertConfig(
        **SHAPE, vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=64, type_vocab_size=2
    )
    model = transformers.BertModel(config)
    _randomise(model, 2)
    torch.save(
        {name: tensor.clone() for name, tensor in model.state_dict().items()}, folder / "pytorch_model.bin"
    )
    _write(folder / "config.json", {**config.to_dict(), "architectures": ["BertModel"]})
    _write_old_modules(folder, "Transformer", "Pooling", "Dense")
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": False})
    _write_old_pooling(folder, pooling_mode_mean_tokens=True)
    (folder / "2_Dense").mkdir()
    dense = torch.nn.Linear(32, 56)
    _randomise(dense, 3)
    state = {f"linear.{name}": tensor for name, tensor in dense.state_dict().items()}
    safetensors.torch.save_file(state, folder / "2_Dense" / "model.safetensors")
    settings = {"in_features": 32, "out_features": 56, "bias": True}
    _write(
        folder / "2_Dense" / "config.json",
        {**settings, "activation_function": "torch.nn.modules.linear.Identity"},
    )


def _bert_plain() -> None:
    """A plain Hugging Face folder of a pre-training model: prefix, pooler and heads in the file."""
    folder, tokenizer = _fresh("bert-plain"), _wordpiece()
    _save_tokenizer(folder, tokenizer, BERT_SPECIAL, 10**30)
    model = transformers.BertForPreTraining(
        transformers.BertConfig(
            **SHAPE,
            vocab_size=tokenizer.get_vocab_size(),
            max_position_embeddings=64,
            type_vocab_size=2,
            hidden_act="gelu_new",
        )
    )
    _randomise(model, 4)
    model.save_pretrained(folder)


def _roberta() -> None:
    """Byte-level BPE, mean, weights in shards."""
    folder, tokenizer = _fresh("roberta"), _byte_bpe(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    _save_tokenizer(folder, tokenizer, ROBERTA_SPECIAL, 64)
    model = transformers.RobertaModel(
        transformers.RobertaConfig(
            **SHAPE,
            vocab_size=tokenizer.get_vocab_size(),
            max_position_embeddings=66,
            type_vocab_size=1,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
        )
    )
    _randomise(model, 5)
    model.save_pretrained(folder, max_shard_size="60KB")
    _write_old_modules(folder, "Transformer", "Pooling", "Normalize")
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": False})
    _write_old_pooling(folder, pooling_mode_mean_tokens=True)


def _xlm_roberta() -> None:
    """As multilingual-e5: Unigram pieces, mean, a prompt for each side; no length but the tokenizer's."""
    folder, tokenizer = _fresh("xlm-roberta"), _unigram()
    _save_tokenizer(folder, tokenizer, ROBERTA_SPECIAL, 64)
    model = transformers.XLMRobertaModel(
        transformers.XLMRobertaConfig(
            **SHAPE,
            vocab_size=tokenizer.get_vocab_size(),
            max_position_embeddings=66,
            type_vocab_size=1,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
        )
    )
    _randomise(model, 6)
    model.save_pretrained(folder)
    _write_old_modules(folder, "Transformer", "Pooling", "Normalize")
    _write_old_pooling(folder, pooling_mode_mean_tokens=True, include_prompt=True)
    _write(
        folder / "config_sentence_transformers.json",
        {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": None},
    )


def _modernbert() -> None:
    """Local layers that see 8 tokens to either side, a global one, texts up to 96 tokens; mean."""
    folder, tokenizer = _fresh("modernbert"), _byte_bpe(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    _add_special(tokenizer, "[CLS]", "[SEP]")
    _save_tokenizer(folder, tokenizer, BERT_SPECIAL, 96)
    model = transformers.ModernBertModel(
        transformers.ModernBertConfig(
            **{**SHAPE, "num_hidden_layers": 4, "intermediate_size": 48},
            vocab_size=tokenizer.get_vocab_size(),
            max_position_embeddings=96,
            local_attention=16,
            pad_token_id=0,
            cls_token_id=2,
            bos_token_id=2,
            sep_token_id=3,
            eos_token_id=3,
        )
    )
    _randomise(model, 7)
    model.save_pretrained(folder)
    _write_old_modules(folder, "Transformer", "Pooling", "Normalize")
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 96, "do_lower_case": False})
    _write_old_pooling(folder, pooling_mode_mean_tokens=True)


def _gte_new() -> None:
    """As gte-multilingual-base: rotary with fixed NTK scaling, gated, CLS; prefix "new."."""
    folder, tokenizer = _fresh("gte-new"), _unigram()
    _save_tokenizer(folder, tokenizer, ROBERTA_SPECIAL, 96)
    config = {
        **SHAPE,
        "architectures": ["NewModel"],
        "auto_map": {"AutoModel": "Alibaba-NLP/new-impl--modeling.NewModel"},
        "model_type": "new",
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "layer_norm_type": "layer_norm",
        "logn_attention_scale": False,
        "max_position_embeddings": 96,
        "pack_qkv": True,
        "pad_token_id": 1,
        "position_embedding_type": "rope",
        "rope_theta": 20000,
        "rope_scaling": {"type": "ntk", "factor": 8.0},
        "type_vocab_size": 1,
    }
    _write(folder / "config.json", config)
    generator = torch.Generator().manual_seed(8)
    state = {f"new.{name}": _random(name, shape, generator) for name, shape in _gte_shapes(config).items()}
    safetensors.torch.save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    _write_old_modules(folder, "Transformer", "Pooling", "Normalize")
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 96, "do_lower_case": False})
    _write_old_pooling(folder, pooling_mode_cls_token=True)


def _gte_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    norm = {"weight": (hidden,), "bias": (hidden,)}
    modules: dict[str, dict[str, tuple[int, ...]]] = {
        "embeddings.word_embeddings": {"weight": (config["vocab_size"], hidden)},
        "embeddings.token_type_embeddings": {"weight": (config["type_vocab_size"], hidden)},
        "embeddings.LayerNorm": norm,
    }
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        modules[f"{at}.attention.qkv_proj"] = {"weight": (3 * hidden, hidden), "bias": (3 * hidden,)}
        modules[f"{at}.attention.o_proj"] = {"weight": (hidden, hidden), "bias": (hidden,)}
        modules[f"{at}.mlp.up_gate_proj"] = {"weight": (2 * inner, hidden)}
        modules[f"{at}.mlp.down_proj"] = {"weight": (hidden, inner), "bias": (hidden,)}
        modules[f"{at}.attn_ln"] = modules[f"{at}.mlp_ln"] = norm
    return {f"{name}.{kind}": shape for name, kinds in modules.items() for kind, shape in kinds.items()}


def _wordpiece() -> Tokenizer:
    """BERT's kind: Chinese characters, letters, their continuations and the texts' words."""
    words = Counter(re.findall("[a-z]{4,}", " ".join(TEXTS).lower()))
    characters = sorted(set("".join(TEXTS).lower() + MORE + "abcdefghijklmnopqrstuvwxyz0123456789") - {" "})
    pieces = [
        *BERT_SPECIAL.values(),
        *characters,
        *(f"##{character}" for character in characters if character.isascii() and character.isalnum()),
        *(word for word, _ in words.most_common(40)),
    ]
    vocabulary = {piece: row for row, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    _add_special(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def _byte_bpe(special: list[str]) -> Tokenizer:
    """RoBERTa's kind: bytes and the merges that the texts ask for."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=480,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*TEXTS, MORE], trainer)
    return tokenizer


def _unigram() -> Tokenizer:
    """XLM-RoBERTa's kind: pieces with scores, a mark for the beginning of a word."""
    words = Counter(f"▁{word}" for text in TEXTS for word in text.split() if word.isascii())
    characters = Counter("".join(TEXTS) + MORE + "abcdefghijklmnopqrstuvwxyz▁")
    characters.pop(" ")
    counts = {**characters, **{word: 4 * count for word, count in words.most_common(60)}}
    total = sum(counts.values())
    pieces = [(piece, 0.0) for piece in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces += [(piece, math.log(count / total)) for piece, count in sorted(counts.items())]
    tokenizer = Tokenizer(models.Unigram([*pieces, ("<mask>", 0.0)], unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    _add_special(tokenizer, "<s>", "</s>")
    return tokenizer


def _add_special(tokenizer: Tokenizer, first: str, last: str) -> None:
    pair = [(piece, tokenizer.token_to_id(piece)) for piece in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", pair=f"{first} $A {last} $B {last}", special_tokens=pair
    )


def _save_tokenizer(folder: Path, tokenizer: Tokenizer, special: dict[str, str], limit: int) -> None:
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=limit, **special
    ).save_pretrained(folder)


def _randomise(module: torch.nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(_random(name, tuple(parameter.shape), generator))


def _random(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=generator) * 0.2
    is_norm = len(shape) == 1 and name.endswith("weight")
    return noise + 1 if is_norm else noise


def _fresh(name: str) -> Path:
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _write_old_modules(folder: Path, *kinds: str) -> None:
    """`modules.json` as sentence-transformers wrote it until version 5."""
    _write(
        folder / "modules.json",
        [
            {
                "idx": index,
                "name": str(index),
                "path": f"{index}_{kind}" if index else "",
                "type": f"sentence_transformers.models.{kind}",
            }
            for index, kind in enumerate(kinds)
        ],
    )


def _write_old_pooling(folder: Path, **true: bool) -> None:
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
    (folder / "1_Pooling").mkdir()
    flags = {f"pooling_mode_{mode}": False for mode in modes}
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 32, **flags, **true})


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
