"""A planner on disk, safe to load from a stranger: JSON, safetensors and LightGBM text; no pickle.

    MODEL/manifest.json        kind, version, and size and sha256 of every other file
    MODEL/planner.json         probes, choices, costs, calibration, cards
    MODEL/arrays.safetensors   n-gram reduction, factors, feature ranges, frontier, domain model
    MODEL/stage0-model0.txt    boosted models, checked by planner.predicting.trees (LightGBM never reads them)

Whatever is wrong with such a folder ends in one ArtefactError. The hashes find damage; they do not
make a stranger trustworthy, so everything is checked for structure as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.deciding.cost import ChoiceCost
from planner.deciding.decision import Trust
from planner.deciding.fitted import Fitted
from planner.deciding.stages import ActionSpec, Stage
from planner.evidence.probe import Probe
from planner.features.familiarity import DomainModel
from planner.features.question import NgramEncoder
from planner.predicting.added import Added
from planner.predicting.bounds import Bounds
from planner.predicting.calibration import Calibration, Promises, Reliability
from planner.predicting.frontier import Frontier
from planner.predicting.neighbours import Likeness, Neighbours
from search.cards import ModelCard
from search.choice import Choice
from search.drawing import Drawing
from search.errors import ArtefactError, GridError
from search.plan import Plan
from search.prompts import Prompting
from search.strategies.words import check_words

__all__ = ["FORMAT_VERSION", "load", "save"]

#: raised whenever a reader of the old version would misread the new one, or the other way round
FORMAT_VERSION = 3

_KIND = "planner"
_MANIFEST, _BODY, _ARRAYS = "manifest.json", "planner.json", "arrays.safetensors"
_MOST_BYTES = 256 * 1024 * 1024
_MOST_STAGES, _MOST_MODELS = 32, 256
#: arrays of a stage's promises
_PROMISES = ("prices", "logit", "tokens", "flops")
#: arrays of a domain model, but for ``known``
_DOMAIN_ARRAYS = ("centre", "scale", "weights", "bias", "edges", "tails")


def save(planner: Fitted, path: Path) -> None:
    """Write a planner to a new folder, or over one that holds a planner. All or nothing.

    Raises ArtefactError when ``path`` holds anything else.
    """
    if path.exists() and not (path / _MANIFEST).is_file() and (not path.is_dir() or any(path.iterdir())):
        raise ArtefactError(
            f"a planner is written to a new folder or over another planner, got {str(path)!r}"
        )
    arrays: dict[str, NDArray[Any]] = {
        "ngrams.idf": planner.encoder.idf.astype(np.float32),
        "ngrams.components": planner.encoder.components.astype(np.float32),
        **{
            f"frontier.{name}": getattr(planner.frontier, name)
            for name in ("prices", "accuracy", "tokens", "flops")
        },
    }
    bounds = planner.frontier.bounds
    if bounds is not None:
        arrays |= {"frontier.bounds.mean": bounds.mean, "frontier.bounds.error": bounds.error}
    files: dict[str, bytes] = {}
    stages = []
    for number, stage in enumerate(planner.stages):
        for name in ("centre", "loadings", "lowest", "highest"):
            arrays[f"stage{number}.{name}"] = getattr(stage, name)
        for name in ("prices", "advance_cost"):
            arrays[f"stage{number}.{name}"] = getattr(stage.actions, name)
        if stage.trust is not None:
            arrays[f"stage{number}.trust.prices"] = stage.trust.prices
            for name in ("learned", "near"):
                arrays[f"stage{number}.trust.{name}"] = getattr(stage.trust, name).astype(np.float64)
        if stage.neighbours is not None:
            likeness = stage.neighbours.likeness
            arrays |= {
                f"stage{number}.near.known": likeness.known,
                f"stage{number}.near.centre": likeness.centre,
                # a feature that never varied has no scale, and files hold finite numbers
                f"stage{number}.near.scale": np.where(np.isinf(likeness.scale), 0.0, likeness.scale),
                f"stage{number}.near.values": stage.neighbours.values,
            }
        if stage.promises is not None:
            for name in _PROMISES:
                arrays[f"stage{number}.promises.{name}"] = getattr(stage.promises, name)
        if stage.added is not None:
            arrays[f"stage{number}.added.weights"] = stage.added.weights
            arrays[f"stage{number}.added.average"] = stage.added.average
        for place, text in enumerate(stage.models):
            files[f"stage{number}-model{place}.txt"] = text.encode()
        stages.append(_stage_json(stage))
    body: dict[str, Any] = {
        "stages": stages,
        "policies": {name: asdict(card) for name, card in planner.policies.items()},
        "prms": {name: asdict(card) for name, card in planner.prms.items()},
        "domains": list(planner.domains),
        "sample_flops": planner.sample_flops,
        "card": dict(planner.card),
    }
    if bounds is not None:
        body["bounded_by"] = bounds.units
    if planner.promptings:
        body["promptings"] = {name: asdict(prompting) for name, prompting in planner.promptings.items()}
    if planner.drawings:
        body["drawings"] = {name: drawing.to_json() for name, drawing in planner.drawings.items()}
    if planner.words:
        body["words"] = dict(planner.words)
    if planner.domain_model is not None:
        model = planner.domain_model
        body["domain_model"] = {
            "domains": list(model.domains),
            "problems": model.problems,
            "limit": model.limit,
        }
        arrays |= {f"domain.{name}": getattr(model, name) for name in _DOMAIN_ARRAYS}
        arrays["domain.weights"] = model.weights.astype(np.float32)
        arrays["domain.known"] = model.known.astype(np.float64)  # below 2**32, so nothing is lost
    from safetensors.numpy import save as to_bytes

    files[_BODY] = json.dumps(body, indent=1, sort_keys=True, allow_nan=False).encode()
    files[_ARRAYS] = to_bytes({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    manifest = {
        "kind": _KIND,
        "version": FORMAT_VERSION,
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        },
    }
    files[_MANIFEST] = json.dumps(manifest, indent=1, sort_keys=True).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        for name, data in files.items():
            (fresh / name).write_bytes(data)
        fresh.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        os.rename(fresh, path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def load(path: Path) -> Fitted:
    """Read a planner. ArtefactError: the folder is missing, damaged, foreign or of another version."""
    files = _verified(path)
    try:
        body = json.loads(files[_BODY].decode(), parse_constant=_no_constant)
        arrays = _arrays(files[_ARRAYS])
        return _fitted(body, arrays, files)
    except ArtefactError:
        raise
    # whatever shape a stranger's JSON has: the wrong key, type or number is damage, and nothing else
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ArtefactError(
            f"a planner's files must fit together, got {type(error).__name__}: {str(error)[:120]}"
        ) from error


def _verified(path: Path) -> dict[str, bytes]:
    """Every file that the manifest names, with size and hash checked."""
    if not (path / _MANIFEST).is_file():
        raise ArtefactError(f"a planner is a folder with {_MANIFEST}, got {str(path)!r}")
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes().decode())
        kind = manifest["kind"]
        # a manifest of another kind has other keys
        version, named = (manifest["version"], dict(manifest["files"])) if kind == _KIND else (None, {})
        sizes = {str(name): (int(entry["bytes"]), str(entry["sha256"])) for name, entry in named.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtefactError(
            f"{_MANIFEST} must be whole JSON, got {type(error).__name__} in {str(path)!r}"
        ) from error
    if kind != _KIND:
        raise ArtefactError(
            f"the kind of artefact must be {_KIND!r}, got {str(kind)[:40]!r} in {str(path)!r}"
        )
    if version != FORMAT_VERSION:
        raise ArtefactError(
            f"the planner's version must be {FORMAT_VERSION}, got {str(version)[:40]}: "
            "make it again with planner fit"
        )
    if not {_BODY, _ARRAYS} <= set(sizes) or len(sizes) > 2 + _MOST_STAGES * _MOST_MODELS:
        raise ArtefactError(f"a planner holds {_BODY} and {_ARRAYS}, got {sorted(sizes)[:5]}")
    files: dict[str, bytes] = {}
    for name, (size, digest) in sizes.items():
        if Path(name).name != name or name in (".", "..", ""):
            raise ArtefactError(f"a planner's files lie in its folder, got {name[:80]!r}")
        file = path / name
        if not file.is_file() or file.stat().st_size != size or size > _MOST_BYTES:
            raise ArtefactError(f"{name} must be a file of {size} bytes, it is missing or of another size")
        data = file.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise ArtefactError(f"{name} must have the hash that the manifest says, it is damaged")
        files[name] = data
    return files


def _arrays(data: bytes) -> dict[str, NDArray[np.float64]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        raw = from_bytes(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{_ARRAYS} must be a whole safetensors file, got {str(error)[:80]}") from error
    for name, array in raw.items():
        if array.dtype not in (np.float32, np.float64) or not np.isfinite(array).all():
            raise ArtefactError(f"arrays must hold finite floats, got {array.dtype} in {name[:40]!r}")
    return {name: array.astype(np.float64) for name, array in raw.items()}


def _fitted(
    body: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float64]], files: Mapping[str, bytes]
) -> Fitted:
    stages = body["stages"]
    if not isinstance(stages, list) or not 1 <= len(stages) <= _MOST_STAGES:
        raise ArtefactError(f"a planner has 1 to {_MOST_STAGES} stages, got {str(stages)[:40]}")
    return Fitted(
        stages=tuple(_stage(entry, number, arrays, files) for number, entry in enumerate(stages)),
        encoder=NgramEncoder(arrays["ngrams.idf"], arrays["ngrams.components"]),
        frontier=Frontier(
            prices=arrays["frontier.prices"],
            accuracy=arrays["frontier.accuracy"],
            tokens=arrays["frontier.tokens"],
            flops=arrays["frontier.flops"],
            # planners from before this was told have none
            bounds=None if "bounded_by" not in body else _bounds(body["bounded_by"], arrays),
        ),
        policies={str(name): _card(card) for name, card in body["policies"].items()},
        prms={str(name): _card(card) for name, card in body["prms"].items()},
        domains=tuple(str(domain) for domain in body["domains"]),
        sample_flops=float(body["sample_flops"]),
        card=dict(body["card"]),
        # planners from before this was told have none: where it matters, their policies' fingerprints differ
        promptings={str(name): _prompting(value) for name, value in body.get("promptings", {}).items()},
        domain_model=None if "domain_model" not in body else _domain_model(body["domain_model"], arrays),
        # planners from before this was told have none
        drawings={str(name): Drawing.from_json(value) for name, value in body.get("drawings", {}).items()},
        words=_words(body.get("words", {})),
    )


def _bounds(units: object, arrays: Mapping[str, NDArray[np.float64]]) -> Bounds:
    if not isinstance(units, int):
        raise ArtefactError(f"bounds are of a whole number of families, got {str(units)[:40]}")
    return Bounds(arrays["frontier.bounds.mean"], arrays["frontier.bounds.error"], units)


def _domain_model(entry: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float64]]) -> DomainModel:
    known = arrays["domain.known"]
    if not ((known == np.floor(known)) & (known >= 0) & (known < 2**32)).all():
        raise ArtefactError("known words of a domain model must be whole numbers of 32 bits, got others")
    return DomainModel(
        domains=tuple(str(domain) for domain in entry["domains"]),
        problems=int(entry["problems"]),
        known=known.astype(np.int64),
        limit=float(entry["limit"]),
        **{name: arrays[f"domain.{name}"] for name in _DOMAIN_ARRAYS},
    )


def _stage_json(stage: Stage) -> dict[str, Any]:
    actions = stage.actions
    return {
        "look": actions.probe.to_dict(),
        "next_look": None if actions.next_probe is None else actions.next_probe.to_dict(),
        "choices": [[c.policy, c.prm, str(c.plan)] for c in actions.choices],
        "reference": actions.reference,
        "policies": list(actions.policies),
        "choice_costs": [cost.to_json() for cost in actions.choice_costs],
        "look_costs": None if actions.probe_costs is None else actions.probe_costs.to_json(),
        "mean_length": actions.mean_length,
        "models": len(stage.models),
        **({"thoughts": True} if actions.thoughts else {}),
        "calibration": stage.calibration.to_json(),
        "reliability": stage.reliability.to_json(),
        "neighbours": 0 if stage.neighbours is None else stage.neighbours.count,
        **({} if stage.promises is None else {"promised_for": list(stage.promises.domains)}),
    }


def _stage(
    entry: Mapping[str, Any],
    number: int,
    arrays: Mapping[str, NDArray[np.float64]],
    files: Mapping[str, bytes],
) -> Stage:
    count = entry["models"]
    if not isinstance(count, int) or not 1 <= count <= _MOST_MODELS:
        raise ArtefactError(f"a stage holds 1 to {_MOST_MODELS} models, got {str(count)[:40]}")
    actions = ActionSpec(
        probe=_probe(entry["look"]),
        choices=tuple(
            Choice(str(policy), _name(prm), Plan.parse(str(plan))) for policy, prm, plan in entry["choices"]
        ),
        reference=int(entry["reference"]),
        policies=tuple(str(name) for name in entry["policies"]),
        choice_costs=tuple(ChoiceCost.from_json(cost) for cost in entry["choice_costs"]),
        probe_costs=None if entry["look_costs"] is None else ChoiceCost.from_json(entry["look_costs"]),
        next_probe=None if entry["next_look"] is None else _probe(entry["next_look"]),
        prices=arrays[f"stage{number}.prices"],
        advance_cost=arrays[f"stage{number}.advance_cost"],
        mean_length=float(entry["mean_length"]),
        # planners from before this was seen do not see it
        thoughts=bool(entry.get("thoughts", False)),
    )
    return Stage(
        actions=actions,
        centre=arrays[f"stage{number}.centre"],
        loadings=arrays[f"stage{number}.loadings"],
        models=tuple(files[f"stage{number}-model{place}.txt"].decode() for place in range(count)),
        lowest=arrays[f"stage{number}.lowest"],
        highest=arrays[f"stage{number}.highest"],
        calibration=Calibration(float(entry["calibration"]["slope"]), float(entry["calibration"]["offset"])),
        reliability=Reliability.from_json(entry["reliability"]),
        trust=_trust(number, arrays),
        neighbours=_neighbours(int(entry["neighbours"]), number, arrays),
        # planners from before this was told have none
        promises=None if "promised_for" not in entry else _promises(entry["promised_for"], number, arrays),
        added=_added(number, arrays),
    )


def _trust(number: int, arrays: Mapping[str, NDArray[np.float64]]) -> Trust | None:
    learned = arrays.get(f"stage{number}.trust.learned")
    if learned is None:
        return None
    near = arrays[f"stage{number}.trust.near"]
    if not (np.isin(learned, (0.0, 1.0)).all() and np.isin(near, (0.0, 1.0)).all()):
        raise ArtefactError("trust is told as 0 or 1 at each price, got other numbers")
    return Trust(arrays[f"stage{number}.trust.prices"], learned == 1.0, near == 1.0)


def _neighbours(count: int, number: int, arrays: Mapping[str, NDArray[np.float64]]) -> Neighbours | None:
    if not count:
        return None
    known, centre, scale, values = (
        arrays[f"stage{number}.near.{name}"] for name in ("known", "centre", "scale", "values")
    )
    if known.ndim != 2 or not centre.shape == scale.shape == (known.shape[1],) or (scale < 0.0).any():
        raise ArtefactError(f"neighbours have a centre and a scale of each feature, got {known.shape}")
    likeness = Likeness(centre, np.where(scale > 0.0, scale, np.inf), known.astype(np.float32))
    return Neighbours(likeness, values, count)


def _promises(domains: Sequence[object], number: int, arrays: Mapping[str, NDArray[np.float64]]) -> Promises:
    kept = {name: arrays[f"stage{number}.promises.{name}"] for name in _PROMISES}
    return Promises(domains=tuple(str(domain) for domain in domains), **kept)


def _added(number: int, arrays: Mapping[str, NDArray[np.float64]]) -> Added | None:
    weights = arrays.get(f"stage{number}.added.weights")
    return None if weights is None else Added(weights, arrays[f"stage{number}.added.average"])


def _probe(value: Mapping[str, Any]) -> Probe:
    return Probe(
        str(value["policy"]), int(value["samples"]), _name(value["prm"]), bool(value.get("greedy", False))
    )


def _name(value: object) -> str | None:
    return None if value is None else str(value)


def _card(value: Mapping[str, Any]) -> ModelCard:
    per_token = value["flops_per_token"]
    return ModelCard(
        name=str(value["name"]),
        parameters=int(value["parameters"]),
        fingerprint=str(value["fingerprint"]),
        context=int(value["context"]),
        flops_per_token=None if per_token is None else float(per_token),
    )


def _words(value: Mapping[str, Any]) -> dict[str, str]:
    words = {str(name): str(text) for name, text in value.items()}
    try:
        check_words(words)
    except GridError as error:
        raise ArtefactError(f"a planner's words must be such as a grid takes: {str(error)[:200]}") from error
    return words


def _prompting(value: Mapping[str, Any]) -> Prompting:
    try:
        return Prompting(str(value["template"]), str(value["delimiter"]))
    except GridError as error:
        raise ArtefactError(
            f"a planner's promptings must be such as a grid takes: {str(error)[:200]}"
        ) from error


def _no_constant(name: str) -> float:
    raise ArtefactError(f"a planner's numbers are finite, got {name}")
