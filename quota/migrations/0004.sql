-- Customers who appeared by themselves, and when.
CREATE TABLE newcomer (
    name TEXT NOT NULL PRIMARY KEY,
    since_ms BIGINT NOT NULL
);
