"""The judge: verdicts of any engine as rewards, charged in full, whatever fails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.budget import Budget, Prices
from search.cards import ModelCard
from search.engines.embedded import EmbeddedEngine
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.prompted import PromptedEngine
from search.engines.protocol import ChildFinished, Event, FinishReason, Request, RequestFinished, Usage
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import CheckpointError, EngineError, RewardError
from search.ledger import Ledger
from search.plan import Plan
from search.prompts import Prompting
from search.remote.fake_server import FakeServer, Fault
from search.remote.retry import Retry
from search.result import Result
from search.rewards.judge import Judge
from search.rewards.judge_spec import TEMPLATES, JudgeSpec
from search.rewards.protocol import Handle, Reward
from search.run import run_plan
from search.strategies.protocol import Setting
from search.testing.bench import QUESTION, CountingEngine, make_bench
from search.testing.reward import RewardContract

STEPS = ["1+2=3", "3+4=7", "so 7", "7*2=14", "# 14"]
#: no waits between tries
SOON = Retry(breaks=2, first=1e-6, longest=1e-6)


def verdict(asked: str) -> str:
    """What a judge says that takes steps with 14 to be wrong."""
    shown = asked.partition("solution:\n\n")[2].partition("\n\n")[0]
    if "brackets" in asked:
        wrong = re.search(r"^\[(\d+)\] .*14", shown, re.MULTILINE)
        return wrong[1] if wrong else "-1"
    if "0 to 100" in asked:
        return "10" if "14" in shown else "90"
    return "No" if "14" in shown else "Yes"


def says(text: str, rng: Random) -> str:
    return verdict(text.rstrip(TURN))


class Likely(Mapping[str, Mapping[str, float]]):
    """A language model that says yes to what is right by 0.9, to what is wrong by 0.2."""

    def __getitem__(self, asked: str) -> Mapping[str, float]:
        yes = 0.9 if verdict(asked) == "Yes" else 0.2
        return {"Yes": yes, "No": 1.0 - yes}

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


Serve = Callable[..., FakeServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a fake server of the judging model."""
    with ExitStack() as running:

        def started(script: object = says, **options: object) -> FakeServer:
            engine = ScriptedEngine(script, name="critic")  # type: ignore[arg-type]
            return running.enter_context(FakeServer(FakeOpenAI(engine, **options)))  # type: ignore[arg-type]

        yield started


#: where the judge's model runs -> how its server answers
SERVED: dict[str, dict[str, object]] = {
    "vllm": {},
    "completions": {"takes": ("text",), "plays": "vllm"},
    "llama.cpp": {"plays": "llamacpp"},
    "chat": {"plays": "hosted", "takes": ("chat",)},
    "chat without logprobs": {"plays": "hosted", "takes": ("chat",), "refuses": ("logprobs", "top_logprobs")},
    "chat that passes logprobs over": {"plays": "hosted", "takes": ("chat",), "ignores": ("logprobs",)},
    "chat without n": {"plays": "hosted", "takes": ("chat",), "refuses": ("n", "logprobs")},
}


class JudgeContract(RewardContract):
    """What is charged for a step depends on what stands before it, so ``count`` does not add up."""

    async def test_usage_is_what_count_said(self, reward: Reward) -> None:
        assert reward.count(QUESTION, ()) == (0, 0)
        first = await reward.extend(reward.open(QUESTION), STEPS[:3])
        later = await reward.extend(first.handle, STEPS[3:])
        again = await reward.extend(first.handle, STEPS[3:])
        assert reward.need(first.handle, STEPS[3:]).tokens >= later.usage.logical_tokens
        assert later.usage.logical_tokens > len(STEPS[3]) + later.usage.written_tokens > 0
        assert (again.rewards, again.usage) == (later.rewards, later.usage)
        assert first.usage.prompt_tokens == later.usage.prompt_tokens == 0

    async def test_a_handle_without_state_is_scored_all_the_same(self, reward: Reward) -> None:
        whole = await reward.extend(reward.open(QUESTION), STEPS)
        later = await reward.extend(Handle(QUESTION, tuple(STEPS[:3])), STEPS[3:])
        assert later.rewards == pytest.approx(whole.rewards[3:], abs=self.near(reward))
        assert later.handle == whole.handle


