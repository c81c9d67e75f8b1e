-- Price books that gateways were handed: a version is one book, and none is ever changed.
CREATE TABLE price_book (
    version TEXT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL,
    packed TEXT NOT NULL,
    since_ms BIGINT NOT NULL
);
