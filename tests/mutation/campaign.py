"""Mutation testing of what decides (`make mutation`): faults are put into the code one by one, a test has to notice.

Works in copies of the tree, two at a time; what it finds stays in `build/mutation`. Only some modules may be named,
`make mutation MODULES="decision law/pack"`; the report is on all that were tried so far. See docs/mutation.md.
"""

from __future__ import annotations

import ast
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutation"
COSMIC_RAY = BUILD / "venv" / "bin" / "cosmic-ray"
PYTHON = ROOT / ".venv" / "bin" / "python"
TREES = 2
SECONDS = 180
"""For all tests; a fault that makes them hang counts as noticed."""

MODULES: Mapping[str, Sequence[str]] = {
    "decision": ("decision_scenarios", "decision", "answers", "judgement"),
    "answers": ("decision_scenarios", "answers", "decision", "judgement"),
    "judgement": ("decision_scenarios", "judgement", "decision", "answers"),
    "ruling": ("ruling", "decision"),
    "consent": ("consent", "answers", "decision_scenarios"),
    "facts": ("facts", "decision_scenarios"),
    "terms": ("decision", "decision_scenarios", "answers"),
    "law/pack": ("decision_scenarios", "decision"),
    "law/rule": ("decision_scenarios", "judgement", "decision"),
    "law/composition": ("decision_scenarios", "decision"),
    "law/loading": ("decision_scenarios", "decision"),
    "law/misfits": ("decision_scenarios",),
    "law/shelf": ("decision_scenarios",),
    "law/document": ("decision_scenarios",),
}
"""The tests that notice most, first: without plugins they start in half the time. Then the others."""
ALL_TESTS = ("facts", "consent", "judgement", "answers", "decision", "decision_scenarios", "ruling", "law")
PROPERTIES = "decision_properties"
"""The slowest, last."""

_NOT_MADE = re.compile(
    # of eleven other operators only the opposite one: the rest fail alike, and would only raise the score
    r"core/ReplaceBinaryOperator_(?!Add_Sub|Sub_Add|Mul_Add|Div_Mul|FloorDiv_Mul|LShift_RShift|BitOr_BitAnd|BitAnd_BitOr)"
    # `is` stands before None and members of enums only, where `==` says the same and `<` fails
    r"|core/ReplaceComparisonOperator_(?!Is_IsNot$|IsNot_Is$)(?:Is_|IsNot_|\w+_(?:Is|IsNot)$)"
)

Span = tuple[tuple[int, int], tuple[int, int]]
"""Line and column of a beginning, and of the end."""


@dataclass(frozen=True, slots=True)
class Fault:
    line: int
    operator: str
    noticed: bool
    diff: str
    """What was changed: the lines that begin with `-` and `+`."""


def main(names: Sequence[str]) -> None:
    trees: SimpleQueue[Path] = SimpleQueue()
    for number in range(TREES):
        trees.put(copy_of_tree(BUILD / f"tree-{number}"))
    with ThreadPoolExecutor(TREES) as pool:
        for _ in pool.map(lambda name: in_turn(name, trees), names):
            pass
    tried = {name: session for name in MODULES if (session := _file(name, "sqlite")).exists()}
    print(*report({name: results(session) for name, session in tried.items()}), sep="\n")  # noqa: T201


def copy_of_tree(to: Path) -> Path:
    """What is in the repository, or could be: the faults are written into files."""
    shutil.rmtree(to, ignore_errors=True)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


def in_turn(name: str, trees: SimpleQueue[Path]) -> None:
    tree = trees.get()
    try:
        try_all(name, tree)
    finally:
        trees.put(tree)


def try_all(name: str, tree: Path) -> None:
    """Every fault in one module of `sluice`. Raises CalledProcessError if tests fail without one."""
    config, session, begun = _file(name, "toml"), _file(name, "sqlite"), _file(name, "begun")
    begun.unlink(missing_ok=True)
    command = tests(name)
    subprocess.run(command, shell=True, cwd=tree, check=True, stdout=subprocess.DEVNULL)  # noqa: S602 - our own words
    config.write_text(
        f'[cosmic-ray]\nmodule-path = "sluice/{name}.py"\ntimeout = {SECONDS}\nexcluded-modules = []\n'
        f"test-command = '''sh -c \"{command}\"'''\n[cosmic-ray.distributor]\nname = \"local\"\n",
        encoding="utf-8",
    )
    subprocess.run([COSMIC_RAY, "init", config, begun], cwd=tree, check=True)
    leave_out(begun, tree / "sluice" / f"{name}.py")
    subprocess.run([COSMIC_RAY, "exec", config, begun], cwd=tree, check=True)
    begun.replace(session)


