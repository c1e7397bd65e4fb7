"""The READMEs are true: command blocks run, tables and lists equal what is there, links lead somewhere.

Every fenced bash block is run as it is, in a copy of the project, except those with a comment line before them:
    <!-- needs: network, gpu -->    not run here (the words: NEEDS): it parses, its scripts, flags and variables exist
    <!-- fails: not in the ledger -->    run, and ends with an error that holds these words
"""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import readme_parts
from project import ROOT, InProcess, Project

READMES = ("README.md", "src/README.md", "prompt/README.md", "data/sample/README.md", "tests/bench/README.md")
TEXTS = {name: (ROOT / name).read_text() for name in READMES}
NEEDS = {
    "network": "a download",
    "gpu": "a GPU",
    "key": "a key, and pays",
    "browser": "a browser",
    "data": "data of the reader's, or that do not ship",
    "minutes": "more time than a default test has",
}
GENERATED = re.compile(r"<!-- (\w+): made by .*?<!-- end of \1 -->", re.S)


# ---- command blocks


@dataclass(frozen=True)
class Block:
    file: str
    line: int
    needs: frozenset[str]
    fails: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def blocks(file: str) -> list[Block]:
    found = re.finditer(r"((?:^<!--[^\n]*-->\n)*)^```bash\n(.*?)^```$", TEXTS[file], re.M | re.S)
    return [block(file, match) for match in found]


def block(file: str, match: re.Match[str]) -> Block:
    marks = dict(re.findall(r"<!-- (\w+): (.*?) -->", match[1]))
    needs = frozenset(word.strip() for word in marks.pop("needs", "").split(",") if word)
    fails = marks.pop("fails", "")
    assert needs <= set(NEEDS) and not marks, f"{file}: {needs or marks} is not a mark of a block"
    return Block(file, TEXTS[file][: match.start(2)].count("\n") + 1, needs, fails, match[2])


BLOCKS = [block for file in READMES for block in blocks(file)]
RUN = [block for block in BLOCKS if not block.needs]


def words(block: Block) -> list[list[str]]:
    """The commands of a block, each as its words."""
    return [shlex.split(line, comments=True) for line in block.text.replace("\\\n", " ").split("\n")]


@dataclass
class Reader:
    """Runs the blocks in a project: the root's first block before any other, in real processes, and each block once."""

    project: InProcess
    results: dict[Block, subprocess.CompletedProcess[str]]

    def run(self, block: Block) -> subprocess.CompletedProcess[str]:
        for each in (RUN[0], block):
            if each not in self.results:
                path = f"{Path(sys.executable).parent}:{self.project.environment()['PATH']}"
                run = Project.run if each == RUN[0] else InProcess.run
                self.results[each] = run(self.project, "bash", "-euo", "pipefail", "-c", each.text, PATH=path)
        return self.results[block]


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Reader:
    project = InProcess(tmp_path_factory.mktemp("project"))
    kept_out = shutil.ignore_patterns("__pycache__", "pictures")
    shutil.copytree(ROOT / "tests", project.root / "tests", ignore=kept_out)
    return Reader(project, {})


def test_the_first_block_is_the_first_run():
    assert RUN[0].file == "README.md" and RUN[0].text.startswith("SRC_NAME=sample ./run.sh ")
    assert "ANNOTATOR=rules" in RUN[0].text


@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_block_runs_as_it_is_printed(block, reader):
    result = reader.run(block)
    said = result.stdout + result.stderr
    assert (result.returncode != 0) == bool(block.fails), said[-2000:]
    assert not block.fails or (block.fails in said and "Traceback" not in said)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.needs], ids=str)
def test_a_block_that_is_not_run_is_bash(block):
    result = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_scripts_flags_and_variables_of_a_block_exist(block):
    for command in words(block):
        scripts = [word for word in command if re.fullmatch(r"[\w./-]+\.(py|sh)", word)]
        assert [word for word in scripts if not (ROOT / word).is_file()] == []
        flags = {word for word in command if re.match(r"--\w", word)}
        if scripts and scripts[0] != "./run.sh":
            assert {flag for flag in flags if not has_flag(scripts[0], flag)} == set(), scripts[0]
        elif scripts:
            assert {flag for flag in flags if not any(has_flag(stage, flag) for stage in STAGES)} == set()
        given = {word.partition("=")[0] for word in command if re.match(r"[A-Z_]+=", word)}
        assert given <= set(SETTINGS), "not in the table of settings"


COMMANDS = [f"src/{path.name}" for path in sorted((ROOT / "src").glob("*.py"))]
STAGES = [name for name in COMMANDS if "generate_" not in name and "visualize" not in name]


def has_flag(script: str, flag: str) -> bool:
    return flag in (flags_of(script) if script in COMMANDS else (ROOT / script).read_text())


@cache
def flags_of(command: str) -> frozenset[str]:
    parser = runpy.run_path(str(ROOT / command), run_name="read_by_a_test")["flags"]()
    return frozenset(parser._option_string_actions)


# ---- tables, lists and links


