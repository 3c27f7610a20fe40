"""`yuyi evaluate`: mteb's scores of a model on local test sets, named suites and single tasks."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yuyi.cli.options import JsonOption
from yuyi.errors import InputError, TaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from yuyi.evaluate import EvalTask, Result
    from yuyi.types import Encoder

_ENDINGS = (".json", ".md", ".html")
_KEY_VARIABLE = "OPENAI_API_KEY"


def evaluate(
    model: Annotated[
        str | None, typer.Argument(help="Name or folder of a model; the embedded one if left out.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of test sets: Parquet or JSONL files, or tasks.yaml."),
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", help='Named suite, such as "C-MTEB (35)" or "MTEB(eng, v2)".')
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="Score this set of the folder, or mteb's task; again for more."),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--type", help="Tasks of this type only, such as STS; again for more.")
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option("--language", help="Tasks in this language only: zh, en; again for more."),
    ] = None,
    all_rows: Annotated[
        bool,
        typer.Option(
            "--all-rows", help="Fit one classifier more on every training row; its score is in the report."
        ),
    ] = False,
    dim: Annotated[
        str | None, typer.Option("--dim", help="Cut vectors to these lengths: 1792,1024. Default: no cut.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", help="Compute in these number types: float32,bfloat16. Default: float32."),
    ] = None,
    max_length: Annotated[
        str | None, typer.Option("--max-length", help="Read texts up to these numbers of tokens: 512,1024.")
    ] = None,
    overflow: Annotated[
        str, typer.Option("--overflow", help="What becomes of longer texts: cut, pool, error.")
    ] = "cut",
    query_prompt: Annotated[
        str | None, typer.Option("--query-prompt", help="Put this before queries, not the model's prompt.")
    ] = None,
    document_prompt: Annotated[
        str | None, typer.Option("--document-prompt", help="Put this before documents.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", help="Put this before texts that are neither.")
    ] = None,
    pooling: Annotated[
        str | None, typer.Option("--pooling", help="How to pool, where the folder does not say.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Score vectors as the folder gives them, not at unit length.")
    ] = False,
    device: Annotated[str | None, typer.Option("--device", help="Where to compute: cpu, cuda:1.")] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Score a server: address that /embeddings follows.")
    ] = None,
    endpoint_model: Annotated[
        str | None, typer.Option("--model", help="Name of the model at the endpoint.")
    ] = None,
    key_variable: Annotated[
        str | None,
        typer.Option(
            "--key-variable",
            help=f"Environment variable that holds the endpoint's key. Default: {_KEY_VARIABLE}.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", help="Keep a result for each task here; none that is there is done again."),
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option("--vectors", help="Keep vectors here, for further runs on the same texts.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write a report here: .json, .md or .html. An older one is replaced."
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Score a model with mteb's own tasks and metrics; on a folder of test sets without any network.

    What a file measures follows from its columns, unless tasks.yaml says it:

    \b
      sentence1, sentence2, score     similarity: Spearman correlation of the cosine
      sentence1, sentence2, label     same or different: average precision
      text, label, split              classification: accuracy
      sentence1, sentence2            translations: how many find their partner
      query, positive, negative       reranking: mean average precision
      NAME.queries, .corpus, .qrels   three files for retrieval: nDCG@10

    Scores are shown x 100. With --results, every task leaves a JSON that mteb reads too, with all metrics and
    all settings; a run that was stopped goes on where it was.

    \b
    Examples:
      yuyi evaluate --data eval
      yuyi evaluate my-model --data eval --task STS13 --dim 256,64
      yuyi evaluate acge_text_embedding --suite "C-MTEB (35)" --dim 1792,1024 --results results -o report.html
      yuyi evaluate --endpoint http://localhost:8000/v1 --model bge-m3 --data eval
    """
    from yuyi.artifacts import publish_file
    from yuyi.evaluate import Sweep
    from yuyi.evaluate import evaluate as score

    if output and output.suffix not in _ENDINGS:
        raise InputError(
            f"{output}: a report ends in {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}. Name it so."
        )
    if endpoint is None:
        _check_no_server(endpoint_model, key_variable)
    prompts = {"query": query_prompt, "document": document_prompt, "": prompt}
    sweep = Sweep(
        dims=_numbers("--dim", dim),
        dtypes=_parts("--dtype", dtype),
        max_lengths=_numbers("--max-length", max_length),
        overflows=_parts("--overflow", overflow),
        prompts={role: text for role, text in prompts.items() if text is not None},
        normalize=not raw,
        pooling=pooling,
        device=device,
    )
    tasks = _tasks(data, suite, task or [], kind or [], language or [], all_rows=all_rows)
    judged: Encoder | str | None = model
    if endpoint is not None:
        judged = _endpoint(endpoint, endpoint_model, key_variable, model, keeps=vectors is not None)
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    fault: TaskError | None = None
    # The place is tried before the work begins; the report appears in it only when it is whole.
    with publish_file(output) if output else nullcontext() as temporary:
        try:
            with _progress(shown=not quiet and sys.stderr.isatty()) as progress:
                found = score(judged, tasks, sweep, results=results, vectors=vectors, on_task=progress)
        except TaskError as error:
            if not error.finished:
                raise
            found, fault = list(error.finished), error
        if output and temporary:
            temporary.write_text(_report(found, output.suffix), encoding="utf-8")
    if not as_json:
        _print_table(found, results, begun)
    elif not fault:
        typer.echo(_report(found, ".json"), nl=False)
    if fault and output:
        kept = f"{output} holds the {_count(found)} finished before."
        raise TaskError(f"{fault} {kept}", found) from fault
    if fault:
        raise fault


