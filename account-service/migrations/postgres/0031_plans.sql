-- The plan that an operator gave an account, by name. Without a line here it has what it pays for, or the first of the
-- configured plans.
CREATE TABLE account_plans (
    account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    plan TEXT NOT NULL,
    set_at BIGINT NOT NULL
);

-- What an account was told about its plan on a day (the start of it, in seconds since 1970), so that it is told once.
CREATE TABLE plan_notices (
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    day BIGINT NOT NULL,
    notice TEXT NOT NULL,
    PRIMARY KEY (account_id, day, notice)
);
CREATE INDEX plan_notices_age ON plan_notices (day);

-- Under which name the payment provider knows an account: `reference` is ours and says nothing, `customer` is theirs.
CREATE TABLE billing_accounts (
    account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    reference TEXT NOT NULL UNIQUE,
    customer TEXT UNIQUE
);

-- What is paid for. A subscription may be told of before it is known whose it is. `changed_at` is the provider's time of the
-- newest event that counted: older ones that come later change nothing. Never a card, a bank or a name.
CREATE TABLE billing_subscriptions (
    subscription TEXT NOT NULL PRIMARY KEY,
    customer TEXT NOT NULL,
    account_id TEXT REFERENCES accounts (id) ON DELETE CASCADE,
    plan TEXT,
    status TEXT NOT NULL,
    grace_until BIGINT,
    changed_at BIGINT NOT NULL
);
CREATE INDEX billing_subscriptions_customer ON billing_subscriptions (customer);
CREATE INDEX billing_subscriptions_account ON billing_subscriptions (account_id);

-- Events of the payment provider that have counted.
CREATE TABLE billing_events (
    event_id TEXT NOT NULL PRIMARY KEY,
    counted_at BIGINT NOT NULL
);
CREATE INDEX billing_events_age ON billing_events (counted_at);
