DROP FUNCTION radio_songs(jsonb);
DROP TABLE songs;
-- The extension stays: something else in the database may use it by now.
