"""The user's own functions: found, checked, and called so that a mistake in them is told as theirs.

Their modules are imported from the project's folder (and its `src`) in a space of their own: nothing is added to
`sys.path`, and two projects in one process may both have a module `cleaning`. Bytecode is neither read nor written, so
that what runs is what the digest saw.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from tahona.core.spelling import did_you_mean
from tahona.errors import DataError, ProjectError, TahonaError
from tahona.project.imports import digest_modules, module_file, parse_module, project_modules, search_folders
from tahona.project.problems import sentence

if TYPE_CHECKING:
    import pandas as pd

    from tahona.project.model import Project

_SHAPE = "write def {name}(frame): … and return a DataFrame"
_IMPORTING = threading.RLock()


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A function of the project, DataFrame → DataFrame. Its module is imported when it is first called."""

    name: str
    """As in the project file: ``module:function``."""
    where: str
    """``file:line`` of the project file's key."""
    space: ModuleSpace
    target: str
    declared: frozenset[str]
    """Columns that the project file names, which a function may not lose."""

    @property
    def module(self) -> str:
        return self.name.partition(":")[0]

    @property
    def attribute(self) -> str:
        return self.name.partition(":")[2]


class ModuleSpace:
    """The modules of one project: imported once, visible in `sys.modules` only while they run."""

    def __init__(self, root: Path, files: Mapping[str, Path]) -> None:
        self.root = root
        self.files = files
        self.tops = frozenset(name.partition(".")[0] for name in files)
        self.modules: dict[str, ModuleType] = {}

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to another process without the modules, which are imported anew there."""
        return (ModuleSpace, (self.root, self.files))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make the project's modules importable, and what stood in their place afterwards."""
        finder = _ProjectFinder(self.root, self.tops)
        with _IMPORTING:
            importlib.invalidate_caches()
            hidden = self._take_out()
            sys.modules.update(self.modules)
            sys.meta_path.insert(0, finder)
            try:
                with redirect_stdout(sys.stderr):  # a user's print must not break the one document of --json
                    yield
            finally:
                sys.meta_path.remove(finder)
                self.modules = self._take_out()
                sys.modules.update(hidden)

    def _take_out(self) -> dict[str, ModuleType]:
        names = [name for name in sys.modules if name.partition(".")[0] in self.tops]
        return {name: sys.modules.pop(name) for name in names}


