"""The browser unpacks exactly what was packed."""

from __future__ import annotations

import base64
import itertools
import json
import zlib

from halfopen.report.packing import packed
from halfopen.report.timeline_curves import Band, Mark, Picture, TimelineCurve


def test_a_picture_survives_packing() -> None:
    curve = TimelineCurve("outq", True, (0, 50, 101), (5, 0, 900))
    picture = Picture((curve,), (Band("freeze", 5.0, 9.5),), (Mark("onset", 5.4),), 12.0)
    table = json.loads(zlib.decompress(base64.b64decode(packed(picture))))
    assert table["until"] == 12.0
    assert table["bands"] == [["freeze", 5.0, 9.5]]
    assert table["marks"] == [["onset", 5.4]]
    ((name, front, times, values),) = table["curves"]
    assert (name, front) == ("outq", True)
    assert tuple(itertools.accumulate(times)) == curve.times
    assert tuple(itertools.accumulate(values)) == curve.values
