-- That this database is a restored copy: tokens that were issued between `lost_from` and `restored_at` were given out, and
-- nobody here knows of them.
CREATE TABLE restores (
    restored_at BIGINT NOT NULL PRIMARY KEY,
    lost_from BIGINT NOT NULL
);
