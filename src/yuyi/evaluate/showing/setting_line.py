"""On one line how scores were made: all of it for a report, and for the terminal what no heading tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yuyi.evaluate.comparing.columns import Column
    from yuyi.evaluate.comparing.sheet import Sheet
    from yuyi.evaluate.results import Setting


def setting_line(column: Column) -> str:
    """Model, setting, version of mteb and day of a column of results."""
    first, told = column.first, _unusual(column)
    setting = first.setting
    told = {
        "dimension": f"{setting.dim} dimensions",
        "number type": setting.dtype,
        "longest text": "texts of any length",
        **told,
    }
    mteb = first.versions.get("mteb")
    made = max(result.made for result in column.results.values())[:10]
    parts = [first.model.name, first.model.fingerprint[:12], *told.values(), mteb and f"mteb {mteb}", made]
    return " · ".join(filter(None, parts))


def shared_settings(sheet: Sheet) -> str:
    """What all columns of results have in common and no heading tells; empty where it is the usual."""
    columns = [_unusual(column).items() for column in sheet.columns if column.results]
    return " · ".join(
        text
        for heading, text in (columns[0] if columns else ())
        if heading not in sheet.headings and all((heading, text) in told for told in columns)
    )


def said_prompts(setting: Setting) -> str:
    """What was put before texts, by role; empty for nothing."""
    return "; ".join(f"{role or 'text'}: {text}" for role, text in setting.prompts.items() if text)


def _unusual(column: Column) -> Mapping[str, str]:
    """What of a setting is not as it mostly is, under the headings that columns have for it."""
    model, setting = column.first.model, column.first.setting
    told = {}
    if setting.dim != model.dim:
        told["dimension"] = f"{setting.dim} of {model.dim} dimensions"
    if setting.max_length is not None:
        told["longest text"] = f"texts of up to {setting.max_length:,} tokens"
    if setting.overflow != "cut":
        told["overflow"] = f"longer texts: {setting.overflow}"
    if prompts := said_prompts(setting):
        told["prompts"] = f"prompts “{' '.join(prompts.split())}”"
    if not setting.normalize:
        told["vectors"] = "raw vectors"
    return told
