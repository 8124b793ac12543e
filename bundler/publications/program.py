"""Join modules of `bundler.node` into programs of one file each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

# In the order of their imports; the docstring of the last one becomes that of the program.
JOB = (
    *(
        "errors",
        "log",
        "facts",
        "share",
        "locks",
        "cache",
        "unpacking",
        "tools",
        "scripts",
        "context",
        "task",
    ),
    "running",
    *("command", "preparing", "cleaning", "job"),
)
# To run a script by hand.
DIRECT = (*(name for name in JOB if name not in ("context", "running", "job")), "ready", "direct")
# To run a row of a table of jobs on a node of a batch system.
BATCH = (*JOB[:-1], "ready", "batch")
PROBE = ("facts", "probing")
COLLECTOR = ("garbage",)


@cache
def join(modules: tuple[str, ...]) -> str:
    """Return the source of the program that consists of `modules` of `bundler.node`.

    Names stay as they are, so two modules must not define the same name.
    """
    imports: set[str] = set()
    parts: list[str] = []
    docstring = ""
    for name in modules:
        source = files("bundler").joinpath(f"node/{name}.py").read_text(encoding="utf-8")
        tree = ast.parse(source)
        docstring = ast.get_source_segment(source, tree.body[0]) or ""
        imports.update(_imports(tree))
        parts += _definitions(source, tree)
    plain = sorted(line for line in imports if line.startswith("import "))
    named = sorted(imports - set(plain))
    first = [
        docstring,
        "from __future__ import annotations",
        "\n".join(plain),
        *(["\n".join(named)] if named else []),
    ]
    return "\n\n".join(first) + "\n\n" + "\n\n\n".join(parts) + "\n"


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yield the imports of a module that are available on nodes."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(
            ("bundler.", "__future__")
        ):
            names = [alias.name for alias in node.names if alias.name != "TYPE_CHECKING"]
            if names:
                yield f"from {node.module} import {', '.join(names)}"


def _definitions(source: str, tree: ast.Module) -> Iterator[str]:
    """Yield the statements of a module, with their comments, except for docstring, imports and type checking."""
    lines = source.splitlines()
    before = 0
    for number, node in enumerate(tree.body):
        segment = "\n".join(lines[before : node.end_lineno]).strip("\n")
        before = node.end_lineno or before
        for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        exported = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        if number and not (isinstance(node, (ast.Import, ast.ImportFrom)) or for_types or exported):
            yield segment
