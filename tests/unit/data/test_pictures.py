"""Problems that need a picture."""

import pytest

from rlvr.data.pictures import picture_column, picture_in
from rlvr.errors import UserError
from rlvr.files import read_json
from tests.helpers.problem_files import GOOD, OTHER, lines_of, local, prepare, write

WITH = {**OTHER, "id": "p", "problem": "What is the marked angle? <image_1>"}


@pytest.mark.parametrize(
    "text",
    [
        "<image>Find x.",
        "See <image_1>.",
        "See <img_3362>.",
        "![](https://cdn.mathpix.com/a.jpg?height=3)",
        r"![a](b.png)",
        "[asy] draw(); [/asy]",
        r"\includegraphics[width=3cm]{a.png}",
        '<img src="a.png">',
        "<|vision_start|>",
    ],
)
def test_a_reference_to_a_picture_is_found_in_the_text(text):
    assert picture_in(text)


@pytest.mark.parametrize(
    "text", ["The image of f is [a, b].", "n! [1] (2)", "x < image(f)", "5![sic]", "$a<i$ and $m>g$"]
)
def test_other_text_is_no_picture(text):
    assert picture_in(text) is None


@pytest.mark.parametrize(
    ("record", "column"),
    [
        ({"images": [{"bytes": b"\x89PNG", "path": None}]}, "images"),
        ({"image_2": {"bytes": None, "path": "a.png"}}, "image_2"),
        ({"image": "http://example.org/a.png"}, "image"),
        ({"images": [], "image": None, "image_1": {"bytes": None, "path": None}, "figure": " "}, None),
        ({"num_images": 2, "has_image": True, "image_caption": "a cat"}, None),
    ],
)
def test_a_column_with_a_picture_is_found_by_its_name_and_content(record, column):
    assert picture_column(record) == column


@pytest.mark.parametrize(
    ("action", "kept", "dropped"), [("keep", {"image": 2}, {}), ("drop", {}, {"image": 2})]
)
def test_problems_that_need_a_picture_are_counted_and_dropped_on_request(tmp_path, action, kept, dropped):
    path = write(tmp_path, lines_of(GOOD, WITH, {**OTHER, "images": ["a.png"]}))
    prepare(tmp_path, local(path, checks={"image": action}))
    rows = read_json(tmp_path / "out.provenance.json")["rows"]
    assert (rows["kept_with_defects"], rows["dropped"]) == (kept, dropped)
    with pytest.raises(UserError, match=r"image: 67 % of problems need a picture \(2 of 3\)"):
        prepare(tmp_path, local(path, checks={"image": "stop"}))
