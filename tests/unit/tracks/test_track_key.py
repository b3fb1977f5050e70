import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hook_service.tracks.track_key import MAX_LENGTH, normalise, track_key

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@pytest.mark.parametrize(
    ("artist", "title", "key"),
    [
        ("Daft Punk", "One More Time", "daft punk - one more time"),
        ("  Daft   Punk ", "One\tMore\n Time", "daft punk - one more time"),
        ("AC/DC", "T.N.T.", "acdc - tnt"),
        ("Jay-Z", "99 Problems (feat. Rick)", "jay-z - 99 problems feat rick"),
        ("Sigur Rós", "Hoppípolla", "sigur rós - hoppípolla"),
        ("Sigur Ro\u0301s", "Hoppi\u0301polla", "sigur rós - hoppípolla"),
        ("МОЛЧАТ ДОМА", "Судно (Борис Рыжий)", "молчат дома - судно борис рыжий"),
        ("\uff39\uff2d\uff2f", "ライディーン・\uff21", "ymo - ライディーンa"),
        ("ΟΔΟΣ", "ΟΔΟΣ ΔΩ", "οδος - οδος δω"),
        ("लता", "हिन्दी", "लता - हिन्दी"),
        ("فيروز", "١٢٣", "فيروز - ١٢٣"),
        ("A\u2010B", "C\u2013D \u2014 E", "a\u2010b - c\u2013d \u2014 e"),
        ("Ke$ha & Pitbull", "Timber!", "keha pitbull - timber"),
        ("I ❤\ufe0f You", "I ❤ You", "i you - i you"),
        ("ZERO\u200bWIDTH", "SOFT\u00adHYPHEN", "zerowidth - softhyphen"),
        ("", "Morning Show", "morning show"),
        ("Artist", "", "artist"),
        ("", "", ""),
        ("!!!", "???", ""),
    ],
)
def test_track_key(artist: str, title: str, key: str) -> None:
    assert track_key(artist, title) == key


def test_spaces_are_collapsed_after_signs_are_dropped() -> None:
    assert normalise("a & b") == "a b"
    assert normalise("a \u0085\u3000& b") == "a b"


@given(ANY)
@example("e!\u0301")
@example("\u0130")
@example("\ufdfa" * 40)
@example("\u00b4")
@example("\u1e9e\u0345\u03a3")
def test_applying_it_again_changes_nothing(text: str) -> None:
    key = normalise(text)
    assert normalise(key) == key


@given(ANY)
def test_only_what_the_rule_keeps_is_left(text: str) -> None:
    key = normalise(text)
    assert key == key.strip()
    assert "  " not in key
    assert len(key) <= MAX_LENGTH
    assert all(c == " " or unicodedata.category(c)[0] in "LMN" or unicodedata.category(c) == "Pd" for c in key)


@given(ANY)
def test_equivalent_texts_have_one_key(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert normalise(unicodedata.normalize(form, text)) == normalise(text)
    assert normalise(f"  {text}\t ") == normalise(text)


@given(st.text("abcXYZ 0-&!", max_size=40))
def test_ascii_and_unicode_ways_agree(text: str) -> None:
    # One letter beyond ASCII sends it down the other way.
    assert normalise(text + " ж") == normalise(normalise(text) + " ж")


def test_cap_keeps_letters_whole_and_stays_a_key() -> None:
    assert len(track_key("a" * 255, "b" * 255)) == MAX_LENGTH
    # The 513th character is a mark: its letter goes with it.
    long = "a" * 511 + "क\u093f" + "b"
    assert normalise(long) == "a" * 511
    assert normalise("\u0323" * 600)
    assert normalise(normalise("x " * 600)) == normalise("x " * 600)
