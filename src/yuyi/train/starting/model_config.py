"""What model training starts from: a folder as it is or cut down, or a shape with fresh weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from yuyi.config import REFUSE_UNKNOWN
from yuyi.errors import RecipeError
from yuyi.pipeline import Activation, Pooling  # noqa: TC001 (pydantic reads the annotations)

Size = Literal["tiny", "small", "small-zh", "base", "large"]
Architecture = Literal["bert", "modernbert", "gte"]

# Beginning, end and one piece of text.
_FEWEST_TOKENS = 3
_LONGEST = 512


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of an encoder.

    Attributes:
        layers: of them.
        hidden: length of a token's state.
        heads: of attention.
        intermediate: width inside the feed-forward part.
    """

    layers: int
    hidden: int
    heads: int
    intermediate: int


# As published with gte-small, gte-small-zh, gte-base and gte-large; `tiny` is half of `small`.
SHAPES: dict[Size, Shape] = {
    "tiny": Shape(6, 384, 12, 1536),
    "small": Shape(12, 384, 12, 1536),
    "small-zh": Shape(6, 512, 8, 2048),
    "base": Shape(12, 768, 12, 3072),
    "large": Shape(24, 1024, 16, 4096),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseConfig:
    """A linear layer between pooling and normalising, as acge's from 1024 to 1792.

    Attributes:
        dim: length of the vectors that it gives.
        activation: the function applied to them.
        bias: whether it adds a bias.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    dim: PositiveInt
    activation: Activation = "identity"
    bias: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """The tokenizer of a model from scratch: word pieces of the corpus, or those of another folder.

    Attributes:
        folder: where to take it from; empty to train one.
        pieces: size of the vocabulary, special tokens included.
        smallest_count: characters and pieces that occur less often in the corpus are left out.
        lower_case: whether case and accents are dropped, as in BERT's uncased models.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    folder: str = ""
    pieces: PositiveInt = 30_000
    smallest_count: PositiveInt = 5
    lower_case: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepVocabulary:
    """Which pieces of a folder's vocabulary stay: special tokens, single characters, and what a corpus needs.

    Attributes:
        at_least: a piece stays that occurs this often in the corpus.
        most: size of the vocabulary at most, the rarest pieces being dropped; None for no limit.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    at_least: PositiveInt = 1
    most: PositiveInt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The model that training starts from: `folder`, or `size` and the numbers that differ from it.

    A folder brings its shape, tokenizer, pooling, heads and prompts; what is given here takes their place.

    Attributes:
        folder: a model folder, of sentence-transformers or a plain Hugging Face one; empty for fresh weights.
        size: a published shape, from which the four numbers below are taken where they are not given.
        layers: number of layers.
        hidden: length of a token's state, a multiple of `heads`.
        heads: attention heads of a layer.
        intermediate: width inside the feed-forward part; without it, that of `size`, but 1.5 times `hidden`
            for `modernbert`.
        architecture: `bert`; `modernbert` (rotary positions, gated, most layers look 64 tokens to either
            side); `gte` (rotary positions, gated; needs transformers 5.23 to be opened elsewhere).
        tokenizer: that of fresh weights.
        max_tokens: the longest text, in tokens, special tokens included; 512, or what the folder says.
        pooling: how token states become one vector, the results of several being concatenated; the mean, or
            what the folder says.
        include_prompt: whether the tokens of a prompt take part in pooling; they do, or as the folder says.
        dense: a fresh linear layer after pooling, in place of the folder's.
        normalize: whether vectors are scaled to unit length; they are, or as the folder says. `yuyi.load`
            gives vectors of unit length all the same.
        dropout: share of the values of states that a training step leaves out.
        attention_dropout: share of the attention weights; above 0 attention is slower.
        prompts: texts put before an input, by name; in place of the folder's.
        keep_layers: numbers of the folder's layers that stay, or how many, which are then spread evenly from
            the first to the last.
        keep_vocabulary: cut the folder's vocabulary; each piece that stays keeps its vector.
    """

    __pydantic_config__: ClassVar = REFUSE_UNKNOWN

    folder: str = ""
    size: Size | None = None
    layers: PositiveInt | None = None
    hidden: PositiveInt | None = None
    heads: PositiveInt | None = None
    intermediate: PositiveInt | None = None
    architecture: Architecture | None = None
    tokenizer: TokenizerConfig | None = None
    max_tokens: Annotated[int, Field(ge=_FEWEST_TOKENS, le=1 << 20)] | None = None
    pooling: tuple[Pooling, ...] = ()
    include_prompt: bool | None = None
    dense: DenseConfig | None = None
    normalize: bool | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    attention_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    prompts: dict[str, str] | None = None
    keep_layers: PositiveInt | tuple[NonNegativeInt, ...] | None = None
    keep_vocabulary: KeepVocabulary | None = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            RecipeError: it does; the message names the keys.
        """
        if len(set(self.pooling)) < len(self.pooling):
            raise RecipeError(f"model.pooling: {', '.join(self.pooling)} names one twice. Leave it out.")
        if self.folder:
            self._check_folder()
        else:
            self._check_scratch()

    def shape(self) -> Shape:
        """The numbers of an encoder from scratch."""
        usual = SHAPES[self.size] if self.size else None
        hidden = self.hidden or (usual.hidden if usual else 0)
        return Shape(
            layers=self.layers or (usual.layers if usual else 0),
            hidden=hidden,
            heads=self.heads or (usual.heads if usual else 0),
            intermediate=self.intermediate or self._usual_intermediate(hidden),
        )

    def _usual_intermediate(self, hidden: int) -> int:
        """As published: four times the state, and less for ModernBERT, whose part is gated."""
        if self.architecture == "modernbert":
            return hidden * 3 // 2
        usual = SHAPES[self.size] if self.size else None
        return usual.intermediate if usual and usual.hidden == hidden else 4 * hidden

    def _check_folder(self) -> None:
        of_scratch = ("size", "layers", "hidden", "heads", "intermediate", "architecture", "tokenizer")
        given = [name for name in of_scratch if getattr(self, name) is not None]
        if given:
            raise RecipeError(
                f"model.{given[0]}: given beside model.folder {self.folder}, which has its own. "
                "Leave one of the two out."
            )

    def _check_scratch(self) -> None:
        for name in ("keep_layers", "keep_vocabulary"):
            if getattr(self, name) is not None:
                raise RecipeError(
                    f"model.{name}: there is no folder to cut. Give model.folder, or leave it out."
                )
        shape = self.shape()
        for name in ("layers", "hidden", "heads"):
            if not getattr(shape, name):
                raise RecipeError(
                    f"model.{name}: missing. Give model.folder, model.size ({', '.join(SHAPES)}), or "
                    "layers, hidden and heads."
                )
        if shape.hidden % shape.heads:
            raise RecipeError(
                f"model.hidden: {shape.hidden} is no multiple of the {shape.heads} model.heads. Change one."
            )
        if self.architecture in ("modernbert", "gte") and shape.hidden // shape.heads % 2:
            raise RecipeError(
                f"model.heads: heads of {shape.hidden // shape.heads} dimensions cannot be rotated in pairs, "
                f"as {self.architecture} does. Choose an even number of dimensions a head."
            )
