-- Amounts are whole numbers of a budget's unit: nano-dollars, tokens, requests, units.
-- Times: *_ms are milliseconds, others seconds, since 1970 UTC. Empty text means: nobody, nothing, not known.

-- One row for each call that ended. Append-only: every other number can be made anew from it and `charge`.
CREATE TABLE ledger (
    call_id      TEXT   NOT NULL PRIMARY KEY,
    began_ms     BIGINT NOT NULL,               -- by the gateway's clock
    booked_ms    BIGINT NOT NULL,               -- by ours
    duration_ms  BIGINT NOT NULL,
    gateway      TEXT   NOT NULL,
    node         TEXT   NOT NULL,
    customer     TEXT   NOT NULL,               -- '' for anonymous and unknown
    plan         TEXT   NOT NULL,               -- of the customer at the time of the call
    tenant       TEXT   NOT NULL,               -- as the gateway named it
    feature      TEXT   NOT NULL,
    user_name    TEXT   NOT NULL,
    provider     TEXT   NOT NULL,
    api          TEXT   NOT NULL,
    asked        TEXT   NOT NULL,               -- the model asked for
    model        TEXT   NOT NULL,               -- the model that answered
    tier         TEXT   NOT NULL,
    status       BIGINT NOT NULL,
    quality      TEXT   NOT NULL,               -- of the usage: reported, estimated, absent
    leaves       TEXT   NOT NULL,               -- JSON object of unit and quantity
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cost         BIGINT,                        -- nano-dollars; NULL: unpriced, which is not zero
    short        BIGINT NOT NULL,               -- 1: something that was used has no price
    prices       TEXT   NOT NULL,               -- the version of the price book
    decision     TEXT   NOT NULL
);
CREATE INDEX ledger_by_time ON ledger (began_ms);
CREATE INDEX ledger_by_customer ON ledger (customer, began_ms);

-- What a call took of a budget.
CREATE TABLE charge (
    call_id TEXT   NOT NULL,
    budget  TEXT   NOT NULL,
    window_start BIGINT NOT NULL,
    amount  BIGINT NOT NULL,
    overrun BIGINT NOT NULL,                    -- of amount: what no lease covered
    PRIMARY KEY (call_id, budget, window_start)
);
CREATE INDEX charge_by_budget ON charge (budget, window_start);

-- Sums of the ledger, kept in the transaction that appends to it.
CREATE TABLE hourly (
    hour      BIGINT NOT NULL,                  -- when the hour began on the business's clock
    customer  TEXT   NOT NULL,
    plan      TEXT   NOT NULL,
    feature   TEXT   NOT NULL,
    provider  TEXT   NOT NULL,
    model     TEXT   NOT NULL,
    calls     BIGINT NOT NULL,                  -- all of them
    refused   BIGINT NOT NULL,                  -- of calls: by a budget or as nobody's
    failed    BIGINT NOT NULL,                  -- of calls: let through, answered with an error or not at all
    estimated BIGINT NOT NULL,                  -- of calls: usage not reported, but estimated
    unpriced  BIGINT NOT NULL,                  -- of calls: something in it has no price
    input_tokens  BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cost      BIGINT NOT NULL,                  -- nano-dollars, as far as known
    PRIMARY KEY (hour, customer, plan, feature, provider, model)
);
CREATE INDEX hourly_by_customer ON hourly (customer, hour);

-- A budget in one window: the lender's side of the leases.
CREATE TABLE balance (
    budget       TEXT   NOT NULL,
    window_start BIGINT NOT NULL,
    settled      BIGINT NOT NULL,               -- all that was used
    overrun      BIGINT NOT NULL,               -- of settled: what no lease covered
    on_loan      BIGINT NOT NULL,
    suspense     BIGINT NOT NULL,
    PRIMARY KEY (budget, window_start)
);

-- What one gateway has of a budget in one window.
CREATE TABLE lease (
    gateway      TEXT   NOT NULL,
    budget       TEXT   NOT NULL,
    window_start BIGINT NOT NULL,
    granted      BIGINT NOT NULL,
    settled      BIGINT NOT NULL,
    returned     BIGINT NOT NULL,
    suspense     BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL,
    PRIMARY KEY (gateway, budget, window_start)
);
CREATE INDEX lease_by_expiry ON lease (expires_ms);

-- The last word with each worker of each gateway, so that an ask that is sent again is not heard twice.
CREATE TABLE reporter (
    gateway TEXT   NOT NULL,
    worker  BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    digest  TEXT   NOT NULL,                    -- SHA-256 of the ask
    answer  TEXT   NOT NULL,
    node    TEXT   NOT NULL,
    seen_ms BIGINT NOT NULL,
    PRIMARY KEY (gateway, worker)
);

-- The plan and revenue of each customer as customers.yaml said them, one row for each change.
CREATE TABLE standing (
    customer TEXT   NOT NULL,
    since_ms BIGINT NOT NULL,                   -- 0 in a customer's first row: as far back as its calls go
    plan     TEXT   NOT NULL,
    revenue  BIGINT NOT NULL,                   -- nano-dollars a month
    PRIMARY KEY (customer, since_ms)
);

-- What is to be told, once for each (kind, scope, window, threshold).
CREATE TABLE alert_outbox (
    id           TEXT   NOT NULL PRIMARY KEY,   -- made of the four: the same alert has the same id
    kind         TEXT   NOT NULL,               -- budget or margin
    customer     TEXT   NOT NULL,
    scope        TEXT   NOT NULL,               -- the budget's id, or '' for margin
    window_start BIGINT NOT NULL,
    threshold    BIGINT NOT NULL,               -- percent
    body         TEXT   NOT NULL,               -- JSON
    created_ms   BIGINT NOT NULL
);
CREATE INDEX alert_by_time ON alert_outbox (created_ms);

-- One row for each channel that an alert goes to.
CREATE TABLE delivery (
    alert     TEXT   NOT NULL,
    channel   TEXT   NOT NULL,                  -- slack or webhook
    state     TEXT   NOT NULL,                  -- due, sent, failed
    attempts  BIGINT NOT NULL,
    next_ms   BIGINT NOT NULL,
    sent_ms   BIGINT,
    error     TEXT   NOT NULL,
    PRIMARY KEY (alert, channel)
);
CREATE INDEX delivery_due ON delivery (state, next_ms);

CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
