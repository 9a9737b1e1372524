r"""What a judge is: which model is asked for verdicts, about what, how its verdicts are read, in which words.

The name of a judge says all of it, so that a log's rows belong to one way of asking:

    judge:small:solution:auto4:5cb6d173
          |     |        |     the first digits of the template's hash
          |     |        how verdicts are read, and how many are drawn where they are drawn
          |     what a verdict is about
          the model, a policy or a [[judge]] of a models file

| scope | asked | reward of a step |
|---|---|---|
| ``solution`` | once per call, about everything up to its last step | P(yes), for all steps of the call |
| ``steps`` | once per step, about everything up to it | P(yes) of that prefix |
| ``first_error`` | once per call, for the first wrong step | the share of verdicts that find none up to it |

| read | a verdict is |
|---|---|
| ``logprobs`` | one token; P(yes) is its probability where it says yes, else one minus that |
| ``samples`` | ``k`` short answers; P(yes) is the share of those that say yes |
| ``number`` | one answer that holds a number from 0 to 100 |
| ``auto`` | as ``logprobs`` where the first answer has logprobs and says yes or no, else as ``samples`` |

Knows nothing of engines.

    >>> spec = JudgeSpec.parse("judge:small")
    >>> spec.model, spec.scope, spec.read, spec.name == JudgeSpec.parse(spec.name).name
    ('small', 'solution', 'auto', True)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from search.cards import ModelCard
from search.errors import CheckpointError

__all__ = ["READS", "SCOPES", "TEMPLATES", "JudgeSpec", "is_judge"]

SCOPES = ("solution", "steps", "first_error")
READS = ("auto", "logprobs", "samples", "number")

_PREFIX = "judge:"
_QUESTION, _SOLUTION = "{question}", "{solution}"
_NAME = re.compile(
    rf"{_PREFIX}(?P<model>[^\s|(),=]+?)"
    rf"(?::(?P<scope>{'|'.join(SCOPES)}))?"
    r"(?::(?P<read>auto|logprobs|samples|number)(?P<k>[1-9][0-9]*)?)?"
    r"(?::(?P<digest>[0-9a-f]{8}))?"
)
#: most tokens of an answer that is not read by its first token alone
_TOKENS = 16
_K = 4
#: most characters of a template
_LONGEST = 20_000

_SHOWN = f"{_QUESTION}\n\nHere is a solution:\n\n{_SOLUTION}\n\n"
#: (scope, whether a number is asked for) -> what the judge is asked
TEMPLATES: Mapping[tuple[str, bool], str] = MappingProxyType(
    {
        ("solution", False): f"{_SHOWN}Is this solution correct? Answer with one word, Yes or No.",
        ("solution", True): (
            f"{_SHOWN}How likely is it that this solution is correct? Answer with one number from 0 to 100."
        ),
        ("steps", False): (
            f"{_SHOWN}The solution may not be finished. Is everything so far correct? "
            "Answer with one word, Yes or No."
        ),
        ("steps", True): (
            f"{_SHOWN}The solution may not be finished. How likely is it that everything so far is correct? "
            "Answer with one number from 0 to 100."
        ),
        ("first_error", False): (
            f"{_SHOWN}The numbers in brackets are those of the steps. Which is the first step with an error? "
            "Answer with its number alone, or with -1 if every step is correct."
        ),
    }
)


def is_judge(name: str) -> bool:
    """Whether a PRM's name is that of a judge."""
    return name.startswith(_PREFIX)


