ALTER TABLE play_history DROP COLUMN request_id;
