"""Small files in the shapes of public data sets, as a download leaves them.

Columns, nested types and quirks are those of the data sets' cards and of code that reads them; the problems
are ours.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as parquet
import yaml

from rlvr.data.countdown import question

Rows = list[dict[str, Any]]

PICTURE = "![](https://cdn.example.org/2024_04_17_a.jpg?height=302&width=305)"


class Published(NamedTuple):
    """How a data set is published."""

    write: Callable[[Path], None]
    """Writes it at the path of its recipe."""
    expected: list[tuple[str, str]]
    """Problem and answer of each row that the recipe prepares."""
    alternates: list[list[str]] | None = None
    """Further correct answers of each row."""
    dropped: dict[str, int] = {}  # noqa: RUF012  # read only
    """Kind -> rows that are left out."""
    kept: dict[str, int] = {}  # noqa: RUF012  # read only
    """Kind -> rows with a defect that are used."""


def _parquet(path: Path, rows: Rows, types: dict[str, pa.DataType] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(list(types.items())) if types else None
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def _shards(folder: Path, split: str, rows: Rows, shards: int = 1) -> None:
    for number in range(shards):
        _parquet(folder / f"{split}-{number:05d}-of-{shards:05d}.parquet", rows[number::shards])


def _countdown(folder: Path) -> None:
    """TinyZero's data: the same problem in another order, and one without a solution."""
    rows = [([44, 19, 35], 98), ([63, 95, 96], 64), ([3, 3, 8, 8], 24), ([35, 44, 19], 98), ([1, 1, 1], 50)]
    types = {"target": pa.int64(), "nums": pa.list_(pa.int64())}
    _parquet(
        folder / "data" / "train-00000-of-00001.parquet",
        [{"target": target, "nums": numbers} for numbers, target in rows],
        types,
    )


def _card(folder: Path, configs: dict[str, dict[str, str]]) -> None:
    """Write the README of a repository: configuration -> split -> pattern of its files."""
    entries = [
        {
            "config_name": name,
            "data_files": [{"split": split, "path": path} for split, path in splits.items()],
        }
        for name, splits in configs.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': entries})}---\n# Card\n")
    (folder / ".cache" / "huggingface").mkdir(parents=True)
    (folder / ".cache" / "huggingface" / "README.md.metadata").write_text("revision\n")


def _verl(problem: str, gold: str, index: object, source: str, system: str | None = None) -> dict[str, Any]:
    system_messages = [{"content": system, "role": "system"}] if system else []
    return {
        "data_source": source,
        "prompt": [*system_messages, {"content": problem, "role": "user"}],
        "ability": "MATH",
        "reward_model": {"ground_truth": gold, "style": "rule-lighteval/MATH_v2"},
        "extra_info": {"index": index},
    }


_DAPO = (
    "Solve the following math problem step by step. The last line of your response should be of the form "
    "Answer: $Answer (without quotes) where $Answer is the answer to the problem.\n\n{}\n\n"
    'Remember to put your answer on its own line after "Answer:".'
)
_TRIANGLE = ("In triangle $ABC$, $AB=13$, $BC=14$ and $CA=15$. Find its area.", "84")
_FRACTION = ("The answer is in the form \x0crac{m}{n}. Find $m+n$ for the half of $\\frac{2}{3}$.", "4")


def _dapo_original(path: Path) -> None:
    problems = [_TRIANGLE, _FRACTION]
    rows = [
        _verl(_DAPO.format(problem), gold, f"9a9b6eb4-{number}", "math_dapo")
        for _ in range(100)
        for number, (problem, gold) in enumerate(problems)
    ]
    _parquet(path, rows)


def _dapo_processed(path: Path) -> None:
    _card(path.parent, {name: {"train": f"{name}/train-*"} for name in ("all", "cn", "en")})
    for name in ("all", "cn", "en"):
        rows = [
            {
                **_verl(_DAPO.format(problem), gold, f"9a9b6eb4-{name}-{number}", "math_dapo"),
                "prompt": problem,
                "solution": gold,
                "source_prompt": [{"content": _DAPO.format(problem), "role": "user"}],
            }
            for number, (problem, gold) in enumerate([_TRIANGLE, _FRACTION, _TRIANGLE])
        ]
        _shards(path.parent / name, "train", rows)


def _skywork(path: Path) -> None:
    _card(path, {"default": {"math": "data/math-*", "code": "data/code-*"}})
    difficulty = {f"DeepSeek-R1-Distill-Qwen-{size}B": 3 for size in ("1.5", "32", "7")}
    golds = [r'["\\frac{1}{2}"]', '["12", "12.0"]', '["84"]']
    problems = ["Halve $1$.", "What is a dozen?", _TRIANGLE[0]]
    rows = [
        _verl(problem, gold, number, "train-math-numinamath1.5_olympiads")
        for number, (problem, gold) in enumerate(zip(problems, golds, strict=True))
    ]
    for row in rows:
        row["extra_info"]["model_difficulty"] = difficulty
    _shards(path / "data", "math", rows)
    _shards(path / "data", "code", [_verl("Write a program.", '{"inputs": ["1"]}', 0, "train-code-taco")])


def _orz(path: Path) -> None:
    pairs = [
        [
            {"from": "human", "value": problem},
            {"from": "assistant", "ground_truth": {"value": gold}},
        ]
        for problem, gold in (_TRIANGLE, ("Simplify $\\sqrt{8}$.", "2\\sqrt{2}"))
    ]
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(pairs, indent=2))