class TestScopes(JudgeContract):
    @pytest.fixture(params=["steps:auto", "steps:logprobs", "steps:samples", "steps:number", "first_error"])
    def reward(self, request: pytest.FixtureRequest) -> Reward:
        spec = JudgeSpec.parse(f"judge:critic:{request.param}")
        return Judge(ScriptedEngine(says, name="critic", context=4096), spec)


class TestServers(JudgeContract):
    @pytest.fixture(params=SERVED)
    async def reward(self, request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[Reward]:
        self.served = request.param
        async with connected(serve(**SERVED[request.param]), scope="steps") as made:
            yield made

    def text_of(self, tokens: int) -> str:
        return "1" * (3 * tokens if self.served.startswith("chat") else tokens)  # an estimate by bytes


class TestWholeSolutions(JudgeContract):
    """One verdict a call: the reward of its steps is that of the solution up to its last one."""

    @pytest.fixture(params=["auto", "number"])
    def reward(self, request: pytest.FixtureRequest) -> Reward:
        return Judge(
            ScriptedEngine(says, name="critic", context=4096), JudgeSpec("critic", read=request.param)
        )

    async def test_one_reward_in_the_unit_interval_per_step(self, reward: Reward) -> None:
        right = await reward.extend(reward.open(QUESTION), STEPS[:3])
        wrong = await reward.extend(reward.open(QUESTION), STEPS)
        assert (len(right.rewards), len(wrong.rewards)) == (3, 5)
        assert 1.0 >= right.rewards[0] > 0.5 > wrong.rewards[0] >= 0.0
        assert len(set(right.rewards)) == len(set(wrong.rewards)) == 1

    async def test_step_by_step_is_all_at_once(self, reward: Reward) -> None:
        whole = await reward.extend(reward.open(QUESTION), STEPS)
        handle, rewards = reward.open(QUESTION), list[float]()
        for step in STEPS:
            scored = await reward.extend(handle, [step])
            handle = scored.handle
            rewards += scored.rewards
        assert rewards[-1] == whole.rewards[-1]
        assert [value > 0.5 for value in rewards] == [True, True, True, False, False]

    async def test_a_handle_branches_and_stays_as_it_was(self, reward: Reward) -> None:
        trunk = (await reward.extend(reward.open(QUESTION), STEPS[:2])).handle
        left, right = await asyncio.gather(reward.extend(trunk, ["14"]), reward.extend(trunk, ["so 7"]))
        assert left.rewards[-1] < 0.5 < right.rewards[-1]
        assert trunk.steps == tuple(STEPS[:2])


async def test_the_embedded_engine_judges(policy: Path) -> None:
    """A tiny model says nothing of use, but each of its first tokens has a probability."""
    async with Judge(EmbeddedEngine.load(policy), JudgeSpec(policy.name, read="logprobs")) as reward:
        assert reward.equal_bits
        one = await reward.extend(reward.open("(1+2)"), ["(3)"])
        assert one.rewards == (await reward.extend(reward.open("(1+2)"), ["(3)"])).rewards
        assert one.usage.written_tokens == 1
        assert one.usage.logical_tokens == reward.need(reward.open("(1+2)"), ["(3)"]).tokens


# -- what verdicts say --------------------------------------------------------------------------


async def test_p_yes_is_the_probability_of_the_answer() -> None:
    reward = Judge(ScriptedEngine(Likely(), name="critic"), JudgeSpec("critic", "steps", "logprobs"))
    scored = await reward.extend(reward.open(QUESTION), STEPS)
    assert scored.rewards == pytest.approx([0.9, 0.9, 0.9, 0.2, 0.2])


async def test_p_yes_is_the_share_of_the_samples() -> None:
    spec = JudgeSpec("critic", "steps", "samples", k=200)
    reward = Judge(ScriptedEngine(Likely(), name="critic"), spec)
    scored = await reward.extend(reward.open(QUESTION), STEPS[2:4])
    assert scored.rewards == pytest.approx([0.9, 0.2], abs=0.1)
    assert set(scored.rewards) != {0.9, 0.2} or len(set(scored.rewards)) == 2


async def test_the_first_wrong_step_is_shared_out_over_samples() -> None:
    script = {
        JudgeSpec("critic", "first_error").ask("?", ("a", "b", "c")): {
            "1": 0.5,
            "the answer is -1": 0.3,
            "none": 0.1,
            "7": 0.1,
        }
    }
    reward = Judge(ScriptedEngine(script, name="critic"), JudgeSpec("critic", "first_error", k=400))
    scored = await reward.extend(reward.open("?"), ["a", "b", "c"])
    assert scored.rewards == pytest.approx([1.0, 0.375, 0.375], abs=0.08)  # 5 in 8 say that b is wrong


@pytest.mark.parametrize(
    ("read", "answer", "value"),
    [
        ("logprobs", " yes", 1.0),
        ("logprobs", "**No**", 0.5),
        ("samples", "Yes.", 1.0),
        ("samples", "No, it does not say yes", 0.0),
        ("samples", "I checked: no 14. Yes", 1.0),
        ("samples", "perhaps", 0.5),
        ("number", "about 85%", 0.85),
        ("number", "850", 0.5),
        ("number", "none", 0.5),
    ],
)
async def test_answers_are_read_as_people_write_them(read: str, answer: str, value: float) -> None:
    spec = JudgeSpec("m", read=read, tokens=64)
    reward = Judge(ScriptedEngine(lambda text, rng: answer.strip(), name="m"), spec)
    scored = await reward.extend(reward.open("?"), ["1"])
    assert scored.rewards == (value,)
    assert reward.unreadable == (value == 0.5)


async def test_an_answer_that_is_no_verdict_says_nothing_and_eight_of_them_are_an_error() -> None:
    reward = Judge(ScriptedEngine(lambda text, rng: "As an AI, I", name="m"), JudgeSpec("m", "steps"))
    scored = await reward.extend(reward.open("?"), ["1"] * 7)
    assert scored.rewards == (0.5,) * 7
    with pytest.raises(RewardError, match="got none of its first 8 answers that does"):
        await reward.extend(reward.open("?"), ["1"])


async def test_one_readable_answer_makes_the_others_harmless() -> None:
    reward = Judge(
        ScriptedEngine(lambda text, rng: "Yes" if "fine" in text else "Hm", name="m"), JudgeSpec("m", "steps")
    )
    await reward.extend(reward.open("?"), ["fine"])
    assert (await reward.extend(reward.open("?"), ["1"] * 20)).rewards == (0.5,) * 20
    assert reward.unreadable == 20


async def test_a_thinking_model_is_asked_for_samples() -> None:
    class Thinking(ScriptedEngine):
        """Whose first token opens a thought."""

        def submit(self, request: Request) -> AsyncIterator[Event]:
            return self._thought() if request.max_tokens == 1 else super().submit(request)

        async def _thought(self) -> AsyncIterator[Event]:
            yield ChildFinished(0, "", (1,), (0.0,), FinishReason.THOUGHT, thought_tokens=1)
            yield RequestFinished(Usage(10, 0, 1))

    def script(text: str, rng: Random) -> str:
        return f"<think>let me see, no</think>{says(text, rng)}"

    reward = Judge(Thinking(script, name="m"), JudgeSpec("m", tokens=64))
    assert (await reward.extend(reward.open("?"), ["7"])).rewards == (1.0,)
    assert (await reward.extend(reward.open("?"), ["14"])).rewards == (0.0,)


# -- what is asked ------------------------------------------------------------------------------


def test_a_name_says_the_model_the_scope_the_read_and_the_template() -> None:
    plain = JudgeSpec("qwen2.5:0.5b")
    assert re.fullmatch(r"judge:qwen2\.5:0\.5b:solution:auto4:[0-9a-f]{8}", plain.name)
    assert JudgeSpec.parse(plain.name) == plain == JudgeSpec.parse("judge:qwen2.5:0.5b")
    others = [
        JudgeSpec("m"),
        JudgeSpec("m", "steps"),
        JudgeSpec("m", "first_error"),
        JudgeSpec("m", read="samples"),
        JudgeSpec("m", read="samples", k=8),
        JudgeSpec("m", read="number"),
        JudgeSpec("m", tokens=300),
        JudgeSpec("m", delimiter="\n\n"),
        JudgeSpec("m", template="{question} {solution} Right?"),
    ]
    assert len({spec.name for spec in others}) == len(others)
    card = ModelCard("m", 10, "f", 99)
    assert len({spec.card(card).fingerprint for spec in others}) == len(others)
    assert JudgeSpec("m").card(card) != JudgeSpec("m").card(ModelCard("m", 10, "g", 99))


@given(
    st.sampled_from(["solution", "steps", "first_error"]),
    st.sampled_from(["auto", "samples"]),
    st.integers(1, 64),
)
def test_names_are_read_as_they_are_written(scope: str, read: str, k: int) -> None:
    spec = JudgeSpec("a:b/c", scope, read, k)
    assert JudgeSpec.parse(spec.name) == spec


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"model": "a b"}, "a judge's model is a name without spaces"),
        ({"scope": "all"}, "scope must be one of solution, steps, first_error, got 'all'"),
        ({"read": "mind"}, "read must be one of auto, logprobs, samples, number, got 'mind'"),
        ({"scope": "first_error", "read": "number"}, "is read from samples, got read='number'"),
        ({"k": 0}, "k must be a whole number from 1 to 1024, got 0"),
        ({"tokens": 0}, "tokens must be a whole number from 1 to 65536, got 0"),
        ({"template": "{question}?"}, r"a judge's template must hold \{solution\} once"),
        ({"template": "{question}{solution}" + "x" * 20_000}, "at most 20000 characters, got 20020"),
    ],
)
def test_rules_are_told(words: dict[str, object], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        JudgeSpec(**{"model": "m", **words})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["judge:", "judge:a b", "critic", "judge:m:solution:auto4:zzzzzzzz x"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match="a judge is written judge:MODEL"):
        JudgeSpec.parse(name)


def test_a_name_with_the_hash_of_another_template_is_refused() -> None:
    own = JudgeSpec("m", template="{question} {solution} Right?")
    with pytest.raises(CheckpointError, match=r"must ask as its name says, got a template with the hash"):
        JudgeSpec.parse(own.name)
    assert JudgeSpec.parse(own.name, template=own.template) == own


def test_every_template_shows_what_is_judged_before_it_asks() -> None:
    """So verdicts on one problem, and on longer and longer solutions, share their beginnings."""
    for template in TEMPLATES.values():
        assert template.startswith("{question}")
        assert template.index("{question}") < template.index("{solution}") < template.index("nswer with")


async def test_templates_are_replaceable_and_braces_are_text() -> None:
    counting = CountingEngine(lambda text, rng: "Yes")
    spec = JudgeSpec("scripted", template="{x} {solution} | {question} {}")
    reward = Judge(counting, spec)
    await reward.extend(reward.open("{solution}?"), ["{question}", "b"])
    (request,) = counting.requests
    assert "".join(map(chr, request.prompt)) == "{x} {question}\nb | {solution}? {}" + TURN


def test_a_policys_prompting_is_taken_off() -> None:
    engine = ScriptedEngine(says, name="m")
    prompted = PromptedEngine(engine, Prompting("{question} Think step by step."))
    assert Judge(prompted).card == Judge(engine).card
    with pytest.raises(CheckpointError, match="a judge's model is its engine's, got 'other' for 'm'"):
        Judge(engine, JudgeSpec("other"))


# -- servers ------------------------------------------------------------------------------------


def connected(server: FakeServer, read: str = "auto", scope: str = "solution", **options: object) -> Judge:
    engine = OpenAIEngine.connect(
        server.url, "critic", parameters=1000, context=4096, patience=0.0, **options
    )  # type: ignore[arg-type]
    return Judge(engine, JudgeSpec("critic", scope, read), retry=SOON)


async def test_all_servers_say_the_same(serve: Serve) -> None:
    found = []
    for name, options in SERVED.items():
        async with connected(serve(**options), scope="steps") as reward:
            found.append((name, (await reward.extend(reward.open(QUESTION), STEPS)).rewards))
    assert {rewards for _, rewards in found} == {(1.0, 1.0, 1.0, 0.0, 0.0)}, found


async def test_without_logprobs_auto_draws_and_logprobs_says_what_to_do(serve: Serve) -> None:
    server = serve(**SERVED["chat without logprobs"])
    async with connected(server) as reward:
        await reward.extend(reward.open("?"), ["7"])
        before = len(server.asked)
        await reward.extend(reward.open("?"), ["8"])
        bodies = [came.body for came in server.asked[before:]]
        assert [(body["n"], body["max_tokens"]) for body in bodies] == [(4, 16)]  # not asked for again
    async with connected(server, "logprobs") as strict:
        with pytest.raises(RewardError, match="read = 'samples' or 'auto' does without"):
            await strict.extend(strict.open("?"), ["7"])


async def test_a_server_that_takes_no_n_is_sent_the_prompt_again_and_that_is_charged(serve: Serve) -> None:
    costs = {}
    for name in ("chat without logprobs", "chat without n"):
        async with connected(serve(**SERVED[name]), "samples") as reward:
            await reward.extend(reward.open("?"), ["7"])
            costs[name] = (await reward.extend(reward.open("?"), ["7"])).usage.logical_tokens
            assert reward.need(reward.open("?"), ["7"]).tokens >= costs[name]
    assert costs["chat without n"] > 2 * costs["chat without logprobs"]


@pytest.mark.parametrize("fault", [Fault.drop(), Fault.drop(after=1), Fault.answer(500, b"oops")], ids=str)
async def test_an_answer_that_breaks_off_is_asked_for_again(serve: Serve, fault: Fault) -> None:
    server = serve()
    async with connected(server, "samples") as reward:
        plain = await reward.extend(reward.open("?"), ["7"])
        server.fail("/v1/completions", fault)
        again = await reward.extend(reward.open("?"), ["7"])
        assert again.rewards == plain.rewards == (1.0,)
        assert again.usage.physical_tokens > plain.usage.physical_tokens
        need = JudgeSpec("critic").tokens * 4 + len(reward.spec.ask("?", ["7"])) + 1
        assert again.usage.logical_tokens <= need


@pytest.mark.parametrize(
    "faults",
    [[Fault.busy()], [Fault.drop()] * 3, [Fault.answer(404, b"gone")], [Fault.garbage()]],
    ids=["busy", "broken", "gone", "garbage"],
)
async def test_a_judge_that_fails_is_a_prm_that_fails(serve: Serve, faults: list[Fault]) -> None:
    server = serve()
    async with connected(server) as reward:
        server.fail("/v1/completions", *faults)
        with pytest.raises(RewardError):
            await reward.extend(reward.open("?"), ["7"])
        assert (await reward.extend(reward.open("?"), ["7"])).rewards == (1.0,)


async def test_a_caller_that_leaves_ends_its_verdict(serve: Serve) -> None:
    server = serve(pace=0.01)
    async with connected(server, "samples") as reward:
        asking = asyncio.create_task(reward.extend(reward.open("?"), ["7"]))
        while not any(came.path == "/v1/completions" for came in server.asked):
            await asyncio.sleep(0.001)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await reward.extend(reward.open("?"), ["7"])).rewards == (1.0,)


