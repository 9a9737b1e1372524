from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.grading.stated import stated


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"First \boxed{1}, later \boxed{\frac{3}{8}}", r"\frac{3}{8}"),
        (r"\boxed{1} and \boxed{\frac{3}{8}}", r"1, \frac{3}{8}"),
        (r"$x=\boxed{1}$ or $x=\boxed{2}$", "1, 2"),
        (r"\boxed{1}, \boxed{2}, and \boxed{3}", "1, 2, 3"),
        (r"\boxed{3} and, as we said before, \boxed{4}", "4"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed 2", "2"),
        (r"\boxed {5}", "5"),
        (r"\boxed{5}, and to check: \boxed{", "5"),
        (r"put it in \boxed{}: \boxed{7}", "7"),
        ("<think>maybe \\boxed{70}</think> The answer is 73.", "73"),
        ("<think>maybe \\boxed{70}", None),
        ("maybe \\boxed{70}</think> I do not know", None),
        ("<answer>73</answer>", "73"),
        ("<answer>The answer is $73$.</answer>", "73"),
        ("905 = 905, consistent.\n\n✅ Final Answer: **73**", "73"),
        ("**Final Answer**\n\n73", "73"),
        ("### Final Answer\n$$73$$", "73"),
        ("the answer is\n\n$$73$$", "73"),
        ("**Answer:**\n\\[\n73\n\\]", "73"),
        ("**The answer is: 73**", "73"),
        ("The answer is 73 because 70+3=73.", "73"),
        ("The answer is therefore 73.", "73"),
        ("The answer is 73, not 70.", "73"),
        ("The correct answer is 4.", "4"),
        ("The answer to the last question is 42.", "42"),
        ("Ans: 4", "4"),
        ("Answer = 4", "4"),
        ("Answer: $4$", "4"),
        ("#### 18 eggs", "18 eggs"),
        ("#### $18", "$18"),
        ("#### Step 2: add\nand so on", None),
        ("#### 1. Set up\nand so on", None),
        ("#### Conclusion\nIt is so.", None),
        ("The answer is $5$ and $7$.", "$5$ and $7$"),
        ("The answer is $5$ cm.", "$5$ cm"),
        ("The answer is obtained by adding.", None),
        ("Therefore, x is **73**.", "73"),
        ("Thus there are 73 ways.", "73 ways"),
        ("73", "73"),
        ("$\\frac{1}{2}$", r"\frac{1}{2}"),
        ("It adds up.\n\n**73**", "73"),
        ("It adds up.\n\n73", None),
        ("So 3 + 4 = 7", None),
        ("So $3 + 4 = 7$.", None),
        (r"\fbox{7}", "7"),
        (r"\boxed{12", None),
        ("#### 1\n#### 2", "2"),
        ("**Answer:** 5 dollars", "5 dollars"),
        ("Final answer: 50.7 atm", "50.7 atm"),
        ("The final answer is: $18$. I hope it is correct.", "18"),
        (r"The answer is $50.7$ $\mathrm{atm}$.", r"$50.7$ $\mathrm{atm}$"),
        (r"the answer is \(x+1\), as was to be shown.", "x+1"),
        ("the answer is **B**", "B"),
        ("the answer is 7. We are done.", "7"),
        (r"the answer is $\$5$", r"\$5"),
        ("It is 18", None),
        ("", None),
    ],
)
def test_what_a_solution_states(text: str, found: str | None) -> None:
    assert stated(text) == found


@settings(deadline=None)  # the first case imports a library
@given(st.one_of(st.text(), st.text("\\boxed{}#A: the answer is$*().\n")))
def test_any_text_is_read_without_an_error(text: str) -> None:
    found = stated(text)
    assert found is None or found.strip()


@given(st.text("abc \\boxed{}12<think></think>\n#"))
def test_a_thought_states_nothing(thought: str) -> None:
    thought = thought.replace("</think>", "")
    assert stated(f"<think>{thought}\\boxed{{70}}</think>\n#### 5") == "5"
    assert stated(f"<think>{thought}\\boxed{{70}}") is None
