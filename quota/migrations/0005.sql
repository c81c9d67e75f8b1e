-- What a customer's calls came to in a month of the business's clock: sums of `hourly`, kept beside it.
CREATE TABLE monthly (
    customer TEXT   NOT NULL,
    month    BIGINT NOT NULL,                   -- when the month began
    cost     BIGINT NOT NULL,                   -- nano-dollars, as far as known
    whole    BIGINT NOT NULL,                   -- 0: calls that were booked before this row was made are not in it
    PRIMARY KEY (customer, month)
);