def rows(file: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    section = f"\n{TEXTS[file]}".split(f"\n{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.M)[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.strip().split("\n")[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


SETTINGS = {name: row for row in rows("src/README.md", "## Settings") for name in names(row[0])}
NOT_SET_BY_USERS = {"PYTHONPATH", "BASH_SOURCE", "BASH_VERSION", "VIRTUAL_ENV", "CONDA_PREFIX", "ROOT"}


def shell_scripts() -> list[Path]:
    return [*sorted(ROOT.glob("*.sh")), *sorted((ROOT / "src").glob("*.sh"))]


def test_the_settings_are_those_that_are_read():
    read = {name for path in shell_scripts() for name in re.findall(r"\$\{([A-Z]\w*):?[-=]", path.read_text())}
    for path in (ROOT / "src").rglob("*.py"):
        read |= set(re.findall(r"""environ(?:ment)?(?:\.get\(|\[)["']([A-Z]\w*)""", path.read_text()))
    hidden = {name for name in read if name.startswith(("THREADWEAVER_", "HTTP", "ALL_PROXY"))}
    assert set(SETTINGS) == read - hidden - NOT_SET_BY_USERS


def test_the_defaults_are_those_of_the_scripts():
    text = (ROOT / "src/env.sh").read_text()
    given = re.findall(r'^: "\$\{(\w+):=([^${}]+)\}"', text, re.M)
    assert len(given) > 8
    assert [(name, default) for name, default in given if default not in "|".join(SETTINGS[name])] == []


def test_the_settings_of_the_root_are_in_the_table():
    for cells in rows("README.md", "## Settings"):
        defaults = [default.strip("` ") for default in cells[1].split(",")]
        for name, default in zip(names(cells[0]), defaults, strict=True):
            known = SETTINGS[name][1].strip("`").replace("$DATASET_BASE", SETTINGS["DATASET_BASE"][1].strip("`"))
            assert default == known, name


def test_the_map_the_arrows_and_the_reach_are_those_of_the_code():
    assert TEXTS["src/README.md"] == readme_parts.with_parts(TEXTS["src/README.md"]), "run tests/readme_parts.py"


def test_every_file_under_src_has_its_line_in_the_map():
    shown = re.findall(r"^ +(\S+\.\w+) +\S", readme_parts.map_of_files(), re.M)
    there = (path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert sorted(shown) == sorted(path.name for path in there if path.name not in ("__init__.py", "README.md"))


@pytest.mark.parametrize(
    ("file", "heading", "folder"),
    [("prompt/README.md", "# The prompts", "prompt"), ("data/sample/README.md", "# The sample", "data/sample")],
)
def test_every_file_of_a_folder_is_in_its_table(file, heading, folder):
    there = {path.name + "/" * path.is_dir() for path in (ROOT / folder).iterdir()} - {"README.md"}
    assert {names(row[0])[0] for row in rows(file, heading)} == there


def test_the_columns_that_are_written_are_those_listed(reader):
    from pyarrow.parquet import read_schema

    reader.run(RUN[0])
    rows_file, units_file = (
        next((reader.project.root / "dataset").glob(f"*/{name}_*/*.parquet")) for name in ("sample", "units")
    )
    listed = {name for row in rows("src/README.md", "## Columns of the dataset") for name in names(row[0])}
    assert listed == set(read_schema(rows_file).names)
    units = re.findall(
        r"^\| (`.*?) \|", TEXTS["src/README.md"].split("| column of the units |", 1)[1].split("\n\n")[0], re.M
    )
    assert {name for cell in units for name in names(cell)} == set(read_schema(units_file).names)


def test_the_trajectory_that_is_shown_is_valid():
    from threadweaver.trajectory import markup

    shown = re.search(r"```\n(<Parallel>.*?)\n```", TEXTS["README.md"], re.S)[1]
    assert [markup.canonical(block) for block in markup.parse(shown).blocks] == [shown]


@pytest.mark.parametrize("file", READMES)
def test_links_and_paths_lead_to_files(file):
    text = re.sub(r"```.*?```", "", GENERATED.sub("", TEXTS[file]), flags=re.S)
    here = (ROOT / file).parent
    for link, section in re.findall(r"\]\(([^)#\s]+)(?:#([\w-]+))?\)", text):
        assert link.startswith("https://") or (here / link).exists(), link
        if section:
            headings = re.findall(r"^#+ (.*)", (here / link).read_text(), re.M)
            assert section in [heading.lower().replace(" ", "-") for heading in headings]
    for path in re.findall(r"`([\w.-]+(?:/[\w.-]+)+\.(?:py|sh|txt|md|json|jsonl|parquet))`", text):
        places = (ROOT, here, ROOT / "src/threadweaver")
        assert path.startswith(("chains/", "data/prices")) or any((place / path).is_file() for place in places), path


# ---- how they read

IDIOM = re.compile(
    r"\b(mend(s|ed|ing)?|anew|tells? of|stands? (in|for|behind|beside|before|at)|is no [a-z]+|is not there|goes on"
    r"|takes? in|leans? on|and says so|at first sight|a thread of which)\b"
)
WIDTH = 120


@pytest.mark.parametrize("file", READMES)
def test_the_english_is_plain(file):
    """The generated parts quote docstrings, which are checked at their source."""
    assert [match[0] for match in IDIOM.finditer(GENERATED.sub("", TEXTS[file]))] == []


@pytest.mark.parametrize("file", READMES)
def test_lines_are_short(file):
    text = GENERATED.sub("", TEXTS[file])
    assert [line for line in text.split("\n") if len(line) > WIDTH] == []


def test_the_face_has_150_lines_at_most():
    assert TEXTS["README.md"].count("\n") <= 150
