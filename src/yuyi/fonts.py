"""Fonts for charts whose names may be Chinese."""

from __future__ import annotations

# The first of these that is installed draws Chinese names.
_CHINESE = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei"),
    *("Noto Serif CJK SC", "SimHei", "WenQuanYi Micro Hei", "Arial Unicode MS"),
)


def chart_fonts() -> list[str]:
    """Families for matplotlib, those with Chinese that are installed first; it must be installed itself."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return [*(name for name in _CHINESE if name in installed), "DejaVu Sans"]
