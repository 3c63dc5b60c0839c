"""Which of the project's own modules a module imports, and a digest of them all.

A user function's result depends on every helper it imports, so a change in a helper two imports away must run its step
anew. Imports are read from the source, not by running it: `import`, `from … import`, relative ones, those inside a
function, and `importlib.import_module("name")` with a literal name. Installed packages are not looked into; their
versions count elsewhere.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tahona.errors import ProjectError


def search_folders(root: Path) -> tuple[Path, ...]:
    """Return where the project's modules may stand: its folder, and `src` in it."""
    return tuple(folder for folder in (root, root / "src") if folder.is_dir())


def module_file(root: Path, module: str) -> Path | None:
    """Return the source file of one of the project's modules (a package's `__init__.py`), None if there is none."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == "tahona":
        return None
    for folder in search_folders(root):
        place = folder.joinpath(*module.split("."))
        for file in (place / "__init__.py", place.with_name(place.name + ".py")):
            if file.is_file():
                return file
    return None


def project_modules(root: Path, module: str) -> dict[str, Path]:
    """Return the module and every project module it imports, directly or not: name → file, sorted by name.

    Raise ProjectError for a file among them that is not Python.
    """
    found: dict[str, Path] = {}
    waiting = list(_with_packages(module))
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        file = module_file(root, name)
        if file is not None:
            found[name] = file
            waiting += _imported(parse_module(file), name, file, root)
    return dict(sorted(found.items()))


def parse_module(file: Path) -> ast.Module:
    """Return the module's syntax tree. Raise ProjectError when it is not Python."""
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except SyntaxError as error:
        place = f"{file}:{error.lineno or 1}"
        raise ProjectError("a module of the project is not Python", where=place, fix=f"{error.msg}.") from None
    except (ValueError, RecursionError):
        raise ProjectError(
            "a module of the project is not Python", where=str(file), fix="Open it in an editor."
        ) from None


def digest_modules(root: Path, modules: Mapping[str, Path]) -> str:
    """Return a sha256 over names and contents. Where the project's folder stands makes no difference."""
    total = hashlib.sha256()
    for name, file in sorted(modules.items()):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{name}\0{file.relative_to(root).as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def _imported(tree: ast.Module, name: str, file: Path, root: Path) -> Iterator[str]:
    """Yield the names that may be project modules among a module's imports."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield from _with_packages(base)
            for alias in node.names:
                yield from _submodules(root, base) if alias.name == "*" else (_joined(base, alias.name),)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                dots = len(first.value) - len(first.value.lstrip("."))
                yield from _with_packages(_climb(package, dots, first.value[dots:]))


def _called(node: ast.Call) -> str:
    function = node.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _absolute(node: ast.ImportFrom, package: str) -> str:
    return _climb(package, node.level, node.module or "")


def _climb(package: str, dots: int, module: str) -> str:
    """Return the absolute name of a module that is written relative to a package."""
    if not dots:
        return module
    parts = package.split(".") if package else []
    return _joined(".".join(parts[: len(parts) - (dots - 1)]), module)


def _joined(base: str, name: str) -> str:
    return f"{base}.{name}" if base and name else base or name


def _with_packages(module: str) -> Iterator[str]:
    """Yield `a`, `a.b`, `a.b.c`: importing the last runs them all."""
    parts = module.split(".") if module else []
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def _submodules(root: Path, package: str) -> Iterator[str]:
    for folder in search_folders(root):
        for file in sorted(folder.joinpath(*package.split(".")).glob("*.py")) if package else ():
            yield f"{package}.{file.stem}"
