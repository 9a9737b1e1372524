"""``planner train``: makes what ``models/`` holds, and heads of policies. What was stopped goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.group import Commands
from planner.cli.progress import bar, bars
from search.errors import ArtefactError, ProblemError

__all__ = ["app"]

app = typer.Typer(
    cls=Commands, help="Make the lab's problems, policies, PRMs and planner.", no_args_is_help=True
)

Models = Annotated[
    Path,
    typer.Option(metavar="DIR", help="Where models lie and are written; what is there is not made again."),
]
Threads = Annotated[int, typer.Option(min=1, help="Torch threads.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, ...; auto takes a GPU when there is one.")]


@app.command()
def policy(
    size: Annotated[str, typer.Argument(help="s, m or l.")],
    models: Models = Path("models"),
    threads: Threads = 2,
    device: Device = "auto",
) -> None:
    """Train lab-policy-SIZE, measure it and write its card."""
    from training.lab.making.make import make_policy

    with bars() as tell:
        folder = make_policy(size, models, threads=threads, device=_device(device), tell=tell)
    typer.echo(f"made {folder}")


@app.command()
def prm(
    name: Annotated[str, typer.Argument(help="good, weak, ...: an unknown name lists them.")],
    models: Models = Path("models"),
    work: Annotated[Path, typer.Option(metavar="DIR", help="Where step labels are kept.")] = Path("runs"),
    threads: Threads = 2,
    device: Device = "auto",
) -> None:
    """Train lab-prm-NAME with all it begins from, measure it and write its card."""
    from training.lab.making.make import make_prm

    with bars() as tell:
        folder = make_prm(name, models, work, threads=threads, device=_device(device), tell=tell)
    typer.echo(f"made {folder}")


@app.command()
def head(
    log: Annotated[Path, typer.Argument(help="A search log with samples of the policy.")],
    policy: Annotated[
        str, typer.Option(metavar="P", help="The policy whose states are read: a folder, or a shipped one.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="HEAD", help="A new folder.")],
    samples: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose samples; by default the policy's own.")
    ] = None,
    inner: Annotated[int, typer.Option(min=0, help="Units of the hidden layer; 0: a linear head.")] = 64,
    decay: Annotated[float, typer.Option(min=0.0, help="Weight decay.")] = 0.1,
    count: Annotated[
        int | None, typer.Option("--problems", min=1, metavar="N", help="So many of the log's problems.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    device: Device = "cpu",
    dtype: Annotated[
        str | None, typer.Option(help="Floats of the policy: float32, bfloat16, float16.")
    ] = None,
) -> None:
    """Learn a value head on a policy's own hidden states from a log, and write its card."""
    from planner.cli.learning.head_figures import print_head
    from planner.models import find_model
    from search.log.store import SearchLog
    from training.heads.head import HeadWork, train_head
    from training.heads.head_fit import HeadRecipe

    folder = find_model(policy)
    asked = f"planner train head LOG --policy {folder.resolve().name} --inner {inner} --decay {decay:g}"
    asked += "" if samples is None else f" --samples {samples}"
    asked += "" if count is None else f" --problems {count}"
    work = HeadWork(
        log=SearchLog.open(log),
        policy=folder,
        samples=samples,
        recipe=HeadRecipe(inner=inner, decay=decay, seed=seed),
        problems=count,
        threads=threads,
        device=_device(device),
        dtype=dtype,
        command=f"{asked} --seed {seed}" + ("" if dtype is None else f" --dtype {dtype}"),
    )
    with bars() as tell:
        card = train_head(work, output, tell=tell)
    print_head(card)
    typer.echo(f"made {output}")


@app.command()
def problems(
    split: Annotated[str, typer.Argument(help="train, check, search or test; no two share a question.")],
    count: Annotated[int, typer.Argument(min=1, help="How many.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="JSON lines, plain or .gz.")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Generate lab problems with reference answers."""
    from search.problem_sets.problem_set import problems_fingerprint, write_problems
    from training.lab.identity import SPLITS
    from training.lab.problems import problem_set

    if split not in SPLITS:
        raise ProblemError(f"a split must be one of {', '.join(SPLITS)}, got {split!r}")
    if output.exists():
        raise ProblemError(f"problems are written to a new file, got {str(output)!r}, which exists")
    made = []
    with bar("problems") as tell:
        for worked in problem_set(split, count, seed):
            made.append(worked.problem)
            tell(len(made), count, worked.problem.family)
    write_problems(output, made)
    typer.echo(f"wrote {len(made)} problems to {output}, fingerprint {problems_fingerprint(made)}")


@app.command()
def domains(
    planner: Annotated[Path, typer.Argument(help="A planner that was fitted without a domain model.")],
    learned: Annotated[Path, typer.Argument(metavar="PROBLEMS", help="The problems it was learned from.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODEL", help="A new folder.")],
) -> None:
    """Add to a planner what tells its questions from others; nothing else of it changes."""
    if output.exists():
        raise ArtefactError(f"a planner is written to a new folder, got {str(output)!r}, which exists")
    from planner.planner import Planner
    from search.problem_sets.problem_set import read_problems
    from training.domains import with_domains

    fitted = with_domains(Planner.load(planner), read_problems(learned))
    fitted.save(output)
    typer.echo(f"wrote {output}, with the domains {', '.join(fitted.domains)}")


def _device(asked: str) -> str:
    if asked != "auto":
        return asked
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@app.command()
def report(
    logs: Annotated[
        list[Path], typer.Argument(help="Search logs over the same held-out problems, the main one first.")
    ],
    evaluation: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What `planner evaluate --json` printed on the first log."),
    ] = None,
    models: Models = Path("models"),
) -> None:
    """Write MODELS/README.md: cards, bins, headroom and what the lab has to decide."""
    import json

    from search.log.store import SearchLog
    from training.lab.making.lab_report import lab_report, read_cards

    page = lab_report(
        [SearchLog.open(path) for path in logs],
        "lab-policy-m",
        read_cards(models),
        None if evaluation is None else json.loads(evaluation.read_text()),
    )
    (models / "README.md").write_text(page)
    typer.echo(f"wrote {models / 'README.md'}")
