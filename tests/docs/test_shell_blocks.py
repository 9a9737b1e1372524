"""Commands of the documentation: every command, option and value is one that its program takes.

Nothing is run but the examples with their output (``console``): a command is given to the parser that it
would meet, ``planner``'s own or the ``argparse`` of a script.
"""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from doc_pages import ALL, COMMANDS, PAGES, ROOT, Block, spans_of
from typer.main import get_command
from typer.testing import CliRunner

from planner.cli.main import app
from planner.server.settings import ServeSettings

#: programs that are not ours: what they take is their business
FOREIGN = {"podman", "ray", "vllm", "export", "."}
#: options of other programs that pages speak of
OTHERS = {
    "README": {"--extra-index-url"},
    "migration": {"--api-key", "--best-of-n", "--optillm-api-key", "--strong-model", "--weak-model"},
    "models": {"--enable-prompt-tokens-details", "--max-logprobs", "--max-model-len"},
    "thinking": {"--enable-strict-thinking"},
    "vllm": {"--logprobs-mode", "--no-enable-chunked-prefill"},
}
SHELL = [block for block in ALL if block.language == "sh" and block.page != COMMANDS]
#: variables of our own, beside those of the settings of ``planner serve``
VARIABLES = {
    *("PLANNER_DATA", "PLANNER_PLUGINS", "PLANNER_API_KEY", "PLANNER_REQUIRE_VLLM"),
    *(f"PLANNER_SERVE_{name.upper()}" for name in ServeSettings.model_fields),
}
PLANNER: Any = get_command(app)


@dataclass(frozen=True)
class Command:
    """One command of a block: where it stands, its variables, and its words."""

    where: str
    variables: tuple[str, ...]
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where} {' '.join(self.words[:3])}"

    @property
    def program(self) -> str:
        return Path(self.words[0]).name


def commands_of(block: Block) -> list[Command]:
    """The commands of a block; ``&&`` parts them, and a backslash or a deeper indent continues one."""
    found = []
    text = re.sub(r"\\\n\s*", " ", block.code)
    for line in text.splitlines():
        for part in line.split(" && "):
            words = [word for word in shlex.split(part, comments=True) if word != "..."]
            variables: list[str] = []
            while words and re.match(r"[A-Z_]+=", words[0]):
                variables.append(words.pop(0).partition("=")[0])
            if words:
                found.append(Command(str(block), tuple(variables), tuple(words)))
    return found


EVERY = [command for block in SHELL for command in commands_of(block)]
OURS = [command for command in EVERY if command.program == "planner"]
PYTHON = [command for command in EVERY if re.fullmatch(r"python3?", command.program)]
PIP = [command for command in EVERY if command.program == "pip"]


def idle(command: Any) -> Any:
    """The same command, whose parts read their command lines and do nothing."""
    command.callback = lambda *_, **__: None
    for one in getattr(command, "commands", {}).values():
        idle(one)
    return command


IDLE: Any = idle(get_command(app))


def parse(words: list[str]) -> None:
    """Let ``planner`` read its command line, values and all, and begin nothing."""
    IDLE.main(words, prog_name="planner", standalone_mode=False)


def shape(words: list[str]) -> None:
    """Only that command and options exist: values and arguments may be left out."""
    command: Any = PLANNER
    while words and hasattr(command, "commands"):
        name, *words = words
        if name.startswith("-"):
            words = [name, *words]
            break
        assert name in command.commands, f"there is no planner {name}"
        command = command.commands[name]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    asked = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    assert [word for word in asked if word not in known | {"--help", "-h"}] == []


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that commands expect to be there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", OURS, ids=str)
def test_planner_takes_the_command(command: Command, here: Path) -> None:
    parse(list(command.words[1:]))


@pytest.mark.parametrize("command", EVERY, ids=str)
def test_programs_and_variables_are_known(command: Command) -> None:
    known = {"planner", "python", "python3", "pip", *FOREIGN}
    assert command.program in known or command.words[0] in known or (ROOT / command.words[0]).is_file()
    ours = [name for name in command.variables if name.startswith("PLANNER_")]
    assert set(ours) <= VARIABLES


