"""How suggestions are weighed; what is like what is PostgreSQL's, see tests/integration/store/test_songs.py."""

from hook_service.tracks.suggest import Suggestion, ranked, texts_of, words_of


def test_words() -> None:
    assert words_of("night/Daft_Punk - One.More-Time.v2.mp4") == "night daft punk one more time v2"
    assert texts_of({"artist": "AC/DC", "title": "T.N.T.", "album": ""}) == {
        "title": "tnt",
        "song": "acdc tnt",
        "artist": "acdc",
    }


def test_the_best_reason_counts_and_each_loop_comes_once() -> None:
    alike = [{"loop": "a.mp4", "text": "title", "score": 0.61}, {"loop": "b.mp4", "text": "album", "score": 0.4}]
    near = [{"loop": "b.mp4", "album": 3, "artist": 5}, {"loop": "c.mp4", "album": 1, "artist": 0}]
    assert ranked(alike, near) == [
        Suggestion("b.mp4", 0.712, "3 songs of the album have it"),
        Suggestion("a.mp4", 0.61, "is called like the title"),
    ]
    assert ranked([], []) == []
