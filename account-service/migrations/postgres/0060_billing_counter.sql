-- How many messages of the payment provider have counted. A checkout and its subscription are told of at once, and each must
-- see what the other did: whoever counts one takes this row first.
CREATE TABLE billing_counter (
    id BIGINT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO billing_counter (id, last) VALUES (1, 0);
