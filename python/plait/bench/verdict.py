"""What the shares amount to, in words: for the page, where a bare figure would have to be looked up."""

from html import escape

from .processes.columns import LOOP_ONLY, PLAIT, label
from .results import Results
from .targets import TARGETS
from .units import share


def number_of_targets(results: Results) -> tuple[int, int]:
    """How many targets are met, and how many could be judged."""
    verdicts = [results.met(name) for name in results.runs]
    return verdicts.count(True), len(verdicts) - verdicts.count(None)


def mark(results: Results, name: str) -> str:
    met = results.met(name)
    if met is None:
        return "not judged" if name in TARGETS else "no target"
    return f'<span class="verdict {"met" if met else "missed"}">{"✓ met" if met else "✗ missed"}</span>'


def in_words(results: Results, name: str) -> str:
    """`plait takes 0.86 of what uvloop takes. Target, at most 0.97: met. Aim 0.90: reached.`"""
    sentences = [_comparison(results, name, column) for column in (PLAIT, LOOP_ONLY)]
    target, ours = TARGETS.get(name), results.share(name)
    if target is None:
        sentences.append("No target: shown for information.")
    elif ours is None:
        sentences.append(f"Target, at most {target.share:.2f}: could not be judged.")
    else:
        sentences.append(f"Target, at most {target.share:.2f}: {mark(results, name)}.")
    if target is not None and target.aim is not None:
        reached = "" if ours is None else ": reached" if ours <= target.aim else ": not reached"
        sentences.append(f"Aim {target.aim:.2f}{reached}.")
    return " ".join(sentence for sentence in sentences if sentence)


def _comparison(results: Results, name: str, column: str) -> str:
    ours, peer, target = results.share(name, column), results.best_peer(name), TARGETS.get(name)
    if ours is None or peer is None:
        return ""
    said = share(ours, None if target is None else target.share)
    times = f"{said} of" if ours <= 1 else f"{said} times"
    if column == LOOP_ONLY and results.share(name) is not None:
        return f"Its loop alone: {said}."
    who = f"<strong>{escape(label(column))}</strong>"
    return f"{who} takes <strong>{times}</strong> what {escape(label(peer))} takes."