@dataclass(frozen=True, slots=True)
class JudgeSpec:
    """Everything that decides what a judge says. Raises CheckpointError for what breaks a rule.

    Parameters
    ----------
    model:
        The model's name.
    scope:
        One of ``SCOPES``.
    read:
        One of ``READS``. The scope ``first_error`` reads ``samples``, which ``auto`` means there.
    k:
        Verdicts that are drawn where they are drawn; 1: a single one, the likeliest.
    tokens:
        Most tokens of an answer that is drawn; thoughts and critiques before the verdict count.
    template:
        Holds ``{question}`` and ``{solution}`` once each; other braces are text. None: that of the scope
        (``TEMPLATES``). What stands before ``{solution}`` is shared by all verdicts on a problem, so
        instructions stand behind it.
    delimiter:
        Stands between the steps that the judge is shown.
    """

    model: str
    scope: str = "solution"
    read: str = "auto"
    k: int = _K
    tokens: int = _TOKENS
    template: str | None = None
    delimiter: str = "\n"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[^\s|(),=]+", self.model):
            raise CheckpointError(
                f"a judge's model is a name without spaces, commas, =, | and parentheses, got {self.model!r}"
            )
        for word, value, known in (("scope", self.scope, SCOPES), ("read", self.read, READS)):
            if value not in known:
                raise CheckpointError(f"{word} must be one of {', '.join(known)}, got {value!r}")
        if self.scope == "first_error":
            if self.read not in ("auto", "samples"):
                raise CheckpointError(
                    f"the first wrong step is read from samples, got read={self.read!r} for it"
                )
            object.__setattr__(self, "read", "samples")
        for word, count, most in (("k", self.k, 1024), ("tokens", self.tokens, 65536)):
            if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= most:
                raise CheckpointError(f"{word} must be a whole number from 1 to {most}, got {count!r}")
        if self.template is not None:
            for place in (_QUESTION, _SOLUTION):
                if self.template.count(place) != 1:
                    raise CheckpointError(
                        f"a judge's template must hold {place} once, got {self.template[:200]!r}"
                    )
            if len(self.template) > _LONGEST:
                raise CheckpointError(
                    f"a judge's template has at most {_LONGEST} characters, got {len(self.template)}"
                )

    @classmethod
    def parse(cls, name: str, **more: object) -> JudgeSpec:
        """The judge that a name says; what it leaves out is ``more``'s, else the default.

        Raises CheckpointError for a name that is none, and for one whose hash is that of another template.

        >>> JudgeSpec.parse("judge:qwen2.5:0.5b:steps:samples8").k
        8
        """
        found = _NAME.fullmatch(name)
        if found is None:
            raise CheckpointError(f"a judge is written judge:MODEL[:SCOPE[:READ]], got {name!r}")
        said: dict[str, object] = {word: found[word] for word in ("scope", "read") if found[word] is not None}
        if found["k"] is not None:
            said["k"] = int(found["k"])
        made = cls(found["model"], **{**more, **said})  # type: ignore[arg-type]
        if found["digest"] is not None and found["digest"] != made.digest:
            raise CheckpointError(
                f"a judge must ask as its name says, got a template with the hash {made.digest} for {name!r} "
                "(templates of your own stand in the models file's [[judge]])"
            )
        return made

    @property
    def name(self) -> str:
        """What logs and planners call it."""
        drawn = str(self.k) if self.read in ("auto", "samples") else ""
        return f"{_PREFIX}{self.model}:{self.scope}:{self.read}{drawn}:{self.digest}"

    @property
    def words(self) -> str:
        """The template that is used."""
        return self.template or TEMPLATES[self.scope, self.read == "number"]

    @property
    def digest(self) -> str:
        """Of the template and the numbers that its answers depend on: 8 hexadecimal digits."""
        said = json.dumps([self.words, self.tokens, self.delimiter], ensure_ascii=False)
        return hashlib.sha256(said.encode()).hexdigest()[:8]

    def card(self, model: ModelCard) -> ModelCard:
        """The card of the judge that this model is: another name, and a fingerprint of both."""
        both = f"{model.fingerprint}\0{self.name}\0{self.words}"
        return replace(model, name=self.name, fingerprint=hashlib.sha256(both.encode()).hexdigest())

    def ask(self, question: str, steps: Sequence[str]) -> str:
        """What the model is asked about a solution, the user's turn.

        >>> print(JudgeSpec("m", "first_error", template="{question} {solution} ?").ask("1+1", ["2", "so 2"]))
        1+1 [0] 2
        [1] so 2 ?
        """
        shown = [f"[{i}] {step}" for i, step in enumerate(steps)] if self.scope == "first_error" else steps
        before, _, rest = self.words.partition(_QUESTION)
        if _SOLUTION in before:
            first, _, between = before.partition(_SOLUTION)
            return f"{first}{self.delimiter.join(shown)}{between}{question}{rest}"
        between, _, behind = rest.partition(_SOLUTION)
        return f"{before}{question}{between}{self.delimiter.join(shown)}{behind}"