# -- plans under hard budgets -------------------------------------------------------------------

PLANS = [
    "best_of_n(n=4, score=last)",
    "weighted_vote(n=4, score=last)",
    "beam_search(n=4, width=2)",
    "dvts(n=4, width=2)",
]


def liking(text: str, rng: Random) -> str:
    """Likes solutions with a 5 in them."""
    shown = text.partition("solution:\n\n")[2]
    return "Yes" if "5" in shown else "No"


def run(plan: str, budget: Budget, spec: JudgeSpec, prices: object = None) -> tuple[Result, int, int, Ledger]:
    """The result, the tokens that the policy and the judge really took, and the ledger."""
    bench = make_bench()
    critic = CountingEngine(liking)
    judge = Judge(critic, spec)
    setting = Setting(bench.engine, judge, limits=bench.setting.limits)
    ledger = Ledger(budget, bench.engine.card, judge.card, prices)  # type: ignore[arg-type]
    result = asyncio.run(run_plan(bench.problem, Plan.parse(plan), setting, ledger=ledger, seed=3))
    asked = sum(len(request.prompt) for request in critic.requests)
    drawn = bench.prompt if bench.engine.requests else 0
    return result, drawn + bench.engine.generated, asked + critic.generated, ledger


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("scope", ["solution", "steps", "first_error"])
def test_plans_choose_what_the_judge_likes_and_charge_all_of_it(plan: str, scope: str) -> None:
    spec = JudgeSpec("scripted", scope, "auto" if scope != "first_error" else "samples")
    result, drawn, judged, ledger = run(plan, Budget.unlimited(), spec)
    assert result.answer is not None
    assert result.spend.policy_tokens == drawn
    assert ledger.spend.prm_tokens >= judged > 0
    assert all(candidate.step_rewards for candidate in result.candidates)


