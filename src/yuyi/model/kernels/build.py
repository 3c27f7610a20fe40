"""The C++ kernels as a loaded library, compiled once for this processor and kept in the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from ctypes import POINTER, c_float, c_int, c_long, c_void_p
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent
# -ffp-contract lets a product and a sum become one instruction; the others stop promises nobody here needs.
_FLAGS = ("-O3", "-std=c++17", "-ffp-contract=fast", "-fno-math-errno", "-shared", "-fPIC")
_QUIET = ("-Wno-ignored-attributes", "-Wno-psabi")
_COMPILERS = ("g++", "clang++", "c++")
_LONGEST_SECONDS = 120

log = logging.getLogger("yuyi")


class Linear(ctypes.Structure):
    """`struct Linear` of kernels.cpp: a weight matrix packed in panels, and what belongs to it."""

    _fields_ = (
        ("kind", c_int),
        ("inputs", c_int),
        ("outputs", c_int),
        ("activation", c_int),
        ("panels", c_void_p),
        ("bias", c_void_p),
        ("scales", c_void_p),
        ("sums", c_void_p),
        ("smooth", c_void_p),
    )


_LINEAR = POINTER(Linear)
# The arguments of each function of kernels.cpp, in order.
_SIGNATURES = {
    "linear": (_LINEAR, c_long, c_void_p, c_void_p, c_void_p, c_int, c_void_p, c_int),
    "attention": (
        c_int, c_long, c_void_p, c_int, c_int, c_void_p, c_float, c_long, c_void_p, c_int,
    ),
    "norm": (
        c_long, c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_float, c_void_p, _LINEAR, c_void_p,
        c_void_p, c_void_p, c_int,
    ),
    "convert": (
        c_long, _LINEAR, c_int, c_void_p, c_int, c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_int,
    ),
    "embed": (c_long, c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    "rotate": (c_int, c_long, c_int, c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_int),
}  # fmt: skip


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels; None where they cannot be had, with the reason in the log of the name `yuyi`.

    `YUYI_KERNELS=off` does without them; any other value is the processor to compile for, as the compiler's
    `-march` names it. `CXX` names the compiler.
    """
    processor = os.environ.get("YUYI_KERNELS", "native")
    if processor == "off":
        return None
    chosen = os.environ.get("CXX") or next(filter(None, map(shutil.which, _COMPILERS)), "")
    compiler = shlex.split(chosen)
    if not compiler:
        log.warning(
            "no C++ compiler found: encoding runs on torch alone, two to four times slower. Install g++."
        )
        return None
    try:
        loaded = ctypes.CDLL(str(_built(compiler, processor)))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # RuntimeError: nobody's home
        reason = getattr(error, "stderr", None) or error
        log.warning("%s cannot build the kernels, encoding runs on torch alone: %s", chosen, reason)
        return None
    for name, arguments in _SIGNATURES.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = arguments, None
    return loaded


def _built(compiler: list[str], processor: str) -> Path:
    """The shared library for this source, compiler and processor, built if it is not in the cache yet."""
    flags = (*_FLAGS, f"-march={processor}")
    version = subprocess.run([*compiler, "--version"], capture_output=True, check=True, timeout=10).stdout
    sources = (path.read_bytes() for path in sorted(SOURCES.glob("*.[ch]*")))
    parts = (*sources, repr(flags).encode(), version, _features())
    folder = _cache_folder()
    target = folder / f"{hashlib.sha256(b'|'.join(parts)).hexdigest()[:32]}.so"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    log.info("compiling the kernels for this processor, once")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        draft = Path(temporary) / "kernels.so"
        command = [*compiler, *flags, *_QUIET, str(SOURCES / "kernels.cpp"), "-o", str(draft)]
        try:
            _compile([*command, "-fopenmp"])
        except subprocess.CalledProcessError:
            _compile(command)  # A compiler without OpenMP: one text is then encoded by one core.
        draft.replace(target)  # Whole or not at all, whoever else is building it.
    return target


def _compile(command: list[str]) -> None:
    subprocess.run(command, capture_output=True, check=True, text=True, timeout=_LONGEST_SECONDS)


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "yuyi" / "kernels"


def _features() -> bytes:
    """What `-march=native` depends on: this processor's name and features."""
    about = Path("/proc/cpuinfo")
    if not about.exists():
        return platform.processor().encode()
    lines = about.read_bytes().split(b"\n\n")[0].splitlines()
    return b"\n".join(line for line in lines if line.startswith((b"model name", b"flags", b"Features")))