def _parts(option: str, text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    _check_given(option, text)
    return tuple(part.strip() for part in text.replace("，", ",").split(","))


def _numbers(option: str, text: str | None) -> tuple[int, ...]:
    parts = _parts(option, text)
    try:
        return tuple(map(int, parts))
    except ValueError as error:
        raise InputError(f"{option} {text}: not a list of whole numbers. Write it as 256,128,64.") from error


def _check_given(option: str, *values: str | None) -> None:
    if any(value is not None and not value.strip() for value in values):
        raise InputError(f"{option}: nothing is given. Give a value, or leave the option out.")


def _tasks(
    data: Path | None,
    suite: str | None,
    names: list[str],
    types: list[str],
    languages: list[str],
    *,
    all_rows: bool,
) -> list[EvalTask]:
    """The tasks of a folder, or mteb's own."""
    for option, given in (
        ("--suite", [suite]),
        ("--task", names),
        ("--type", types),
        ("--language", languages),
    ):
        _check_given(option, *given)
    if data is None:
        if not (suite or names or types or languages):
            raise InputError(
                "No tasks: give --data FOLDER for test sets of your own, --suite NAME or --task NAME for "
                "mteb's."
            )
        if all_rows:
            raise InputError("--all-rows: for test sets of your own. Give them with --data, or leave it out.")
        from yuyi.evaluate.tasks.named import named_tasks

        return named_tasks(names or None, suite=suite, types=types or None, languages=languages or None)
    if suite:
        raise InputError(f"--suite {suite} and --data {data}: give one of the two.")
    from yuyi.evaluate.tasks.choose import language_codes, speaks, task_types
    from yuyi.evaluate.tasks.local import local_tasks

    kinds, codes = task_types(types), language_codes(languages)
    tasks = [
        task
        for task in local_tasks(data, names or None, all_rows=all_rows)
        if (not kinds or task.type in kinds)
        and (not codes or any(speaks(subset, codes) for subset in task.languages.values()))
    ]
    if not tasks:
        wanted = " and ".join(filter(None, (", ".join(types), ", ".join(languages))))
        raise InputError(f"{data}: has no set of {wanted}. Leave out --type or --language.")
    return tasks


def _check_no_server(name: str | None, key_variable: str | None) -> None:
    """Refuse what is said of a server where none is given."""
    if name is not None:
        raise InputError(
            f"--model {name}: names a server's model and needs --endpoint. For a model of your own write "
            f"yuyi evaluate {name}."
        )
    if key_variable is not None:
        raise InputError(
            f"--key-variable {key_variable}: is for a server's key and needs --endpoint. Leave it out."
        )


def _endpoint(
    url: str, name: str | None, key_variable: str | None, folder: str | None, *, keeps: bool
) -> Encoder:
    from yuyi.evaluate.endpoint import Endpoint
    from yuyi.server import Server

    if folder is not None:
        raise InputError(f"{folder} and --endpoint {url}: give one of the two; --model names the endpoint's.")
    if name is None:
        raise InputError(f"--endpoint {url}: which model? Name it with --model.")
    return Endpoint(Server(base_url=url, model=name, key_variable=key_variable or _KEY_VARIABLE, keeps=keeps))


@contextmanager
def _progress(shown: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A function to call before each task; it moves a bar on standard error, which is gone at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    # The stream is named because scoring redirects standard error while the bar is moving.
    with Progress(*columns, console=Console(file=sys.stderr), transient=True, disable=not shown) as bars:
        bar = bars.add_task("reading", total=None)
        yield lambda name, place, total: bars.update(bar, description=name, completed=place, total=total)


def _report(found: Sequence[Result], ending: str) -> str:
    """The results as JSON, Markdown or a page of HTML."""
    if ending == ".json":
        from yuyi.evaluate.results import to_json

        return to_json(found)
    if ending == ".md":
        from yuyi.evaluate.showing.report import markdown

        return markdown(found)
    from yuyi.evaluate.showing.page import page

    return page(found)


def _print_table(found: Sequence[Result], folder: Path | None, begun: str) -> None:
    """Show the scores, and how many were in the folder of results before the run began."""
    from rich.console import Console

    from yuyi.evaluate.showing.report import table

    console = Console()
    console.print(table(found))
    judged = {(result.model.name, result.model.fingerprint[:12]) for result in found}
    seconds = sum(result.seconds for result in found)
    models = ", ".join(f"{name} · {fingerprint}" for name, fingerprint in sorted(judged))
    console.print(f"{models} · {seconds:.0f} s", style="dim")
    taken = [result for result in found if result.made < begun]
    if folder and taken:
        console.print(f"{_count(taken)} taken from {folder}, {len(found) - len(taken)} scored", style="dim")


def _count(found: Sequence[Result]) -> str:
    return f"{len(found)} result{'s' * (len(found) != 1)}"