def tests(name: str) -> str:
    """The shell's command: those that notice most, then the others. `CI`: Hypothesis takes the same examples always."""
    plain = "-p no:cacheprovider --noconftest -o addopts=--import-mode=importlib -o filterwarnings= "
    quickly = f"CI=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {PYTHON} -m pytest -qx {plain}{files(MODULES[name])}"
    others = [one for one in (*ALL_TESTS, PROPERTIES) if one not in MODULES[name]]
    return f"{quickly} && CI=1 {PYTHON} -m pytest -qx {files(others)}"


def files(names: Sequence[str]) -> str:
    return " ".join(f"tests/unit/test_{name}.py" for name in names)


def _file(name: str, ending: str) -> Path:
    return BUILD / f"{name.replace('/', '-')}.{ending}"


# --- which faults are made


def leave_out(session: Path, module: Path) -> None:
    """Takes out of a session what is not made, and what stands where no answer hangs on it."""
    idle = list(_idle(ast.parse(module.read_text(encoding="utf-8"))))
    with closing(sqlite3.connect(session)) as base, base:
        planned = base.execute("SELECT job_id, operator_name, start_pos_row, start_pos_col FROM mutation_specs")
        for job, operator, *place in planned.fetchall():
            if _NOT_MADE.match(operator) or any(start <= tuple(place) < end for start, end in idle):
                base.execute("DELETE FROM mutation_specs WHERE job_id = ?", (job,))
                base.execute("DELETE FROM work_items WHERE job_id = ?", (job,))


def _idle(tree: ast.Module) -> Iterator[Span]:
    for node in ast.walk(tree):
        for one in _parts(node):
            if one is not None and one.end_lineno is not None and one.end_col_offset is not None:
                yield (one.lineno, one.col_offset), (one.end_lineno, one.end_col_offset)


def _parts(node: ast.AST) -> list[ast.expr | None]:
    """Annotations, how values are stored (`frozen=True, slots=True`), and how many answers a cache keeps."""
    match node:
        case ast.arg(annotation=annotation) | ast.AnnAssign(annotation=annotation):
            return [annotation]
        case ast.FunctionDef(returns=returns, decorator_list=decorators):
            return [returns, *(arg for one in decorators if isinstance(one, ast.Call) for arg in one.args)]
        case ast.ClassDef(keywords=keywords, decorator_list=decorators):
            called = [one.keywords for one in decorators if isinstance(one, ast.Call)]
            return [word.value for words in (keywords, *called) for word in words if word.arg != "eq"]
    return []


# --- what came of them


def results(session: Path) -> list[Fault]:
    """Raises LookupError for a fault that was not tried."""
    asked = (
        "SELECT start_pos_row, operator_name, test_outcome, diff FROM mutation_specs"
        " LEFT JOIN work_results USING (job_id) ORDER BY start_pos_row, start_pos_col, operator_name"
    )
    with closing(sqlite3.connect(session)) as base:
        rows = base.execute(asked).fetchall()
    if any(outcome not in {"KILLED", "SURVIVED"} for _, _, outcome, _ in rows):
        raise LookupError(f"{session}: some faults were not tried.")
    return [
        Fault(line, operator.removeprefix("core/"), outcome == "KILLED", _changed(diff))
        for line, operator, outcome, diff in rows
    ]


def report(found: Mapping[str, Sequence[Fault]]) -> Iterator[str]:
    """A table by module, then every fault that no test noticed."""
    yield "| module | faults | noticed | not noticed | score |\n|---|---|---|---|---|"
    for name, made in found.items():
        yield _row(f"`sluice/{name}.py`", made)
    yield _row("all", [one for made in found.values() for one in made])
    for name, made in found.items():
        yield from (f"\nsluice/{name}.py:{one.line} {one.operator}\n{one.diff}" for one in made if not one.noticed)


def _row(title: str, made: Sequence[Fault]) -> str:
    noticed = sum(one.noticed for one in made)
    share = f"{noticed / len(made):.1%}" if made else "-"
    return f"| {title} | {len(made)} | {noticed} | {len(made) - noticed} | {share} |"


def _changed(diff: str) -> str:
    return "\n".join(line for line in diff.splitlines() if re.match(r"[-+](?![-+])", line))


if __name__ == "__main__":
    main(sys.argv[1:] or list(MODULES))
