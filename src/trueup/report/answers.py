"""Wrong answers, verbatim, with what each method made of them.

All of it is a stranger's text: escaped, with hidden characters made visible and each text kept in a box whose
reading order cannot reach out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trueup.report.svg import el
from trueup.report.words import plural, safe

FULL_CHARACTERS, FULL_LINES = 320, 9


def gallery(examples: Sequence[Mapping[str, Any]], most: int) -> str:
    """The examples of one stratum, each text cut at `most` characters."""
    if not examples:
        return el("p", "No wrong answer is on record for this stratum.", class_="reading")
    return "".join(_example(example, most) for example in examples)


def verbatim(text: str, most: int) -> str:
    """A stranger's text in a box; a long one behind its first line."""
    whole = _box(text, most)
    if len(text) <= FULL_CHARACTERS and text.count("\n") < FULL_LINES:
        return whole
    first = text.strip().splitlines()[0][:120] if text.strip() else ""
    summary = el(
        "summary",
        el("span", safe(first) + " …", class_="first", dir="auto"),
        el("small", plural(len(text), "character")),
    )
    return el("details", summary, whole, class_="long")


def _box(text: str, most: int) -> str:
    rest = len(text) - most
    left_out = el("small", f"… {plural(rest, 'more character')} in the raw study below") if rest > 0 else ""
    content = safe(text[:most]) if text else el("i", "empty")
    return el("pre", content, dir="auto") + left_out


def _example(example: Mapping[str, Any], most: int) -> str:
    asked = el(
        "div",
        el("h4", "Item ", el("code", safe(example["id"]))),
        verbatim(example["prompt"], most),
        el("h4", "Reference"),
        verbatim(_words(example["reference"]), most),
        class_="asked",
    )
    answers = el(
        "ul", *(_answer(labels, answer, most) for labels, answer in alike(example["answers"])), class_="answers"
    )
    return el("article", asked, answers, class_="example", data_id=example["id"])


def alike(answers: Sequence[Mapping[str, Any]]) -> list[tuple[list[str], Mapping[str, Any]]]:
    """Answers of the same text, reading and grade as one, with the labels of all that gave it."""
    found: dict[tuple[str, str | None, bool, str | None], tuple[list[str], Mapping[str, Any]]] = {}
    for answer in answers:
        key = (answer["text"], answer["value"], answer["right"], answer.get("failure"))
        found.setdefault(key, ([], answer))[0].append(answer["label"])
    return list(found.values())


def _answer(labels: Sequence[str], answer: Mapping[str, Any], most: int) -> str:
    class_ = "right" if answer["right"] else "wrong"
    mark = el("span", "✓" if answer["right"] else "✗", aria_hidden="true", class_="mark")
    names = (el("b", safe(label), data_label=label) for label in labels)
    head = el("div", mark, el("span", ", ".join(names), el("span", f" {class_}", class_="verdict")), class_="who")
    return el("li", head, el("div", verbatim(answer["text"], most), _reading(answer)), class_=class_)


def _reading(answer: Mapping[str, Any]) -> str:
    if answer.get("failure"):
        return el("p", safe(f"no answer: {answer['failure']}"), class_="read")
    if answer["value"] is None:
        return el("p", "nothing could be read", class_="read")
    if answer["value"].strip() == answer["text"].strip():
        return ""
    return el("p", "read as ", el("code", safe(_line(answer["value"])), dir="auto"), class_="read")


def _line(text: str, most: int = 160) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _words(reference: object) -> str:
    return reference if isinstance(reference, str) else repr(reference)
