r"""The pieces of text in a solution that may be code: fenced blocks, tagged ones, or lines between prose.

Reads what models write: fences of backticks or tildes in any length and with any tag, indented, never closed,
or closed without having been opened; ``[PYTHON]`` and ``\begin{verbatim}``; interpreter prompts; carriage
returns and byte order marks. Knows nothing of what the code means: ``search.grading.programs.program``
decides.

>>> found = blocks("First:\n```python\nx = 1\n```\nUse it:\n~~~sh\nls\n~~~")
>>> found.fenced, found.outside
(('x = 1',), 'First:\nUse it:')
"""

from __future__ import annotations

import ast
import html
import re
import textwrap
import warnings
from dataclasses import dataclass

__all__ = ["Blocks", "blocks", "parsed", "salvaged", "without_thoughts"]

#: characters of a program; a longer one is no answer
LONGEST = 50_000
#: pieces that are tried before a text counts as prose
_TRIES = 400

_FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,})[ \t]*([^`\n]*)$")
#: a fence that a sentence runs into: ``Here it is: ```python``
_LATE_FENCE = re.compile(r"^([^`]*)(`{3,})[ \t]*(python[0-9.]*|py[0-9]*)[ \t]*$", re.IGNORECASE)
_TAGGED = re.compile(
    r"\[(PYTHON|CODE)\]\s*?\n?(.*?)(?:\[/\1\]|\Z)"
    r"|<(python|code|answer|pre)\b[^>\n]*>[ \t]*\n?(.*?)(?:</\3>|\Z)"
    r"|\\begin\{(lstlisting|verbatim|minted|python|code)\}(?:\[[^\]\n]*\])?(?:\{\w*\})?\n"
    r"(.*?)(?:\\end\{\5\}|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_INLINE = re.compile(r"(?<!`)(`{1,3})([^`\n]*(?:\bdef\b|\blambda\b)[^`\n]*)\1(?!`)")
#: a tag of thoughts, not one inside quotation marks of a program
_THOUGHT = r"(?<![\"'])(?<!(?<!``)`)<{0}(?:think|thinking|thought|reasoning|scratchpad)>(?![\"']|`(?!``))"
_THOUGHTS = re.compile(_THOUGHT.format("") + ".*?" + _THOUGHT.format("/"), re.DOTALL | re.IGNORECASE)
_THOUGHTS_BEGIN = re.compile(_THOUGHT.format(""), re.IGNORECASE)
_THOUGHTS_END = re.compile(_THOUGHT.format("/"), re.IGNORECASE)
_PYTHON_TAG = re.compile(r"(?:i?python|py|sage|repl|pycon|code)[-_0-9.]*(?=$|[\s{:,])", re.IGNORECASE)
_OTHER_TAG = re.compile(
    r"(?:bash|sh|zsh|shell|console|cmd|powershell|text|txt|plaintext|output|out|result|json|yaml|toml|xml|html|css|"
    r"sql|diff|markdown|md|latex|tex|c|cpp|c\+\+|cs|csharp|java|javascript|js|ts|typescript|go|rust|ruby|php|"
    r"kotlin|swift|scala|haskell|r|julia|perl|lua|matlab)(?=$|\s)",
    re.IGNORECASE,
)
_PROMPT = re.compile(r"^[ \t]*(?:>>>|In ?\[\d*\]:)(?: |$)")
_PROMPTED = re.compile(r"^[ \t]*(?:>>>|\.\.\.|In ?\[\d*\]:|[ \t]+\.\.\.:)(?: |$)(.*)$")
#: commands of notebooks and of a shell
_MAGIC = re.compile(r"^[ \t]*(?:[!%]|\$ )")
#: tokens of chat templates
_TOKENS = re.compile(r"<\|[a-z_]{1,20}\|>|</?s>[ \t]*$", re.MULTILINE)
#: quotation marks where a fence was meant
_QUOTED_FENCE = re.compile(r"^(\'{3}|\"{3})(?:python3?|py)[ \t]*$(.*?)^\1[ \t]*$", re.DOTALL | re.MULTILINE)
_INVISIBLE = re.compile("[\ufeff\u200b\u200e\u200f\u2060]")
#: what editors of texts put for quotation marks, minus signs and spaces
_TYPOGRAPHY = str.maketrans(
    {0x201C: '"', 0x201D: '"', 0x2018: "'", 0x2019: "'", 0x2212: "-", 0x2013: "-", 0xA0: " ", 0x202F: " "}
)
#: how a statement at the left margin may go on
_GOES_ON = re.compile(r"(?:else|elif|except|finally|case)\b|[)\]}]")


@dataclass(frozen=True, slots=True)
class Blocks:
    """The fenced or tagged blocks of a text in their order, those in other languages left out, and the text
    outside of them."""

    fenced: tuple[str, ...]
    outside: str


def without_thoughts(text: str) -> str:
    """A text without what stands between tags of thoughts. Thoughts that never end leave nothing behind them.

    >>> without_thoughts("<think>def f(): ...</think>The code:")
    'The code:'
    """
    rest = _THOUGHTS.sub("", text)
    ends = list(_THOUGHTS_END.finditer(rest))
    if ends:  # a chat template may open them before the model's first token
        rest = rest[ends[-1].end() :]
    begin = _THOUGHTS_BEGIN.search(rest)
    return rest if begin is None else rest[: begin.start()]


def blocks(text: str) -> Blocks:
    """Take a text apart. Never raises."""
    plain = _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    plain = _QUOTED_FENCE.sub(r"```python\2```", _TOKENS.sub("", plain))
    fenced, outside = _fenced(plain.split("\n"))
    fenced += [found[2] or found[4] or found[6] or "" for found in _TAGGED.finditer(outside)]
    fenced = fenced or [found[2] for found in _INLINE.finditer(outside)]
    return Blocks(tuple(map(_clean, fenced)), _clean(outside))


def _fenced(lines: list[str]) -> tuple[list[str], str]:
    """The blocks that may be Python, and the text outside of all blocks."""
    found: list[str] = []
    outside: list[str] = []
    inside: list[str] | None = None
    mark, tag = "", ""

    def close() -> None:
        if inside is None:
            return
        if any(map(_FENCE.match, inside)) and parsed("\n".join(inside)) is None:
            found.extend(_fenced(inside)[0])  # a document in a longer fence
        elif not _OTHER_TAG.match(tag):
            found.append("\n".join(inside))

    for place, line in enumerate(lines):
        fence = _FENCE.match(line)
        if inside is None:
            late = _LATE_FENCE.match(line) if fence is None and "```" in line else None
            if fence is not None or late is not None:
                mark, tag = (
                    (fence[1], fence[2].strip()) if fence else (late[2], late[3]) if late else ("", "")
                )
                if late is not None:
                    outside.append(late[1])
                inside = []
                if (
                    tag
                    and not _PYTHON_TAG.match(tag)
                    and not _OTHER_TAG.match(tag)
                    and parsed(tag) is not None
                ):
                    inside.append(tag)  # code on the line of the fence
            else:
                outside.append(line)
            continue
        if fence is not None and fence[1].startswith(mark):
            other = fence[2].strip()
            if not other and _in_text(inside, lines[place + 1 :], mark):
                inside.append(line)
                continue
            close()
            inside = None
            if _PYTHON_TAG.match(other) or _OTHER_TAG.match(other):  # the one before was never closed
                inside, mark, tag = [], fence[1], other
        elif line.rstrip().endswith(mark) and mark[0] == "`" and line.count(mark) == 1:
            inside.append(line.rstrip()[: -len(mark)])
            close()
            inside = None
        else:
            inside.append(line)
    close()
    return found, "\n".join(outside)


def _in_text(inside: list[str], after: list[str], mark: str) -> bool:
    """Whether a fence stands in a text of the program: it parses only with what follows, to a later fence."""
    so_far = "\n".join(inside)
    if so_far.count('"""') % 2 == 0 and so_far.count("'''") % 2 == 0:
        return False
    for place, line in enumerate(after):
        if line.strip().startswith(mark) and parsed("\n".join([*inside, mark, *after[:place]])) is not None:
            return True
    return False


def _clean(code: str) -> str:
    """Without prompts, notebook commands, a language's name on the first line and blank lines at the ends."""
    lines = code.split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    if lines and re.fullmatch(r"\s*(?:python|py)[0-9.]*\s*", lines[0], re.IGNORECASE):
        lines.pop(0)
    if any(map(_PROMPT.match, lines)) and parsed("\n".join(lines)) is None:
        lines = _unprompted(lines)
    if any(map(_MAGIC.match, lines)) and parsed("\n".join(lines)) is None:
        lines = [line for line in lines if not _MAGIC.match(line)]
    found = "\n".join(lines)
    if parsed(found) is None:
        if lines and all(line.startswith(">") for line in lines if line.strip()):
            found = "\n".join(re.sub("^> ?", "", line) for line in lines)  # quoted, as in a mail
        for plain in (
            html.unescape(found),
            found.translate(_TYPOGRAPHY),
            html.unescape(found).translate(_TYPOGRAPHY),
        ):
            if plain != found and parsed(textwrap.dedent(plain)) is not None:
                return plain
    return found


def _unprompted(lines: list[str]) -> list[str]:
    """What was typed at prompts; what came out is dropped."""
    if not _PROMPT.match(next((line for line in lines if line.strip()), "")):
        return lines
    typed = []
    for line in lines:
        if (found := _PROMPTED.match(line)) is not None:
            if _PROMPT.match(line):
                typed.append("")
            typed.append(found[1])
    return typed


def parsed(source: str) -> ast.Module | None:
    """The syntax tree of a program; None for what is none or is too long. Never raises."""
    if len(source) > LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes are the model's business
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def salvaged(text: str) -> ast.Module | None:
    """The statements of a text that is code with prose around it, or code that breaks off; None without any.

    >>> ast.unparse(salvaged("Sure.\\ndef f(x):\\n    return x\\nThis works.\\ndef g(x):\\n    retu("))
    'def f(x):\\n    return x'
    """
    if len(text) > LONGEST:
        return None
    whole = parsed(text) or parsed(textwrap.dedent(text))
    if whole is not None:
        return whole
    body: list[ast.stmt] = []
    tries = _TRIES
    pieces = _pieces(text.split("\n"))
    place = 0
    while place < len(pieces) and tries > 0:
        taken = 1
        while taken <= 12 and place + taken <= len(pieces) and tries > 0:
            tries -= 1
            tree = parsed("\n".join(pieces[place : place + taken]))
            if tree is not None:
                body += tree.body
                break
            if taken == 1 and not _opens(pieces[place]):
                taken = 12
            taken += 1
        else:
            taken = 1
        place += taken
    code = [node for node in body if not _is_prose(node)]
    return ast.Module(code, []) if code else None


def _pieces(lines: list[str]) -> list[str]:
    """Lines at the left margin, each with the indented and blank ones below it."""
    pieces: list[list[str]] = []
    joins = True
    for line in lines:
        at_margin = bool(line) and not line[0].isspace()
        if not pieces or (at_margin and not joins and not _GOES_ON.match(line)):
            pieces.append([])
        pieces[-1].append(line)
        joins = at_margin and line.startswith("@")
    return ["\n".join(piece) for piece in pieces]


def _opens(piece: str) -> bool:
    """Whether a piece that does not parse may be the beginning of a statement of several lines."""
    quotes = piece.count('"""') % 2 or piece.count("'''") % 2
    deep = sum(piece.count(opening) for opening in "([{") > sum(piece.count(closing) for closing in ")]}")
    begins = re.match(
        r"(?:def|class|async|if|for|while|with|try|match)\b|@|[A-Za-z_][\w.\[\]]*\s*[+*-]?=", piece
    )
    return bool(begins and (quotes or deep or piece.rstrip().endswith((":", "\\"))))


def _is_prose(node: ast.stmt) -> bool:
    """``Answer`` and ``It, too`` parse as expressions."""
    return isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call | ast.Await)
