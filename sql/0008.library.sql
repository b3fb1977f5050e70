-- What people call loops beside their names. A loop is a file: it is known here by its name below the loops directory,
-- and needs no row.

CREATE TABLE loop_tags (
    loop varchar(1024) NOT NULL CHECK (loop <> ''),
    tag varchar(64) NOT NULL CHECK (tag <> ''),
    PRIMARY KEY (loop, tag)
);

COMMENT ON TABLE loop_tags IS 'Tags of loops, by the name below the loops directory';
