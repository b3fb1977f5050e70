-- One loop for a whole library, in the time that a person waits.
--
-- Which songs are meant is asked without their loops where nothing about the loops is asked: to resolve ten thousand
-- songs is most of the work. So the conditions on songs alone are a function of their own, which radio_songs uses.

-- What a selection names many of, taken out once: these are constants by the time that a statement is planned. Thousands
-- of numbers are a large document to look into for each song.
CREATE FUNCTION radio_words(chosen jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY(SELECT jsonb_array_elements_text(chosen -> 'words')) WHERE jsonb_typeof(chosen -> 'words') = 'array'
$$;

CREATE FUNCTION radio_numbers(chosen jsonb) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY(SELECT one::bigint FROM jsonb_array_elements_text(chosen -> 'ids') AS one)
    WHERE jsonb_typeof(chosen -> 'ids') = 'array'
$$;

-- The songs that fit the conditions on songs in a selection (see radio_songs): those on loops are left out of account.
--
-- It becomes part of the statement that it is in, and what is not asked for costs nothing, as long as the statement is
-- planned with the value of `chosen`: have plan_cache_mode be force_custom_plan.
CREATE FUNCTION radio_named(chosen jsonb) RETURNS SETOF songs LANGUAGE sql STABLE ROWS 5000 AS $$
    SELECT s.* FROM songs s
    WHERE s.station = chosen ->> 'station'
        AND (radio_words(chosen) IS NULL OR s.media_id = chosen ->> 'exact' OR s.song_id = chosen ->> 'exact'
            OR s.words LIKE ALL (radio_words(chosen)))
        AND (chosen ->> 'artist' IS NULL OR s.artist_key = chosen ->> 'artist')
        AND (chosen ->> 'album' IS NULL OR s.album_key = chosen ->> 'album')
        AND (chosen ->> 'playlist' IS NULL OR s.playlist_keys @> ARRAY[chosen ->> 'playlist'])
        AND (radio_numbers(chosen) IS NULL OR s.id = ANY (radio_numbers(chosen)))
$$;

CREATE OR REPLACE FUNCTION radio_songs(chosen jsonb)
RETURNS TABLE (
    id bigint, station varchar, media_id varchar, song_id varchar, artist varchar, title varchar, album varchar,
    genre varchar, playlists text[], length_seconds double precision, art varchar, track_key varchar,
    artist_album_key varchar, album_key varchar, artist_key varchar, playlist_keys text[], rule text,
    mapping_id integer, loop varchar
)
LANGUAGE plpgsql STABLE ROWS 5000
-- A whole library is joined with all mappings here. A nested loop, which the planner takes where it believes one of
-- them to be small, is seconds instead of milliseconds.
SET enable_nestloop = off
SET jit = off
-- What is left out must cost nothing: planned with what is given, its conditions are not there.
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    its_station text := chosen ->> 'station';
    its_base text := chosen ->> 'base';
    its_mapped boolean := (chosen ->> 'mapped')::boolean;
    its_rule text := chosen ->> 'rule';
    its_loop text := chosen ->> 'loop';
    its_fallback text := chosen ->> 'fallback';
BEGIN
    RETURN QUERY
    WITH usable AS MATERIALIZED (
        SELECT m.id, m.station = '*' AS everywhere, m.kind, m.track_key, lower(m.azuracast_song_id) AS song,
            lower(m.media_unique_id) AS media,
            CASE WHEN starts_with(m.loop_file_path, its_base)
                THEN substr(m.loop_file_path, length(its_base) + 1) ELSE m.loop_file_path END AS loop
        FROM track_mappings m
        WHERE m.station IN (its_station, '*')
            -- As the service judges names; its API stores no other.
            AND m.loop_file_path !~ '(^|/)\.\.(/|$)|://|/$|[[:cntrl:]]'
            AND (m.loop_file_path NOT LIKE '/%' OR starts_with(m.loop_file_path, its_base))
    ),
    -- Of several mappings for one key the station's own, then the later one. Each is made once, whatever is planned. How
    -- a language sorts does not matter here, and would take several times as long.
    by_song AS MATERIALIZED (
        SELECT DISTINCT ON (song COLLATE "C") song AS key, id, loop FROM usable WHERE song <> ''
        ORDER BY song COLLATE "C", everywhere, id DESC
    ),
    by_media AS MATERIALIZED (
        SELECT DISTINCT ON (media COLLATE "C") media AS key, id, loop FROM usable WHERE media <> ''
        ORDER BY media COLLATE "C", everywhere, id DESC
    ),
    by_track AS MATERIALIZED (
        SELECT DISTINCT ON (track_key COLLATE "C") track_key AS key, id, loop FROM usable WHERE kind = 'track'
        ORDER BY track_key COLLATE "C", everywhere, id DESC
    ),
    by_album AS MATERIALIZED (
        SELECT DISTINCT ON (track_key COLLATE "C") track_key AS key, id, loop FROM usable WHERE kind = 'album'
        ORDER BY track_key COLLATE "C", everywhere, id DESC
    ),
    by_artist AS MATERIALIZED (
        SELECT DISTINCT ON (track_key COLLATE "C") track_key AS key, id, loop FROM usable WHERE kind = 'artist'
        ORDER BY track_key COLLATE "C", everywhere, id DESC
    ),
    by_playlist AS MATERIALIZED (
        SELECT DISTINCT ON (track_key COLLATE "C") track_key AS key, id, loop FROM usable WHERE kind = 'playlist'
        ORDER BY track_key COLLATE "C", everywhere, id DESC
    ),
    -- By itself: a list is unnested by a nested loop. Planned together, the price on that hides what the rest costs.
    listed AS MATERIALIZED (
        SELECT s.id AS song, one.key, one.place
        FROM songs s CROSS JOIN unnest(s.playlist_keys) WITH ORDINALITY AS one(key, place)
        WHERE s.station = its_station AND EXISTS (SELECT FROM by_playlist)
    ),
    playing AS MATERIALIZED (
        -- Which of its playlists a song plays in is known only when it plays: the first with a mapping stands for them.
        SELECT DISTINCT ON (listed.song) listed.song, p.id, p.loop
        FROM listed JOIN by_playlist p ON p.key = listed.key
        ORDER BY listed.song, listed.place
    ),
    resolved AS (
        SELECT s.id, s.station, s.media_id, s.song_id, s.artist, s.title, s.album, s.genre, s.playlists,
            s.length_seconds, s.art, s.track_key, s.artist_album_key, s.album_key, s.artist_key, s.playlist_keys,
            CASE WHEN s.video_loop IS NOT NULL THEN 'video_loop' WHEN m1.id IS NOT NULL THEN 'song_id'
                WHEN m2.id IS NOT NULL THEN 'media_id' WHEN m3.id IS NOT NULL THEN 'track_key'
                WHEN coalesce(m4.id, m5.id) IS NOT NULL THEN 'album' WHEN m6.id IS NOT NULL THEN 'artist'
                WHEN m7.id IS NOT NULL THEN 'playlist' END AS rule,
            CASE WHEN s.video_loop IS NULL THEN coalesce(m1.id, m2.id, m3.id, m4.id, m5.id, m6.id, m7.id)
                END AS mapping_id,
            coalesce(s.video_loop, m1.loop, m2.loop, m3.loop, m4.loop, m5.loop, m6.loop, m7.loop) AS loop
        FROM radio_named(chosen) s
            LEFT JOIN by_song m1 ON m1.key = s.song_id
            LEFT JOIN by_media m2 ON m2.key = s.media_id
            LEFT JOIN by_track m3 ON m3.key = s.track_key
            LEFT JOIN by_album m4 ON m4.key = s.artist_album_key
            LEFT JOIN by_album m5 ON m5.key = s.album_key
            LEFT JOIN by_artist m6 ON m6.key = s.artist_key
            LEFT JOIN playing m7 ON m7.song = s.id
    )
    SELECT * FROM resolved r
    WHERE (its_mapped IS NULL OR (r.rule IS NOT NULL) = its_mapped)
        AND (its_rule IS NULL OR r.rule = its_rule)
        AND (its_loop IS NULL OR coalesce(r.loop, its_fallback) = its_loop);
END
$$;

-- A mapping that is given another loop finds room beside itself, so that no index has to learn of it.
ALTER TABLE track_mappings SET (fillfactor = 50);
