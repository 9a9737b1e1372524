"""``planner models check``: what servers can do, and one line for each fault with exit code 2."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from planner.cli.main import app
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import TURN, ScriptedEngine
from search.remote.fake_server import FakeServer, Fault

LAB = Path(__file__).parents[3] / "models"


def write(text: str, rng: Random) -> str:
    return f"12 + 30 is\n4{rng.randrange(10)}, I think\n# 42"[len(text.partition(TURN)[2]) :]


def think(text: str, rng: Random) -> str:
    return "<think>" + "well, " * 100


@pytest.fixture
def serve() -> Iterator[Any]:
    with ExitStack() as stack:

        def start(script: Any = write, **plays: Any) -> FakeServer:
            return stack.enter_context(FakeServer(FakeOpenAI(ScriptedEngine(script), **plays)))

        yield start


def run(file: Path, content: str, *options: str) -> tuple[int, str, list[str]]:
    file.write_text(content)
    found = CliRunner().invoke(app, ["models", "check", str(file), "--patience", "0", *options])
    lines = [line for line in found.stderr.splitlines() if line.startswith("planner: ")]
    return found.exit_code, found.stdout, lines


def policy(name: str, url: str, **more: Any) -> str:
    extra = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    return f'[[policy]]\nname = "{name}"\nbase_url = "{url}"\nparameters = 500_000_000\n{extra}\n'


def test_what_each_server_can_is_told(serve: Any, tmp_path: Path) -> None:
    vllm, llama = serve(), serve(plays="llamacpp", refuses=("n=1",))
    chat = serve(plays="hosted", takes=("chat",), refuses=("n", "seed", "logprobs", "top_logprobs"))
    content = policy("v", vllm.url) + policy("l", llama.url) + policy("c", chat.url)
    content += f'[[policy]]\nname = "here"\nembedded = "{LAB / "lab-policy-s"}"\n'
    code, printed, faults = run(tmp_path / "models.toml", content, "--json")
    assert (code, faults) == (0, [])
    found = {one["name"]: one for one in json.loads(printed)["models"]}
    assert found["v"]["can"]["spoken to by"] == found["l"]["can"]["spoken to by"] == "token ids"
    assert found["v"]["can"]["logprobs"] == "yes, 20 candidates"
    assert found["v"]["strategies"]["beam_search"] == "no: needs a [[prm]] or a [[judge]]"
    assert found["v"]["missing"] == []
    assert found["l"]["can"]["n"] == "no: a request per sample"
    needs = "think needs a server that takes a budget of thought"
    whom = "a server of OpenAI's protocol ('c')"
    assert found["c"]["can"] == {
        "spoken to by": "chat",
        "context": "8,192 tokens (assumed)",
        "parameters": "500,000,000",
        "n": "no: a request per sample",
        "seeds": "not taken",
        "logprobs": "no",
        "continuing": "step by step",
        "usage": "yes",
        "cancelling": "yes",
        "thinking": "no thought seen",
        "effort": "takes none, minimal, low, medium, high, xhigh, max",
        "think": f"no: {needs}, got think=16 for {whom}",
        "wait": f"no: {needs}, got think=16, wait=8 for {whom}",
    }
    assert found["c"]["strategies"]["majority"] == found["c"]["strategies"]["adaptive_vote"] == "yes"
    assert found["c"]["strategies"]["dvts"] == "no: needs a [[prm]] or a [[judge]]"
    assert any(line.startswith("context: not told") for line in found["c"]["missing"])
    here = found["here"]["can"]
    assert here["seeds"] == "yes"
    assert here["effort"] == "no: needs a served policy"
    assert here["think"] == here["wait"] == "ended by us, where it thinks between tags"


def test_a_table_for_people(serve: Any, tmp_path: Path) -> None:
    chat = serve(plays="hosted", takes=("chat",))
    code, printed, _ = run(tmp_path / "models.toml", policy("c", chat.url, thinking="off"))
    assert code == 0
    assert "policy c (http://127.0.0.1:" in printed
    assert "works with" in printed
    assert "missing: tokenizer: none" in printed
    assert "'off' sent" in printed


def test_a_model_that_thinks_on_although_it_is_told_not_to(serve: Any, tmp_path: Path) -> None:
    chat = serve(think, plays="hosted", takes=("chat",), reasoning="reasoning")
    content = policy("c", chat.url, thinking="off")
    code, printed, _ = run(tmp_path / "models.toml", content, "--json")
    [one] = json.loads(printed)["models"]
    assert code == 0
    assert one["can"]["thinking"] == "thinks for more than 16 tokens; 'off' sent"
    assert "thinking: it thinks although thinking = 'off'" in one["missing"]


def test_what_a_server_takes_of_a_plans_thinking_is_asked(serve: Any, tmp_path: Path) -> None:
    """Completions end thoughts by us, a chat is told; a field that is refused is said to be."""
    text = serve(think)
    chat = serve(think, takes=("tokens", "chat"), reasoning="reasoning")
    strict = serve(takes=("chat", "tokens"), refuses=("reasoning_effort", "thinking_token_budget"))
    content = policy("t", text.url)
    content += policy("c", chat.url, dialect="chat") + policy("s", strict.url, dialect="chat")
    code, printed, faults = run(tmp_path / "models.toml", content, "--json")
    assert (code, faults) == (0, [])
    can = {one["name"]: one["can"] for one in json.loads(printed)["models"]}
    assert can["t"]["think"].startswith("ended by us; at think=16 a thought took ")
    assert can["t"]["wait"].startswith("ended by us; at think=16, wait=8 a thought took ")
    assert can["t"]["think"].endswith(" tokens, cut")
    # the fake passes budgets over, and so it shows
    assert can["c"]["think"].startswith(
        "taken as thinking_token_budget; at think=16 a thought took more than "
    )
    assert can["c"]["effort"] == "takes on, off, none, minimal, low, medium, high, xhigh, max"
    assert can["c"]["wait"].startswith("no: wait needs a policy that goes on after a text of ours")
    assert can["s"]["think"].startswith("refused: ")
    assert can["s"]["effort"].startswith(
        "takes on, off; refuses none, minimal, low, medium, high, xhigh, max ("
    )


def test_each_fault_is_one_line_and_others_are_checked(serve: Any, tmp_path: Path) -> None:
    good, locked, silent = serve(), serve(api_key="right"), serve()
    silent.fail("/v1/completions", Fault.silent())
    content = (
        policy("good", good.url)
        + policy("gone", "http://127.0.0.1:9")
        + policy("other", good.url, model="gpt")
        + policy("locked", locked.url)
        + policy("keyless", good.url, api_key_env="SURELY_NOT_SET")
        + policy("silent", silent.url, timeout=0.3)
        + '[[policy]]\nname = "missing"\nembedded = "no-such-folder"\n'
        + '[[judge]]\nname = "lost"\nbase_url = "http://127.0.0.1:9"\n'
    )
    code, printed, faults = run(tmp_path / "models.toml", content)
    assert code == 2
    assert "policy good" in printed
    told = [fault.removeprefix("planner: models.toml: ") for fault in faults]
    assert [line.partition(":")[0] for line in told] == [
        "policy 'gone'",
        "policy 'other'",
        "policy 'locked'",
        "policy 'keyless'",
        "policy 'silent'",
        "policy 'missing'",
        "judge 'lost'",
    ]
    assert "a server must be reachable, got 'Connection refused'" in told[0]
    assert "ssl" not in told[0]
    assert "a model must be one that" in told[1]
    assert "a server must accept the API key, got 401" in told[2]
    assert "api_key_env must name a variable that is set, got 'SURELY_NOT_SET'" in told[3]
    assert "within 0.3 s" in told[4] or "must not fall silent" in told[4]
    assert "no-such-folder" in told[5]


def test_faults_of_the_file_itself(tmp_path: Path) -> None:
    content = policy("a", "http://h", temprature=1) + policy("b", "http://h", thinking="much")
    code, _, faults = run(tmp_path / "models.toml", content)
    assert code == 2
    assert len(faults) == 2
    assert faults[0].startswith("planner: models.toml: policy 'a': unknown key 'temprature'")
    code, printed, faults = run(tmp_path / "models.toml", content, "--json")
    assert (code, len(json.loads(printed)["faults"])) == (2, 2)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["models", "check", str(tmp_path / "none.toml")])
    assert found.exit_code == 2
    assert "a models file must be readable" in found.stderr


def test_with_a_prm_every_strategy_works(serve: Any, tmp_path: Path) -> None:
    content = policy("v", serve().url) + f'[[prm]]\nname = "critic"\nembedded = "{LAB / "lab-prm-good"}"\n'
    code, printed, _ = run(tmp_path / "models.toml", content, "--json")
    assert code == 0
    of_policy, of_prm = json.loads(printed)["models"]
    assert set(of_policy["strategies"].values()) == {"yes"}
    assert (of_prm["kind"], of_prm["name"]) == ("prm", "critic")
    assert of_prm["can"]["parameters"] != "0"


def test_a_judge_takes_part_in_no_strategy(serve: Any, tmp_path: Path) -> None:
    chat = serve(plays="hosted", takes=("chat",))
    content = policy("v", serve().url) + f'[[judge]]\nname = "j"\nbase_url = "{chat.url}"\n'
    code, printed, _ = run(tmp_path / "models.toml", content, "--json")
    assert code == 0
    judge = json.loads(printed)["models"][1]
    assert (judge["kind"], judge["strategies"], judge["can"]["spoken to by"]) == ("judge", {}, "chat")