class ParsedError(Exception):
    """A script has read its command line."""


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scripts end once they have read their command line."""
    real = argparse.ArgumentParser.parse_args

    def stop(self: argparse.ArgumentParser, *given: Any, **named: Any) -> NoReturn:
        real(self, *given, **named)
        raise ParsedError

    path = list(sys.path)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    yield
    sys.path[:] = path


@pytest.mark.parametrize("command", [one for one in PYTHON if one.words[1] == "-m"], ids=str)
def test_modules_of_python_are_given_what_there_is(command: Command) -> None:
    module, *rest = command.words[2:]
    assert module in {"pytest", "venv"}
    paths = [word for word in rest if word.startswith("tests/")]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    marks = [word for at, word in enumerate(rest) if rest[at - 1 : at] == ["-m"]]
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    known = [line.partition(":")[0] for line in config["tool"]["pytest"]["ini_options"]["markers"]]
    assert set(marks) <= set(known)


@pytest.mark.parametrize("command", [one for one in PYTHON if one.words[1] != "-m"], ids=str)
def test_scripts_take_their_options(command: Command, parsed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    script, *rest = command.words[1:]
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setattr("sys.argv", [str(ROOT / script), *rest])
    with pytest.raises(ParsedError):
        runpy.run_path(str(ROOT / script), run_name="__main__")


@pytest.mark.parametrize("command", PIP, ids=str)
def test_pip_installs_extras_that_there_are(command: Command) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (asked,) = [found for word in command.words if (found := re.search(r"\[(.+)\]", word))]
    assert set(asked[1].split(",")) <= project["optional-dependencies"].keys()
    named = [word for word in command.words if word.endswith(".txt")]
    assert all((ROOT / name).is_file() for name in named)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_within_sentences_exist(page: Path) -> None:
    spans = spans_of(page.read_text(encoding="utf-8"))
    for span in spans:
        if span.startswith("planner ") and page.name != "CHANGELOG.md":
            shape([word.strip("[]") for word in span.split()[1:] if word not in {"...", "COMMAND"}])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_within_sentences_exist(page: Path) -> None:
    def options(command: Any) -> set[str]:
        found = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        return found.union(*(options(one) for one in getattr(command, "commands", {}).values()))

    text = page.read_text(encoding="utf-8")
    scripts = {ROOT / path for path in re.findall(r"benchmarks/\w+\.py", text)}
    theirs = {
        option
        for script in scripts
        for option in re.findall(r'add_argument\(\s*"(--[a-z-]+)"', script.read_text(encoding="utf-8"))
    }
    asked = {span.split()[0].partition("=")[0] for span in spans_of(text) if re.match(r"--[a-z]", span)}
    assert asked - options(PLANNER) - theirs == OTHERS.get(page.stem, set())


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "console"], ids=str)
def test_examples_print_what_the_page_says(block: Block, here: Path) -> None:
    """Each ``$ command`` prints the lines below it; ``...`` stands for anything."""
    for command, expected in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block.code, re.MULTILINE):
        program, *words = shlex.split(command)
        if program == "cat":
            (here / words[0]).write_text(expected, encoding="utf-8")
            continue
        assert program == "planner"
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        pattern = re.escape(expected).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, done.stdout, re.DOTALL), done.stdout


def test_commands_are_parted_and_read() -> None:
    code = (
        "A_B=1 planner fit log -o x && planner bins log  # a remark\nplanner solve 'a b' \\\n  --samples 4\n"
    )
    found = commands_of(Block(ROOT / "page.md", 3, "sh", (), code))
    assert [command.words for command in found] == [
        ("planner", "fit", "log", "-o", "x"),
        ("planner", "bins", "log"),
        ("planner", "solve", "a b", "--samples", "4"),
    ]
    assert found[0].variables == ("A_B",)


@pytest.mark.parametrize(
    "wrong", ["fit log --trails 3", "learn log", "fit", "search p.jsonl -o log --limit many"]
)
def test_a_wrong_command_is_found(wrong: str, here: Path) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|missing|not a valid|required"):
        parse(wrong.split())


@pytest.mark.parametrize("wrong", ["fit LOG --trails", "learn LOG", "models look"])
def test_a_wrong_command_in_a_sentence_is_found(wrong: str) -> None:
    with pytest.raises(AssertionError):
        shape(wrong.split())
