"""One model in several forms, each compared with it before any of them is published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from yuyi.artifacts import publish_folder
from yuyi.errors import InputError
from yuyi.export.base import write_base
from yuyi.export.browser import write_browser
from yuyi.export.card import write_card
from yuyi.export.distilling.distil import check_corpus
from yuyi.export.javascript.run import find_runtimes
from yuyi.export.onnx_forms import told_limits, write_float32
from yuyi.export.quantizing.forms import write_half, write_int8
from yuyi.export.quantizing.texts import calibration_texts
from yuyi.export.source import Source, open_source
from yuyi.export.static_forms import check_static, write_folder, write_static_form
from yuyi.export.verifying.gate import check_gate
from yuyi.export.verifying.trial import read_trial
from yuyi.export.verifying.verify import verify
from yuyi.extras import require
from yuyi.parity import PARITY, write_parity

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from yuyi.export.form import Form, Target
    from yuyi.export.settings import ExportSettings
    from yuyi.parity import Parity

_WRITERS: dict[Target, Callable[[Path, Source, ExportSettings], Form]] = {
    "onnx": write_float32,
    "onnx-int8": write_int8,
    "onnx-fp16": write_half,
    "browser": write_browser,
    "static": write_static_form,
    "folder": write_folder,
}


def export(
    name_or_folder: str | os.PathLike[str] | None,
    out: Path,
    settings: ExportSettings,
    *,
    force: bool = False,
) -> Parity:
    """What each form costs, measured; `out` holds all of them then, or is as it was.

    Args:
        name_or_folder: the model, as `yuyi.load` takes it; None for the embedded one.
        out: a folder that is empty or not there.
        settings: which forms, and how.
        force: replace what an earlier export left in `out`.

    Raises:
        InputError: `out` holds something else, the model or a file of texts; such a file cannot be used; or
            the disk is full.
        ModelError: the model cannot be opened, or a form is too far from it; the message holds the texts that
            suffer most.
        MissingExtra: a package is not installed.
    """
    require("export")
    _check_place(out, settings, force)
    trial = read_trial(settings)
    calibration_texts(settings.calibration)
    check_corpus(settings.distilling)
    find_runtimes(settings.javascript)
    source = open_source(name_or_folder, settings.smaller, pooling=settings.pooling)
    if _lies_in(source.reference.folder, out.resolve()):
        raise InputError(f"{out}: the model itself is in it, and would be lost. Choose another folder.")
    check_static(source, settings)
    with publish_folder(out) as folder:
        write_base(folder, source, settings.targets)
        written = (_WRITERS[target](folder, source, settings) for target in settings.written)
        forms = [told_limits(form, source) for form in written]
        parity = verify(folder, source, forms, trial, settings)
        check_gate(parity)
        write_parity(folder, parity)
        write_card(folder, out.resolve().name, str(name_or_folder or ""), source, forms, parity)
    return parity


def _check_place(out: Path, settings: ExportSettings, force: bool) -> None:
    """Return when nothing is lost by writing a folder there; where the model lies is not looked at."""
    if out.is_symlink():
        raise InputError(f"{out}: is a link, to {out.resolve()}. Name the folder itself, or another.")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is no folder. Choose another place.")
    place = out.resolve()
    if _lies_in(Path.cwd(), place):
        raise InputError(f"{out}: the folder you are in cannot be replaced. Choose another folder.")
    inputs = (
        settings.calibration, settings.passages, settings.sts, settings.smaller.corpus,
        settings.distilling.corpus, settings.javascript,
    )  # fmt: skip
    if lost := [path for path in inputs if path is not None and _lies_in(path, place)]:
        raise InputError(f"{out}: {lost[0]} is in it, and would be lost. Choose another folder.")
    if not out.exists() or not any(out.iterdir()):
        return
    if not force:
        raise InputError(f"{out}: there is something already. Choose another folder, or add --force.")
    if not (out / PARITY).is_file():
        raise InputError(
            f"{out}: what is there is from no export, for it has no {PARITY}. Choose another folder, or "
            "remove it yourself."
        )


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether `folder`, which is resolved, is or holds what is at `path`, or the link that is."""
    return path.resolve().is_relative_to(folder) or path.absolute().is_relative_to(folder)
