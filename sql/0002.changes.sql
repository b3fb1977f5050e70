-- updated_at, and the word to whoever keeps the mappings in memory (channel radio_mappings).
--
-- A play counted is not a change: it must neither move updated_at nor make anyone load the mappings again.

CREATE FUNCTION radio_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

CREATE TRIGGER track_mappings_updated_at
    BEFORE UPDATE ON track_mappings
    FOR EACH ROW
    WHEN (
        (OLD.track_key, OLD.azuracast_song_id, OLD.loop_file_path, OLD.station, OLD.kind, OLD.media_unique_id)
        IS DISTINCT FROM
        (NEW.track_key, NEW.azuracast_song_id, NEW.loop_file_path, NEW.station, NEW.kind, NEW.media_unique_id)
    )
    EXECUTE FUNCTION radio_touch();

CREATE FUNCTION radio_notify_mappings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('radio_mappings', TG_TABLE_NAME);
    RETURN NULL;
END
$$;

CREATE TRIGGER track_mappings_notify
    AFTER INSERT OR DELETE OR TRUNCATE
        OR UPDATE OF id, track_key, azuracast_song_id, loop_file_path, station, kind, media_unique_id
    ON track_mappings
    FOR EACH STATEMENT
    EXECUTE FUNCTION radio_notify_mappings();

CREATE TRIGGER default_config_notify
    AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE
    ON default_config
    FOR EACH STATEMENT
    EXECUTE FUNCTION radio_notify_mappings();