@settings(max_examples=40)
@given(
    st.sampled_from(PLANS),
    st.integers(0, 6000),
    st.sampled_from(
        ["solution:auto", "steps:samples3", "steps:logprobs", "first_error:samples2", "solution:number"]
    ),
)
def test_no_hard_budget_is_passed(plan: str, tokens: int, asked: str) -> None:
    spec = JudgeSpec.parse(f"judge:scripted:{asked}")
    _, drawn, judged, ledger = run(plan, Budget(tokens=tokens), spec)
    assert drawn + judged <= ledger.spend.tokens <= tokens


def test_money_tells_what_a_judge_reads_from_what_it_writes() -> None:
    prices = {
        "scripted": Prices(1.0, 2.0),
        JudgeSpec("scripted", read="samples", k=3).name: Prices(3.0, 50.0, 3.0, None, 50.0),
    }
    spec = JudgeSpec("scripted", read="samples", k=3)
    result, drawn, judged, ledger = run("best_of_n(n=1)", Budget.unlimited(), spec, prices)
    prompt, written = len(QUESTION) + 1, 3 * len("No\x03")
    own = spec.ask(QUESTION, result.candidates[0].text.split("\n")) + TURN
    said = judged - len(own)
    assert said in (written, 3 * len("Yes\x03"))
    expected = prompt * 1.0 + (drawn - prompt) * 2.0 + len(own) * 3.0 + said * 50.0
    assert ledger.usd == pytest.approx(expected / 1e6)


