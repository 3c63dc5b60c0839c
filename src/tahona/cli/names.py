"""The command `tahona names check`."""

from __future__ import annotations

import typer

from tahona.cli.options import HERE, Folder, Json


def check(directory: Folder = HERE, json: Json = False) -> None:
    """Check the names of data files, figures, notebooks and exported models below the folder."""
    from tahona.cli.terminal import out, print_json
    from tahona.core.naming import check_names

    skipped = {".git", ".venv", ".tahona", "node_modules", "__pycache__"}
    files = [
        path.relative_to(directory)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not skipped & set(path.relative_to(directory).parts)
    ]
    wrong = check_names(files)
    if json:
        print_json({"checked": len(files), "wrong": {str(path): reason for path, reason in wrong.items()}})
    else:
        for path, reason in wrong.items():
            out().print(f"{path}: {reason}", markup=False)
        out().print(f"{len(files)} files checked, {len(wrong)} with a wrong name", markup=False)
    if wrong:
        raise typer.Exit(2)
