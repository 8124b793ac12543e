"""Descriptions of publications, as execution scripts hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bundler.node.description import Publication, TargetDescription

# An environment whose cache is nowhere.
NOWHERE = {"UV_CACHE_DIR": "/nowhere"}


def target(
    system: str = "Linux",
    machine: str = "x86_64",
    libc: Any = ("glibc", 2, 28),
    python: str = "3.12",
) -> TargetDescription:
    folder = f"targets/{python}-{system}"
    return {
        "folder": folder,
        "folders": {"solve.py": f"{folder}/solve"},
        "python": python,
        "system": system,
        "machine": machine,
        "libc": libc,
        "locks": {},
        "uv": None,
        "interpreter": None,
        "archives": {},
    }


def publication(
    *targets: TargetDescription, scripts: tuple[str, ...] = ("solve.py",)
) -> Publication:
    return {
        "path": "/share/publications/solve",
        "base": "/share/publications/solve",
        "strategy": "index",
        "approved": None,
        "gc": "",
        "scripts": dict.fromkeys(scripts, ""),
        "targets": targets,
    }
