"""CSV out and in: the same mappings come back, whatever is in them and whoever has written it."""

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.store.bulk import Line
from hook_service.tracks.track_key import normalise
from hook_service.web.mappings_csv import MAPPINGS, Parsed, parse, written

LOOPS = "/srv/loops"


def read(text: str, first_line: int = 1) -> Parsed:
    return parse(text, {"demo"}, LOOPS, first_line)


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=30)
LINES = st.lists(
    st.tuples(
        st.sampled_from(["*", "demo"]),
        st.sampled_from(["track", "album", "artist", "playlist"]),
        NAMES.map(normalise).filter(bool),
        NAMES.map(lambda text: text.strip(" '")).map(lambda text: f"a{text}.mp4".replace("/", "-").strip()),
    ),
    unique_by=lambda line: line[:3],
    max_size=10,
)


@given(lines=LINES, delimiter=st.sampled_from(",;\t"))
def test_there_and_back(lines: list[tuple[str, str, str, str]], delimiter: str) -> None:
    names = ("station", "kind", "track_key", "loop_file_path")
    rows = [{**dict.fromkeys(MAPPINGS), **dict(zip(names, line, strict=True))} for line in lines]
    text = written(MAPPINGS, rows)
    if delimiter != ",":  # a spreadsheet of another country
        again = io.StringIO()
        csv.writer(again, delimiter=delimiter).writerows(csv.reader(io.StringIO(text, newline="")))
        text = "\ufeff" + again.getvalue()
    found = read(text)
    good = [Line(*line[:3], None, None, line[3].strip()) for line in lines if "://" not in line[3]]
    assert [line for line in found.mappings if line.loop_file_path.isprintable()] == [
        line for line in good if line.loop_file_path.isprintable()
    ]
    assert found.lines == len(lines)


@given(
    text=st.text(max_size=200), head=st.sampled_from(["", "track_key,loop_file_path\n", "artist;loop_file_path\n"])
)
def test_no_text_is_more_than_a_refusal(text: str, head: str) -> None:
    with suppress(ValueError):
        found = read(head + text)
        assert len(found.mappings) + found.blank + len(found.bad) == found.lines


def test_formulas_stay_words() -> None:
    row = {"artist": "=HYPERLINK(1)", "title": "'tis", "loop_file_path": "+x.mp4"}
    text = written(row, [row])
    assert text.splitlines()[1] == "'=HYPERLINK(1),''tis,'+x.mp4"
    [line] = read(text).mappings
    assert (line.track_key, line.loop_file_path) == ("hyperlink1 - tis", "+x.mp4")


def test_each_bad_line_has_its_number_and_reason() -> None:
    text = (
        "station,kind,track_key,loop_file_path\n"
        "*,track,a - b,a.mp4\n"
        "nowhere,track,a - c,a.mp4\n"
        "\n"
        '*,genre,"a\n - d",a.mp4\n'
        "*,track,!!!,a.mp4\n"
        "*,track,A - B!,b.mp4\n"
        "*,track,a - e,../a.mp4\n"
        "*,track,a - f,a.mp4,x\n"
        "*,track,a - g,\n"
    )
    found = read(text, 100)
    assert [line for line, _ in found.bad] == [102, 104, 106, 107, 108, 109]
    reasons = [reason for _, reason in found.bad]
    assert "'nowhere' is not configured" in reasons[0]
    assert "'genre' is not one of" in reasons[1]
    assert "nothing is left of it" in reasons[2]
    assert reasons[3] == "is for the same as line 101"
    assert 'contains ".."' in reasons[4]
    assert "1 values more" in reasons[5]
    assert (found.lines, found.blank, len(found.mappings)) == (8, 1, 1)


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n", "loop_file_path\nx.mp4", "track_key,loop_file_path,colour\n", "title,title,loop_file_path\n"],
)
def test_what_is_no_table_of_mappings(text: str) -> None:
    with pytest.raises(ValueError, match=r"the first line|unknown"):
        read(text)