class _ProjectFinder:
    """Finds the project's modules in its folders, before anything installed."""

    def __init__(self, root: Path, tops: frozenset[str]) -> None:
        self.folders = [str(folder) for folder in search_folders(root)]
        self.tops = tops

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] not in self.tops:
            return None
        spec = PathFinder.find_spec(name, self.folders if path is None else path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _FreshLoader(spec.loader.name, spec.loader.path)
        return spec


class _FreshLoader(SourceFileLoader):
    """Compiles the source as it stands: a stale `.pyc` would run code that the digest did not see."""

    def get_code(self, fullname: str) -> CodeType | None:
        file = self.get_filename(fullname)
        return self.source_to_code(self.get_data(file), file)


def load_functions(project: Project) -> tuple[UserFunction, ...]:
    """Find the functions of ``data.clean`` and check their signatures; run no user code where a plain `def` is found.

    Raise ProjectError, with the key's ``file:line``, for a module or function that is missing or of another shape.
    """
    root = project.root.resolve()
    declared = frozenset(
        name
        for name in (*project.data.types, *project.data.formats, project.split.by, *project.audit.slices)
        if name is not None
    )
    places = {name: project.place("data", "clean", number) for number, name in enumerate(project.data.clean)}
    files: dict[str, Path] = {}
    for name, where in places.items():
        module = name.partition(":")[0]
        if module_file(root, module) is None:
            raise _no_module(root, name, where)
        files |= project_modules(root, module)
    space = ModuleSpace(root, files)
    functions = tuple(
        UserFunction(name, places[name], space, project.project.target, declared) for name in project.data.clean
    )
    for function in functions:
        _check_signature(function)
    return functions


def _no_module(root: Path, name: str, where: str) -> ProjectError:
    module = name.partition(":")[0]
    known = {
        ".".join(file.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        for folder in search_folders(root)
        for file in (*folder.glob("*.py"), *folder.glob("[!.]*/*.py"))
    }
    fix = did_you_mean(module, sorted(known)) or f"write it as {module.replace('.', '/')}.py in the project's folder"
    return ProjectError(f"data.clean: the project has no module '{module}'", where=where, fix=sentence(fix))


def _check_signature(function: UserFunction) -> None:
    file = module_file(function.space.root, function.module)
    definition = _plain_definition(parse_module(file), function.attribute) if file else None
    if definition is not None:
        arguments = definition.args
        positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
        keywords = sum(default is None for default in arguments.kw_defaults)
    else:
        positional, keywords = _required(function, _resolve(function))
    if positional != 1 or keywords:
        takes = f"{positional} positional and {keywords} keyword-only" if keywords else str(positional)
        raise ProjectError(
            f"data.clean: '{function.name}' needs {takes} arguments; it is called with one, the DataFrame",
            where=function.where,
            fix=sentence(_SHAPE.format(name=function.attribute)),
        )


def _plain_definition(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    """Return the function's definition where the source alone tells what it is: one undecorated top-level `def`."""
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    if len(found) != 1 or found[0].decorator_list:
        return None
    others = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name)
    return None if any(isinstance(node.ctx, ast.Store | ast.Del) for node in others) else found[0]


def _required(function: UserFunction, target: Callable[..., Any]) -> tuple[int, int]:
    """Return how many positional and keyword-only arguments the callable needs."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        raise ProjectError(
            f"data.clean: '{function.name}' does not say what it takes",
            where=function.where,
            fix=sentence(_SHAPE.format(name=function.attribute)),
        ) from None
    needed = [parameter for parameter in parameters if parameter.default is parameter.empty]
    positional = sum(item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD) for item in needed)
    return positional, sum(item.kind is item.KEYWORD_ONLY for item in needed)


def _resolve(function: UserFunction) -> Callable[..., Any]:
    """Import the function's module and return the function."""
    with function.space.entered():
        try:
            module = importlib.import_module(function.module)
        except (Exception, SystemExit) as error:
            if isinstance(error, TahonaError):
                raise
            place = _place_in_project(error, function.space) or function.where
            missing = f" ('{error.name}')" if isinstance(error, ModuleNotFoundError) else ""
            raise ProjectError(
                f"data.clean: importing '{function.module}' raised {type(error).__name__}{missing}",
                where=place,
                fix=f"Install it, or mend the module; import {function.module} in Python shows more."
                if missing
                else f"Mend the module; import {function.module} in Python shows more.",
            ) from error
    target = getattr(module, function.attribute, None)
    if callable(target):
        return target  # type: ignore[no-any-return]
    says = (
        f"has no function '{function.attribute}'" if target is None else f"has '{function.attribute}', not a function"
    )
    names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    fix = did_you_mean(function.attribute, names) or _SHAPE.format(name=function.attribute)
    raise ProjectError(f"data.clean: the module '{function.module}' {says}", where=function.where, fix=sentence(fix))


def apply(function: UserFunction, frame: pd.DataFrame) -> pd.DataFrame:
    """Call the function on a copy of the table and return what it gives.

    Raise DataError when it raises, or gives anything but a table with the label and the declared columns still there
    and no new infinity in it. No message holds a cell.
    """
    target = _resolve(function)
    with function.space.entered():
        try:
            result = target(frame.copy(deep=False))  # copy-on-write: the caller's table stays as it is
        except (Exception, SystemExit) as error:
            if isinstance(error, TahonaError):
                raise
            place = _place_in_project(error, function.space) or function.where
            raise DataError(
                f"the function '{function.name}' raised {type(error).__name__}",
                where=place,
                fix="Mend it; its own message is not repeated here because it may hold data.",
            ) from None
    _check_result(function, frame, result)
    return result  # type: ignore[no-any-return]


def _check_result(function: UserFunction, before: pd.DataFrame, result: object) -> None:
    import pandas as pd

    def wrong(says: str, fix: str) -> DataError:
        return DataError(f"the function '{function.name}' {says}", where=function.where, fix=fix)

    if result is None:
        raise wrong("returned nothing", "End it with: return frame.")
    if not isinstance(result, pd.DataFrame):
        raise wrong(f"returned {type(result).__name__}, not a DataFrame", "End it with: return frame.")
    if not all(isinstance(name, str) for name in result.columns):
        raise wrong("returned columns whose names are not text", "Name every column.")
    twice = sorted(set(result.columns[result.columns.duplicated()]))
    if twice:
        raise wrong(f"returned the column '{twice[0]}' more than once", "Keep one of them.")
    had = set(before.columns)
    if function.target in had and function.target not in result.columns:
        raise wrong(f"dropped the label column '{function.target}'", "Keep it.")
    lost = sorted((function.declared & had) - set(result.columns))
    if lost:
        names = ", ".join(f"'{name}'" for name in lost)
        raise wrong(f"dropped {names}, which the project file names", "Keep the columns, or take them out of the file.")
    if len(before) and not len(result):
        raise wrong("returned no rows", "Look at the condition by which it keeps rows.")
    for name in result.columns:
        new = _infinities(result[name]) - (_infinities(before[name]) if name in had else 0)
        if new > 0:
            raise wrong(
                f"put infinity into {new} rows of '{name}'", "A division by zero? Use NaN where there is no value."
            )


def _infinities(column: pd.Series) -> int:
    import numpy as np
    import pandas as pd

    if not pd.api.types.is_float_dtype(column.dtype):
        return 0
    return int(np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).sum())


def _place_in_project(error: BaseException, space: ModuleSpace) -> str:
    """Return ``file:line`` of the innermost frame that is the user's own code."""
    files = {str(file) for file in space.files.values()}
    own = [(code.f_code.co_filename, line) for code, line in traceback.walk_tb(error.__traceback__)]
    own = [(file, line) for file, line in own if file in files]
    return f"{own[-1][0]}:{own[-1][1]}" if own else ""


def source_digest(functions: Sequence[UserFunction]) -> str:
    """Return a sha256 of the functions' names, and of the source of every project module that they run on."""
    total = hashlib.sha256()
    for function in functions:
        modules = project_modules(function.space.root, function.module)
        total.update(f"{function.name}\0{digest_modules(function.space.root, modules)}\n".encode())
    return total.hexdigest()
