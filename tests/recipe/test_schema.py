from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from yuyi.errors import RecipeError
from yuyi.recipe.schema import read_recipe
from yuyi.train.config import Stage, Task

if TYPE_CHECKING:
    from .conftest import Workplace

RECIPES = Path(__file__).parent.parent.parent / "recipes"


def put(values: dict[str, Any], path: str, value: object) -> None:
    """Set the value at a dotted path; numbers are places in lists."""
    *way, last = path.split(".")
    target: Any = values
    for key in way:
        target = target[int(key) if isinstance(target, list) else key]
    target[last] = value


def test_a_recipe_becomes_typed_values(workplace: Workplace) -> None:
    recipe = read_recipe(workplace.path)
    assert recipe.table.dims == {16: 1.0, 8: 0.5}
    assert recipe.table.stages[0] == Stage(
        name="weak", steps=30, tasks=(Task(objective="contrast", batch=32),)
    )
    assert recipe.languages == ("zh", "en")
    assert recipe.teacher is None


@pytest.mark.parametrize(
    "path",
    ["colour", "table.colour", "table.stages.0.rate", "table.stages.1.tasks.0.tempreature", "vocabulary.sise",
     "documents.0.license", "left_out.0.why"],
)  # fmt: skip
def test_an_unknown_key_is_named(workplace: Workplace, path: str) -> None:
    put(workplace.recipe, path, 1)
    with pytest.raises(RecipeError, match=f"{path}: no such key"):
        read_recipe(workplace.write())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("table.stages.0.steps", 0),
        ("table.stages.0.steps", "many"),
        ("table.stages.0.learning_rate", -0.1),
        ("table.stages.0.final_rate", 1.5),
        ("table.stages.0.warmup", -1),
        ("table.stages.0.tasks.0.batch", 0),
        ("table.stages.0.tasks.0.share", 0),
        ("table.stages.0.tasks.0.temperature", 0),
        ("table.stages.0.tasks.0.objective", "guess"),
        ("table.stages", []),
        ("table.dims", {}),
        ("table.dims", {16: 1.0, 8: -1}),
        ("table.longest", 0),
        ("table.threads", 0),
        ("table.seed", -1),
        ("vocabulary.size", 0),
        ("vocabulary.latin_parts", -1),
        ("languages", 3),
        ("documents", "documents"),
    ],
)
def test_an_impossible_value_is_named(workplace: Workplace, path: str, value: object) -> None:
    put(workplace.recipe, path, value)
    with pytest.raises(RecipeError, match=f"{path}.*: .*(Mend this key|Write a list)"):
        read_recipe(workplace.write())


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("name", "", "name: '' cannot be the name of a folder"),
        ("name", "..", "cannot be the name of a folder"),
        ("name", "a/b", "cannot be the name of a folder"),
        ("table.dims", {8: 1.0, 16: 1.0}, r"table\.dims: \[8, 16\] do not fall"),
        ("table.average", {"waek": 0.5}, r"table\.average: .*weak, judged"),
        ("table.average", {"weak": 0.6, "judged": 0.6}, r"table\.average: .*lower them"),
        ("table.stages.0.tasks.0.objective", "align", r"table\.stages: .*no teacher"),
    ],
)
def test_values_that_do_not_fit_each_other(
    workplace: Workplace, path: str, value: object, message: str
) -> None:
    put(workplace.recipe, path, value)
    with pytest.raises(RecipeError, match=message):
        read_recipe(workplace.write())


def test_nothing_to_learn_from(workplace: Workplace) -> None:
    del workplace.recipe["documents"], workplace.recipe["pairs"]
    with pytest.raises(RecipeError, match="both are empty"):
        read_recipe(workplace.write())


@pytest.mark.parametrize("key", ["name", "license", "languages", "data", "table"])
def test_a_missing_key_is_named(workplace: Workplace, key: str) -> None:
    del workplace.recipe[key]
    with pytest.raises(RecipeError, match=f"{key}: missing"):
        read_recipe(workplace.write())


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"", b"- a\n- b\n", b"just text"])
def test_a_file_that_is_no_recipe(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"broken\.yaml: "):
        read_recipe(path)


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"absent\.yaml: no such file"):
        read_recipe(tmp_path / "absent.yaml")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("static-*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_recipes_are_sound(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    entries = [entry.path for entry in (*recipe.documents, *recipe.pairs, *recipe.left_out)]
    assert len(set(entries)) == len(entries)
    assert all(entry.licence for entry in (*recipe.documents, *recipe.pairs))
    forbidden = ("non-commercial", "-nc", " nc ")
    used = [entry.licence.lower() for entry in (*recipe.documents, *recipe.pairs)]
    assert not [licence for licence in used if any(word in licence for word in forbidden)]
    assert yaml.safe_load(path.read_text("utf-8"))["data"].startswith("../")
