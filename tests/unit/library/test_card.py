"""What a card says: clean lines, names that follow from them, and text that fits."""

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook_service.library import card_text
from hook_service.library.card import MAX_TEXT, SHIPPED, Card, card_from, clean, template_file, template_sha256
from hook_service.library.card_render import Art, fault, svg
from hook_service.library.errors import Refused
from hook_service.library.profiles import BUILT_IN, Profile

P720 = BUILT_IN["720p30"]
UPRIGHT = Profile("upright", 720, 1280, 30, 1, 3000)
DESIGNS = sorted(path.name.removesuffix(".svg.j2") for path in SHIPPED.glob("*.svg.j2"))
CARD = Card("band", "0" * 64, "The Tidewaiters", "Coral Bloom", "Soundings", None, 16)
ART = Art("data:image/png;base64,AAAA", "#aabbcc")

# What people, and those who mean harm, put into tags.
NASTY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("<>&\"'\u202e\u2066\u200b\u200d\ufe0f\u0301\x00\x1b\ufffe🇯🇵👩🚀🏽\u0627\u05d0\u4e2d\u0e01 "),
    ),
    max_size=400,
)


@given(NASTY)
def test_clean_text_is_one_line_that_stays_as_it_is(text: str) -> None:
    line = clean(text)
    assert clean(line) == line
    assert len(line) <= MAX_TEXT
    assert all(unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in line)
    assert not set(line) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_marks_that_are_no_writing_leave_the_card() -> None:
    assert clean("Z\u0335" + "\u0335" * 50 + "algo") == "Z" + "\u0335" * 4 + "algo"
    assert clean("สวัสดี") == "สวัสดี"


@given(NASTY, st.floats(1, 60), st.booleans())
def test_a_line_fits_and_is_never_cut_inside_a_cluster(text: str, ems: float, bold: bool) -> None:
    line = clean(text)
    shown = card_text.cut(line, ems, bold)
    if shown == line:
        assert card_text.width(line, bold) <= ems
    else:
        assert shown.endswith(card_text.ELLIPSIS)
        assert card_text.width(shown, bold) <= max(ems, card_text.width(card_text.ELLIPSIS, bold)) + 1e-6
        kept = shown.removesuffix(card_text.ELLIPSIS)
        heads, whole = [""], ""
        for cluster in card_text.clusters(line):
            whole += cluster
            heads.append(whole)
        assert any(head.rstrip(" ,;:-\u2013(") == kept for head in heads)


@pytest.mark.parametrize(
    ("text", "count"),
    [("e\u0301a", 2), ("👩‍🚀x", 2), ("🇯🇵🇫🇷", 2), ("👍🏽!", 2), ("हिन्दी", 3), ("🏴󠁧󠁢󠁳󠁣󠁴󠁿a", 2)],
)
def test_clusters(text: str, count: int) -> None:
    assert len(list(card_text.clusters(text))) == count


def test_a_line_is_made_smaller_before_it_is_cut() -> None:
    assert card_text.fit("Short", 500, 40, 30) == ("Short", 40)
    text = "A title that is a little too long"
    shown, size = card_text.fit(text, 500, 40, 30)
    assert shown == text
    assert 30 <= size < 40
    shown, size = card_text.fit(text * 3, 500, 40, 30)
    assert shown.endswith("…")
    assert size == 30


@pytest.mark.parametrize(
    ("text", "rtl"),
    [("فيروز", True), ("(live) עברית", False), ("«שלום»", True), ("123 أهلا", True), ("日本語", False)],
)
def test_direction(text: str, rtl: bool) -> None:
    assert card_text.is_rtl(text) is rtl


def test_chinese_japanese_and_korean_have_their_own_fonts() -> None:
    fonts = [card_text.families(text) for text in ("直骨", "直骨の歌", "봄날")]
    assert ["CJK SC" in fonts[0], "CJK JP" in fonts[1], "CJK KR" in fonts[2]] == [True] * 3


def test_the_key_is_over_everything() -> None:
    others = [
        replace(CARD, template="side"), replace(CARD, template_sha256="1" * 64), replace(CARD, artist="Tidewaiters"),
        replace(CARD, title="x"), replace(CARD, album=""), replace(CARD, art="2" * 64), replace(CARD, seconds=18),
        # What moves from one field to the next is another card.
        replace(CARD, artist="The", title="Tidewaiters"), replace(CARD, artist="The Tide", title="waiters"),
    ]  # fmt: skip
    assert len({card.key() for card in [CARD, *others]}) == 1 + len(others)


def test_a_card_comes_through_a_message() -> None:
    card = replace(CARD, title="فيروز 🎵", art="a" * 64)
    assert card_from(card.to_json()) == card


@pytest.mark.parametrize(
    "change",
    [
        {"key": "0" * 64}, {"artist": None}, {"title": "a\nb"}, {"title": "x" * 301},
        {"template": "../../etc/passwd"},
        {"template_sha256": "x"}, {"art": "../x"}, {"art": 1}, {"seconds": True}, {"seconds": 10**9}, {"more": 1},
    ],
)  # fmt: skip
def test_what_is_no_card(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"a card is|is not"):
        card_from(CARD.to_json() | change)
    with pytest.raises(ValueError, match="a card is"):
        card_from(None)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("profile", [P720, UPRIGHT])
def test_every_design_draws_every_song(design: str, profile: Profile) -> None:
    import xml.etree.ElementTree as ET  # noqa: PLC0415

    file = template_file(design, SHIPPED)
    assert file is not None
    assert len(template_sha256(file)) == 64
    for art in (None, ART):
        for artist, title, album in (
            ("A & B", "<script>'\"", "x"),
            ("", "Title", ""),
            ("فيروز", "花束を君に" * 40, ""),
        ):
            card = replace(CARD, template=design, artist=artist, title=clean(title), album=album)
            drawn = svg(card, file.read_text(), art, profile)
            root = ET.fromstring(drawn)
            assert root.get("viewBox") == f"0 0 {profile.width} {profile.height}"
            texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
            assert any(title[:3] in text for text in texts)
            # Nothing is referred to but what is in it.
            assert all(
                value.startswith(("#", "data:"))
                for element in root.iter()
                for key, value in element.items()
                if "href" in key
            )


@given(NASTY, NASTY)
def test_no_text_becomes_markup(artist: str, title: str) -> None:
    import xml.etree.ElementTree as ET  # noqa: PLC0415

    card = replace(CARD, artist=clean(artist), title=clean(title))
    drawn = svg(
        card, "<svg>{{ line(title, 0, 0, 400, 20) }}{{ line(artist, 0, 0, 400, 20) }}{{ title }}</svg>", None, P720
    )
    root = ET.fromstring(drawn)
    assert {element.tag for element in root} <= {"text"}


@pytest.mark.parametrize(
    "template",
    [
        "{% for",
        "{{ nothing }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ 1 / 0 }}",
        "{{ line() }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_that_is_none_is_refused(template: str) -> None:
    with pytest.raises(Refused, match="can't be filled in"):
        svg(CARD, template, None, P720)


def test_a_fault_is_said_with_its_remedy(tmp_path: object) -> None:
    own = SHIPPED.parent / "none"
    assert fault("band", own, P720) is None
    said = fault("bend", own, P720)
    assert said is not None
    assert "band, corner" in said
