-- Which request a play goes back to: the id that the webhook was answered with, and that every line of the log about
-- it names.

ALTER TABLE play_history ADD COLUMN request_id varchar(64);

COMMENT ON COLUMN play_history.request_id IS 'Of the event that told of the track; the same as request_id in app.log';