def _openr1(path: Path) -> None:
    _card(path.parent, {"all": {"train": "all/train-*"}, "default": {"train": "data/train-*"}})
    golds = [
        _TRIANGLE,
        ("Which is even?\nA. 1\nB. 2", "B"),
        (f"Find the marked angle. {PICTURE}", "30^{\\circ}"),
    ]
    rows = [
        {
            "problem": problem,
            "solution": "## Solution.\n\n$\\boxed{1}$",
            "answer": gold,
            "problem_type": "Algebra",
            "question_type": "math-word-problem",
            "source": "olympiads",
            "uuid": f"586fd646-{number}",
            "is_reasoning_complete": [True, True],
            "generations": ["<think>\n1\n</think>", "<think>\n2\n</think>"],
            "correctness_math_verify": [True, False],
            "correctness_llama": None,
            "finish_reasons": None,
            "correctness_count": 1,
            "messages": [{"content": problem, "role": "user"}],
        }
        for number, (problem, gold) in enumerate(golds)
    ]
    _shards(path, "train", rows, shards=3)


def _numina(path: Path) -> None:
    _card(path, {"default": {"train": "data/train-*"}})
    golds = [
        (_TRIANGLE[0], "84", "math-word-problem"),
        ("Prove that $1<2$.", "proof", "proof"),
        ("Find all $x$.", "notfound", "math-word-problem"),
        ("Draw it.", None, "math-word-problem"),
        ("Which is even?\nA. 1\nB. 2", "B", "MCQ"),
        ("How many?", "None", "math-word-problem"),
        (f"Find the marked angle. {PICTURE}", "30", "math-word-problem"),
    ]
    rows = [
        {
            "problem": problem,
            "solution": "So it is.",
            "answer": gold,
            "problem_type": "Geometry",
            "question_type": kind,
            "problem_is_valid": "Yes",
            "solution_is_valid": "Yes",
            "source": "olympiads",
            "synthetic": False,
        }
        for problem, gold, kind in golds
    ]
    _shards(path / "data", "train", rows, shards=2)


def _big_math(path: Path) -> None:
    from datasets import Dataset, DatasetDict

    rows = [
        {
            "problem": problem,
            "answer": gold,
            "source": "orca_math",
            "domain": ["Mathematics -> Geometry"],
            "llama8b_solve_rate": rate,
        }
        for problem, gold, rate in [
            (*_TRIANGLE, 0.5),
            (*_TRIANGLE, None),
            ("Halve $1$.", "\\frac{1}{2}", 0.9),
        ]
    ]
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(str(path))


def _deepmath(path: Path) -> None:
    _card(path, {"default": {"train": "data/train-*"}})
    rows = [
        {
            "question": problem,
            "final_answer": gold,
            "difficulty": 5.0,
            "topic": "Mathematics -> Calculus",
            **{f"r1_solution_{number}": "<think>..</think>\n\n$\\boxed{1}$" for number in (1, 2, 3)},
        }
        for problem, gold in [
            ("Is every limit unique in a Hausdorff space?", "Yes"),
            ("Halve 1.", "\\dfrac{1}{2}"),
        ]
    ]
    _shards(path / "data", "train", rows, shards=4)