@settings(max_examples=20)
@given(st.integers(0, 20_000))
def test_no_budget_of_money_is_passed(micro: int) -> None:
    spec = JudgeSpec("scripted", read="samples", k=3)
    prices = {"scripted": Prices(1.0, 2.0), spec.name: Prices(3.0, 50.0, 3.0, None, 50.0)}
    _, _, _, ledger = run("best_of_n(n=4)", Budget(usd=micro / 1e6), spec, prices)
    assert ledger.usd <= micro / 1e6


def test_a_judge_that_fails_midway_ends_the_run_and_what_it_took_stays_charged() -> None:
    class Failing(CountingEngine):
        def submit(self, request: Request) -> AsyncIterator[Event]:
            if len(self.requests) == 2:
                raise EngineError("the backend is out of memory")
            return super().submit(request)

    bench = make_bench()
    judge = Judge(Failing(liking), JudgeSpec("scripted"))
    setting = Setting(bench.engine, judge, limits=bench.setting.limits)
    ledger = Ledger(Budget(tokens=100_000), bench.engine.card, judge.card)
    with pytest.raises(RewardError, match=r"the judge judge:scripted:.* failed: the backend is out"):
        asyncio.run(run_plan(bench.problem, Plan.parse("best_of_n(n=8)"), setting, ledger=ledger, seed=3))
    assert ledger.spend.prm_tokens > 0
    assert ledger.committed_tokens == ledger.spend.tokens  # nothing stays held


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("plays", ["hosted", "vllm"])
async def test_plans_need_nothing_but_a_chat_server(plan: str, plays: str, serve: Serve) -> None:
    bench = make_bench()

    def both(text: str, rng: Random) -> str:
        if "solution:" in text:
            return liking(text, rng)
        written = text.partition(TURN)[2]
        known = [one for one in ("2+3=6\nso\n# 6", "2+3=5\nthat is\n# 5") if one.startswith(written)]
        return rng.choice(known).removeprefix(written)

    takes = ("tokens", "chat") if plays == "vllm" else ("chat",)
    server = serve(both, plays=plays, takes=takes, refuses=("logprobs", "top_logprobs"))
    engine = OpenAIEngine.connect(server.url, "critic", parameters=1000, context=4096, dialect="chat")
    judge = Judge(engine, owns=False)
    async with engine:
        setting = Setting(engine, judge, limits=bench.setting.limits)
        result = await run_plan(bench.problem, Plan.parse(plan), setting, seed=1)
    assert result.answer == "5"
    assert not any(came.path == "/v1/completions" for came in server.asked)
    assert {one.text for one in result.candidates} <= {"2+3=6\nso\n# 6", "2+3=5\nthat is\n# 5"}
