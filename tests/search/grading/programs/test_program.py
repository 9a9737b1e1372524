"""What of a solution is its program, in every dressing that models put around one."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search.grading.programs.program import program

PROMPT = '''from typing import List


def scale(values: List[int], by: int) -> List[int]:
    """Multiply every value.
    >>> scale([1, 2], 3)
    [3, 6]
    """
'''
CODE = "def scale(values, by):\n    return [value * by for value in values]"
CRLF = CODE.replace("\n", "\r\n")
PROMPTED = (
    ">>> def scale(values, by):\n...     return [value * by for value in values]\n...\n>>> scale([1], 2)\n[2]"
)
SHOWN = "    " + CODE.replace("\n", "\n    ")
OTHER = "def scale(values, by):\n    return values"

DRESSED = {
    "bare": CODE,
    "python": f"```python\n{CODE}\n```",
    "python3": f"```python3\n{CODE}\n```",
    "python 3.11": f"```python3.11\n{CODE}\n```",
    "capitals": f"``` PYTHON\n{CODE}\n```",
    "py": f"```py\n{CODE}\n```",
    "attributes": f'```python title="scale.py"\n{CODE}\n```',
    "braces": f"```{{.python}}\n{CODE}\n```",
    "no tag": f"```\n{CODE}\n```",
    "tag on its own line": f"```\npython\n{CODE}\n```",
    "tildes": f"~~~python\n{CODE}\n~~~",
    "four backticks": f"````python\n{CODE}\n````",
    "fences in a longer fence": f"````markdown\nHere:\n```python\n{CODE}\n```\n````",
    "fences in fences": f"```markdown\n```python\n{CODE}\n```\n```",
    "indented fence": "1. Write it:\n\n   ```python\n   "
    + CODE.replace("\n", "\n   ")
    + "\n   ```\n2. Done.",
    "quoted": "> ```python\n> " + CODE.replace("\n", "\n> ") + "\n> ```",
    "late fence": f"Here it is: ```python\n{CODE}\n```",
    "fence ends a line": f"```python\n{CODE}```",
    "never closed": f"```python\n{CODE}",
    "carriage returns": f"```python\r\n{CRLF}\r\n```\r\n",
    "byte order mark": f"\ufeff```python\n\ufeff{CODE}\n```",
    "stray closing": f"{CODE}\n```",
    "stray closing and prose": f"{CODE}\n```\nThis multiplies every value.",
    "stray closing and usage": f"{CODE}\n```\nUse it:\n```python\nprint(scale([1], 2))\n```",
    "prose around, no fence": f"Sure! Here's the function:\n\n{CODE}\n\n"
    f"It runs in O(n), where n is the length.",
    "prose touching": f"Answer:\n{CODE}\nDone",
    "prose and an indented block": f"It is this:\n\n{SHOWN}\n\nIt takes each value in turn.",
    "tags": f"[PYTHON]\n{CODE}\n[/PYTHON]",
    "tag begins": f"[PYTHON]\n{CODE}",
    "answer tags": f"<answer>\n{CODE}\n</answer>",
    "answer tags and fences": f"<answer>\n```python\n{CODE}\n```\n</answer>",
    "HTML": f'<pre><code class="language-python">\n{CODE}\n</code></pre>',
    "tokens of a chat template": f"```python\n{CODE}\n```<|im_end|>",
    "tokens of a chat template, no fence": f"{CODE}<|endoftext|>",
    "quotation marks for a fence": f"'''python\n{CODE}\n'''",
    "indented whole": SHOWN,
    "another version of print": f"{CODE}\nprint scale([1], 2)",
    "an end that leaves": f"```python\n{CODE}\nimport sys\nsys.exit(0)\n```",
    "an end that waits": f"```python\n{CODE}\nn = int(input())\nwhile True:\n    print(n)\n```",
    "LaTeX": f"\\begin{{lstlisting}}[language=Python]\n{CODE}\n\\end{{lstlisting}}",
    "interpreter": f"```python\n{PROMPTED}\n```",
    "interpreter, no fence": PROMPTED,
    "notebook": f"```python\n!pip install numpy\n%timeit x\n{CODE}\n```",
    "usage in the block": f"```python\n{CODE}\n\nprint(scale([1], 2))\n"
    f"scale([2], 3)\nx = scale([4], 1)\nprint(x)\n```",
    "main": f'```python\n{CODE}\n\nif __name__ == "__main__":\n    print(scale([1], int(input())))\n```',
    "main function": f"```python\n{CODE}\n\ndef main():\n    print(scale([1], 2))\n\nmain()\n```",
    "its own tests": f"```python\n{CODE}\n\ndef test_scale():\n"
    f"    assert scale([1], 2) == [3]\n\ntest_scale()\n```",
    "its own wrong assertion": f"```python\n{CODE}\nassert scale([1], 2) == [3]\n```",
    "a loop of tests": f"```python\n{CODE}\nfor v, w in [(1, 2)]:\n"
    f"    got = scale([v], w)\n    print(got)\n```",
    "usage block": f"```python\n{CODE}\n```\nUse it:\n```python\nprint(scale([1], 2))\n```",
    "output block": f"```python\n{CODE}\n```\nOutput:\n```\n[2]\n```",
    "shell block": f"```python\n{CODE}\n```\nRun it:\n```bash\npython scale.py\n```",
    "shell block first": f"```bash\npip install x\n```\n```python\n{CODE}\n```",
    "json block": f'```python\n{CODE}\n```\n```json\n{{"values": [1]}}\n```',
    "another language last": f"```python\n{CODE}\n```\n```javascript\n"
    f"function scale(v, b) {{ return v }}\n```",
    "first try, better": f"First try:\n```python\n{OTHER}\n```\nBetter:\n```python\n{CODE}\n```",
    "unclosed, then again": f"```python\n{OTHER}\n```python\n{CODE}\n```",
    "signature, then all": f"The signature:\n```python\ndef scale(values, by):\n"
    f"    pass\n```\n```python\n{CODE}\n```",
    "all, then signature": f"```python\n{CODE}\n```\nIt has the form\n"
    f"```python\ndef scale(values, by): ...\n```",
    "second function cut off": f"```python\n{CODE}\n\ndef helper(values):\n"
    f"    for value in values:\n        if value >",
    "second function cut off, no fence": f"{CODE}\n\ndef helper(values):\n    for value in va",
    "last attempt cut off": f"```python\n{CODE}\n```\nOr:\n```python\n"
    f"def scale(values, by):\n    return [value",
    "thoughts": f"<think>\n```python\n{OTHER}\n```\nNo.</think>\n```python\n{CODE}\n```",
    "thoughts touching fences": f"<think>```python\n{OTHER}\n```</think>```python\n{CODE}\n```",
    "thoughts after": f"```python\n{CODE}\n```\n<think>\n```python\n{OTHER}\n```\n",
    "thoughts opened by the template": f"```python\n{OTHER}\n```\nWait.\n</think>\n{CODE}",
    "docstring": '```python\ndef scale(values, by):\n    """Multiply.\n\n    ```\n'
    '    scale([1], 2)\n    ```\n    """\n'
    "    return [value * by for value in values]\n```",
    "comments": CODE.replace("):", "):  # easy\n    # each\n"),
    "unused import": f"```python\nimport math\nfrom typing import *\n{CODE}\n```".replace(
        "from typing import *\n", ""
    ),
    "typography": CODE.replace(" * ", "\u00a0* "),
    "escaped": f"```python\n{CODE}\nif 1 &lt; 2: print(1)\n```",
    "tabs": CODE.replace("    ", "\t"),
    "a link in prose": f"See [1](x) for scale(values).\n```python\n{CODE}\n```\nHope this helps!",
}


@pytest.mark.parametrize("dressing", DRESSED)
def test_one_program_in_any_dressing(dressing: str) -> None:
    assert program(DRESSED[dressing], "scale", PROMPT) == CODE
    assert program(DRESSED[dressing], "scale") == CODE


@pytest.mark.parametrize(
    "text",
    [
        "    return [value * by for value in values]",
        "return [value * by for value in values]",
        "```python\n    return [value * by for value in values]\n```",
        "```python\nreturn [value * by for value in values]\n```",
        "    return [value * by for value in values]\n```",
        "    return [value * by for value in values]\n\nThis is all that is needed.",
        f"{PROMPT}    return [value * by for value in values]\n",
        f"```python\n{PROMPT}    return [value * by for value in values]\n```",
        f"Complete:\n```python\n{PROMPT}```\nThe body is\n"
        f"```python\n    return [value * by for value in values]\n```",
    ],
)
def test_a_solution_may_go_on_with_the_prompt(text: str) -> None:
    found = program(text, "scale", PROMPT)
    assert found == (
        "from typing import List\n\ndef scale(values: List[int], by: int) -> List[int]:\n"
        "    return [value * by for value in values]"
    )


def test_the_prompts_imports_and_helpers_are_there_for_a_program_that_uses_them() -> None:
    prompt = "import math\n\ndef half(x):\n    return x / 2\n\ndef area(r):\n    '''Half a disc.'''\n"
    text = "```python\ndef area(r):\n    return half(math.pi * r * r)\n```"
    found = program(text, "area", prompt)
    assert found is not None
    assert found.startswith("import math\n\ndef half(x):\n    return x / 2\n\ndef area(r):")


@pytest.mark.parametrize(
    "text",
    [
        "```python\ndef g(x):\n    return x\n```\nthen\n```python\ndef f(x):\n    return g(x)\n```",
        "```python\ndef f(x):\n    return g(x)\n```\nwith\n```python\ndef g(x):\n    return x\n```",
        "```python\ndef g(x):\n    return x\n\ndef f(x):\n    return g(x)\nprint(f(1))\n```",
    ],
)
def test_helper_and_main_in_two_blocks(text: str) -> None:
    assert program(text, "f") == "def g(x):\n    return x\n\ndef f(x):\n    return g(x)"


def test_imports_in_a_block_of_their_own() -> None:
    text = "First\n```python\nimport math\n```\nthen\n```python\ndef f(x):\n    return math.sqrt(x)\n```"
    assert program(text, "f") == "import math\n\ndef f(x):\n    return math.sqrt(x)"


@pytest.mark.parametrize(
    "code",
    [
        "f = lambda x: x + 1",
        "from operator import neg as f",
        "from functools import partial\nf = partial(max, 0)",
        "if True:\n\n    def f(x):\n        return x",
        "try:\n    from fast import f\nexcept ImportError:\n\n    def f(x):\n        return x",
        "async def f(x):\n    return x",
        "class f:\n\n    def __new__(cls, x):\n        return x",
        "import sys\nsys.setrecursionlimit(10000)\n\ndef f(x):\n    return f(x - 1) if x else 0",
        "memo = {}\nmemo[0] = 1\n\ndef f(x):\n    return memo[x]",
        "memo = []\nfor i in range(5):\n    memo.append(i)\n\ndef f(x):\n    return memo[x]",
        "memo = [0] * 9\n\ndef fill():\n    memo[1] = 5\nfill()\n\ndef f(x):\n    return memo[x]",
        "import heapq\nheap = [3, 1]\nheapq.heapify(heap)\n\ndef f(x):\n    return heap[x]",
        "def f(x):\n    return x + f.extra\nf.extra = 1",
        "a, b = (1, 2)\n\ndef f(x):\n    return a + b",
        "def f(x):\n    return globals()['g'](x)\n\ndef g(x):\n    return x",
        "from math import *\n\ndef f(x):\n    return sqrt(x)",
        "class Node:\n    pass\n\ndef f(x):\n    node = Node()\n    return node",
        "from functools import cache\n\n@cache\ndef f(x):\n    return x",
        "def outer(g):\n    return g\n\n@outer\ndef f(x):\n    return x",
        "def f(x):\n    return inner(x)\nbase = 3\n\ndef inner(x):\n    return x + base",
        "text = '<think>'\n\ndef f(x):\n    return text",
    ],
)
def test_all_that_a_program_needs_is_kept(code: str) -> None:
    assert program(f"```python\n{code}\n```", "f") == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I do not know.",
        "```python\n```",
        "```python\ndef scale(values, by)\n```",
        "```python\ndef scale(values, by):\n    for value in values:\n        if value",
        "<think>```python\ndef scale(values, by):\n    return 1\n```",
        "```python\nprint(scale([1], 2))\n```",
        "```python\nscale = 5\n```",
        "def main():\n    def scale(values, by):\n        return values",
        "`" * 5000,
        "~" * 5000,
        "```\n" * 3000,
        "x" * 100_000,
        "[PYTHON]" * 5000,
        "`def ``lambda " * 3000,
        "(\n" * 10_000,
        "if:\n" * 10_000,
        '"""\n```\n' * 2000,
        ">>> \n" * 5000,
    ],
)
def test_where_no_program_is_there_is_none(text: str) -> None:
    assert program(text, "scale") is None
    assert program(text, "scale", PROMPT) is None


def test_without_an_entry_point_every_function_stays() -> None:
    assert program("```python\ndef f():\n    return 1\ndef g():\n    return 2\nprint(f())\n```") == (
        "def f():\n    return 1\n\ndef g():\n    return 2"
    )


@settings(deadline=None)
@given(st.text("def scale(vb):\n   return `~#>.<think/>\"'[]PYTHON"))
@example("\x00")
@example("\ud83d")
def test_any_text_is_read(text: str) -> None:
    found = program(text, "scale", PROMPT)
    assert found is None or program(found, "scale") == found
