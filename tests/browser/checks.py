"""Whether the boxes on the screen are where the text is."""

from __future__ import annotations


def area(box) -> float:
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def fits(ink, box) -> bool:
    """The box holds nearly all of the ink, and not much else; both ``(x1, y1, x2, y2)``."""
    shared = area((max(ink[0], box[0]), max(ink[1], box[1]), min(ink[2], box[2]), min(ink[3], box[3])))
    return shared > 0.85 * area(ink) and shared > 0.3 * area(box)


def assert_boxes_cover(drawn, boxes) -> None:
    """Every drawn line has its box where its ink is."""
    width, height = drawn.image.size
    assert len(boxes) == len(drawn.lines)
    for _, (x1, y1, x2, y2) in drawn.lines:
        assert any(fits((x1 / width, y1 / height, x2 / width, y2 / height), box) for box in boxes)
