"""The tags of loops. Every function takes one transaction and raises DatabaseAway where there is none to be had."""

from collections import defaultdict
from collections.abc import Sequence

from .pool import Pool, transaction


def tags(pool: Pool) -> dict[str, list[str]]:
    """The tags of every loop that has any, in order, by the loop's name."""
    found: dict[str, list[str]] = defaultdict(list)
    with transaction(pool) as connection:
        for row in connection.execute("SELECT loop, tag FROM loop_tags ORDER BY loop, tag"):
            found[row["loop"]].append(row["tag"])
    return dict(found)


def set_tags(pool: Pool, loop: str, wanted: Sequence[str]) -> list[str]:
    """Give a loop exactly these tags; as they are stored now, in order."""
    with transaction(pool) as connection:
        # Two at once would each see what the other has not written yet.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('loop_tags'))")
        connection.execute(
            "DELETE FROM loop_tags WHERE loop = %(loop)s AND tag <> ALL (%(tags)s::varchar[])",
            {"loop": loop, "tags": list(wanted)},
        )
        connection.execute(
            "INSERT INTO loop_tags (loop, tag) SELECT %(loop)s, unnest(%(tags)s::varchar[]) ON CONFLICT DO NOTHING",
            {"loop": loop, "tags": list(wanted)},
        )
        rows = connection.execute("SELECT tag FROM loop_tags WHERE loop = %(loop)s ORDER BY tag", {"loop": loop})
        return [row["tag"] for row in rows]
