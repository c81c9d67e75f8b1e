-- Units of the plan's own, such as AI analyses, that are counted in a window of a budget.
CREATE TABLE counted (
    budget TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    unit TEXT NOT NULL,
    PRIMARY KEY (budget, window_start, unit)
);
CREATE INDEX counted_by_window ON counted (window_start);
