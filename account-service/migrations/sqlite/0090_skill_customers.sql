-- Whose account it is that Amazon calls so: the skill hears of a customer who has disabled it by Amazon's name alone. Hashed.
CREATE TABLE skill_customers (
    customer BLOB NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    noted_at BIGINT NOT NULL
);
CREATE INDEX skill_customers_account ON skill_customers (account_id);