def _polaris(path: Path) -> None:
    rows = [
        {"problem": _TRIANGLE[0], "answer": "84", "difficulty": "7/8"},
        {"problem": "Halve 1.", "answer": "0.5", "difficulty": "0/8"},
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def _math(path: Path) -> None:
    solutions = {
        "train/algebra/1.json": ("Halve 1.", r"First, $\boxed{1}$ is halved. We get $\boxed{\frac{1}{2}}$."),
        "train/geometry/10.json": ("Area? [asy] draw((0,0)--(1,0)); [/asy]", r"It is \fbox{84}."),
        "train/algebra/2.json": ("Name the city.", r"It is $\boxed{\text{(C)}}$."),
        "train/precalculus/3.json": ("Show it.", "It has no box."),
        "test/algebra/1.json": ("Another.", r"$\boxed{1}$"),
    }
    for name, (problem, solution) in solutions.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        row = {"problem": problem, "level": "Level 5", "type": "Algebra", "solution": solution}
        (path / name).write_text(json.dumps(row, indent=4))


def _gsm8k(path: Path) -> None:
    _card(
        path.parent,
        {name: {split: f"{name}/{split}-*" for split in ("train", "test")} for name in ("main", "socratic")},
    )
    row = {
        "question": "Ann has 3 apples and buys 4. How many has she?",
        "answer": "She has 3+4=<<3+4=7>>7 apples.\n#### 7",
    }
    for name in ("main", "socratic"):
        _shards(path.parent / name, "train", [{**row, "question": "Another?"}])
        _shards(
            path.parent / name,
            "test",
            [row, {"question": "What is a thousand?", "answer": "Count.\n#### 1,000"}],
        )


def _olympiadbench(path: Path) -> None:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    text, texts = pa.string(), pa.list_(pa.string())
    types = {
        "id": pa.int64(),
        "question": text,
        "solution": texts,
        "final_answer": texts,
        "context": text,
        **{f"image_{number}": image for number in range(1, 10)},
        "modality": text,
        "difficulty": text,
        "is_multiple_answer": pa.bool_(),
        "unit": text,
        "answer_type": text,
        "error": text,
        "question_type": text,
        "subfield": text,
        "subject": text,
        "language": text,
    }
    common = {"solution": ["So it is."], "modality": "Text-only", "difficulty": "Competition", "unit": None}
    rows = [
        {**common, "id": 1606, "question": "Halve $1$.", "final_answer": ["$\\frac{1}{2}$", "0.5"]},
        {
            **common,
            "id": 2231,
            "question": "See <image_1>.",
            "final_answer": ["$2,-2$"],
            "is_multiple_answer": True,
            "image_1": {"bytes": b"\x89PNG", "path": "image_1.png"},
        },
    ]
    _parquet(path / f"{path.name}.parquet", rows, types)


def _matharena(path: Path) -> None:
    _card(path, {"default": {"train": "data/train-*"}})
    rows = [
        {"problem_idx": 1, "problem": "Halve $1$.", "answer": "\\frac{1}{2}", "problem_type": ["Algebra"]},
        {"problem_idx": 2, "problem": _TRIANGLE[0], "answer": "84", "problem_type": ["Geometry", "Algebra"]},
    ]
    _shards(path / "data", "train", rows)


PUBLISHED: dict[str, Published] = {
    "dapo-math-17k-original": Published(
        _dapo_original, [_TRIANGLE, _FRACTION], dropped={"duplicate_id": 198}, kept={"control_characters": 1}
    ),
    "dapo-math-17k-processed": Published(
        _dapo_processed,
        [_TRIANGLE, _FRACTION, _TRIANGLE],
        kept={"control_characters": 1, "duplicate_problem": 1},
    ),
    "skywork-or1": Published(
        _skywork,
        [("Halve $1$.", "\\frac{1}{2}"), ("What is a dozen?", "12"), _TRIANGLE],
        alternates=[[], ["12.0"], []],
    ),
    "orz-57k": Published(_orz, [_TRIANGLE, ("Simplify $\\sqrt{8}$.", "2\\sqrt{2}")]),
    "openr1-math": Published(
        _openr1,
        [_TRIANGLE, ("Which is even?\nA. 1\nB. 2", "B")],
        dropped={"image": 1},
        kept={"choice_letter": 1},
    ),
    "numinamath-1.5": Published(
        _numina,
        [_TRIANGLE, ("Which is even?\nA. 1\nB. 2", "B")],
        dropped={"missing_field": 1, "image": 1, "sentinel_answer": 3},
        kept={"choice_letter": 1},
    ),
    "big-math": Published(
        _big_math, [_TRIANGLE, ("Halve $1$.", "\\frac{1}{2}")], dropped={"duplicate_problem": 1}
    ),
    "deepmath-103k": Published(
        _deepmath, [("Is every limit unique in a Hausdorff space?", "Yes"), ("Halve 1.", "\\dfrac{1}{2}")]
    ),
    "polaris-53k": Published(_polaris, [_TRIANGLE, ("Halve 1.", "0.5")]),
    "math-train": Published(
        _math,
        [
            ("Halve 1.", "\\frac{1}{2}"),
            ("Name the city.", "\\text{(C)}"),
            ("Area? [asy] draw((0,0)--(1,0)); [/asy]", "84"),
        ],
        dropped={"missing_field": 1},
        kept={"image": 1, "choice_letter": 1},
    ),
    "gsm8k-main": Published(
        _gsm8k, [("Ann has 3 apples and buys 4. How many has she?", "7"), ("What is a thousand?", "1,000")]
    ),
    "olympiadbench-maths-en": Published(
        _olympiadbench,
        [("Halve $1$.", "$\\frac{1}{2}$"), ("See <image_1>.", "$2,-2$")],
        alternates=[["0.5"], []],
        kept={"image": 1},
    ),
    "hmmt-feb-2025": Published(_matharena, [("Halve $1$.", "\\frac{1}{2}"), _TRIANGLE]),
    "countdown-tasks-3to4": Published(
        _countdown,
        [
            (question([44, 19, 35], 98), "44+19+35"),
            (question([63, 95, 96], 64), "63-95+96"),
            (question([3, 3, 8, 8], 24), "8/(3-8/3)"),
        ],
        dropped={"duplicate_problem": 1, "unparsable_answer": 1},
    ),
}
"""Recipe of docs/data.md -> the data set in its published shape."""
