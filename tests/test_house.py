"""The wings of the house: who may import whom, what a command's --help may load, and what its docstring must say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from project import ROOT

LIBRARY = ROOT / "src" / "threadweaver"
COMMANDS = sorted((ROOT / "src").glob("*.py"), key=lambda path: path.name)

# wing -> the wings it imports, exactly: an arrow that is added or lost is changed here and in src/README.md too. Wings
# import those above them only.
WINGS = {
    "errors": "",
    "cores": "",
    "text": "",
    "files": "errors text",
    "samples": "errors files text",
    "trajectory": "text",
    "independence": "",
    "grading": "cores",
    "outlines": "independence trajectory",
    "corpus": "errors files grading samples text trajectory",
    "ledger": "errors files",
    "client": "corpus errors ledger",
    "annotators": "client corpus errors grading independence outlines samples text trajectory",
    "runs": "cores errors files samples text trajectory",
    "generation": "client corpus errors files grading runs text trajectory",
    "stages": "annotators client corpus errors files generation grading independence ledger outlines runs samples text trajectory",
    "viewer": "corpus errors files grading independence ledger runs samples stages text trajectory",
    "exports": "corpus errors files ledger runs samples trajectory",
}


def wing_of(path: Path) -> str:
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Return every module that a file imports anywhere; `from a import b` gives a.b."""
    package = path.relative_to(ROOT / "src").with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def wings_imported(path: Path) -> set[str]:
    parts = (name.split(".") for name in imports(path))
    return {part[1] for part in parts if part[0] == "threadweaver" and len(part) > 1}


FILES = sorted(path for path in LIBRARY.rglob("*.py") if path != LIBRARY / "__init__.py")


def test_every_wing_is_in_the_table():
    assert {wing_of(path) for path in FILES} == set(WINGS)


def test_arrows_point_up_only():
    order = list(WINGS)
    for wing, imported in WINGS.items():
        assert [other for other in imported.split() if order.index(other) >= order.index(wing)] == [], wing


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_imports_exactly_what_is_drawn(wing):
    files = [path for path in FILES if wing_of(path) == wing]
    assert set().union(*map(wings_imported, files)) - {wing} == set(WINGS[wing].split())


def test_commands_are_imported_by_nobody():
    names = {path.stem for path in COMMANDS}
    for path in [*FILES, *COMMANDS]:
        assert {name.split(".")[0] for name in imports(path)} & names == set(), path.name


def test_the_imports_are_really_read(tmp_path, monkeypatch):
    """No way to import a module escapes the tests above."""
    (tmp_path / "src/threadweaver/inner").mkdir(parents=True)
    path = tmp_path / "src/threadweaver/inner/a.py"
    path.write_text(
        "import threadweaver.one\nfrom threadweaver import two\nfrom threadweaver.three.deep import x\nfrom .. import four\n"
        "from ..five import y\ndef f():\n    from threadweaver import six as s\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert wings_imported(path) == {"one", "two", "three", "four", "five", "six"}


# ---- commands

HEAVY = ("torch", "transformers", "datasets", "openai", "pandas", "sympy", "matplotlib", "genai_prices")
ASKED_FOR_HELP = """
import contextlib, io, runpy, sys
sys.argv = [sys.argv[1], "--help"]
out = io.StringIO()
try:
    with contextlib.redirect_stdout(out):
        runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    print(end.code, len(out.getvalue()), *(name for name in HEAVY if name in sys.modules))
"""


@pytest.fixture(scope="module")
def helped() -> dict[str, str]:
    """Run every command with --help: exit code, length of the text, heavy modules loaded."""
    script = f"HEAVY = {HEAVY!r}\n{ASKED_FOR_HELP}"
    running = {
        path.name: subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            cwd=ROOT / "src",
            env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for path in COMMANDS
    }
    return {name: "".join(process.communicate(timeout=300)) for name, process in running.items()}


@pytest.mark.parametrize("command", [path.name for path in COMMANDS])
def test_help_is_quick(command, helped):
    code, length, *loaded = helped[command].split()
    assert (code, loaded) == ("0", []), helped[command]
    assert int(length) > 500


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_a_docstring_says_what_a_command_reads_and_writes_and_how_it_is_run(path):
    card = ast.get_docstring(ast.parse(path.read_text())) or ""
    for word in ("Reads", "Writes", "Exits", "Example"):
        assert re.search(rf"^{word}\b", card, re.M), f"{word} is missing"
    assert f"src/{path.name}" in card
    assert re.search(r"\bCalls\b", card)


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_the_example_holds_only_flags_that_the_command_has(path):
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(f"command_{path.stem.replace('-', '_')}", path)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    example = module.__doc__.split("Example", 1)[1]
    known = module.flags()._option_string_actions
    given = re.findall(r"(?<=\s)--?[a-zA-Z][\w-]*", example)
    assert given and {flag for flag in given if flag not in known} == set()


# ---- the house rules that a glance can check


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", [*FILES, *COMMANDS], ids=lambda path: path.stem)
def test_files_and_functions_fit_on_a_screen(path):
    assert len(path.read_text().split("\n")) <= 401
    assert {
        node.name: node.end_lineno - node.lineno + 1 for node in functions(path) if node.end_lineno - node.lineno >= 60
    } == {}


def test_everything_is_caught_at_the_worker_boundary_only():
    may = {
        "pool.py",  # what one process raises is raised again in the process that asked
        "runner.py",  # what one sample raises is that sample's failure
        "asynchronous.py",  # the same, of samples that wait for replies
        "indexing.py",  # what one thread raises is raised again in the thread that asked
        "writer.py",  # the same: an error that ended the ledger's thread would leave every asker waiting
    }
    catching = set()
    for path in [*FILES, *COMMANDS]:
        for node in ast.walk(ast.parse(path.read_text())):
            broad = isinstance(node, ast.ExceptHandler) and (
                node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
            )
            last = node.body[-1] if broad else None
            if broad and not (
                isinstance(last, ast.Raise) and last.exc is None
            ):  # a raise on some way only still catches
                catching.add(path.name)
    assert catching - may == set()
