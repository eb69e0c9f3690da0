-- What version 0.1.0 asks of the database, one statement a line, so that the schemas of later versions can be held against it:
-- while they are rolled out, that version still runs. Replaced by the next release's when that is made.
INSERT INTO accounts (id, email, password_hash, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (email) DO NOTHING
SELECT id, email, password_hash, suspended_at, created_at, email_verified_at FROM accounts WHERE email = $1
SELECT id, email, password_hash, suspended_at, created_at, email_verified_at FROM accounts WHERE id = $1
SELECT id, email, password_hash, suspended_at, created_at, email_verified_at FROM accounts ORDER BY created_at, id
UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2
UPDATE accounts SET email_verified_at = $2 WHERE id = $1 AND email_verified_at IS NULL
UPDATE accounts SET email = $2, email_verified_at = $3 WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM accounts WHERE email = $2)
UPDATE accounts SET password_hash = $2 WHERE id = $1
UPDATE accounts SET created_at = created_at WHERE id = $1
DELETE FROM accounts WHERE id = $1
UPDATE accounts SET suspended_at = $2 WHERE id = $1 AND suspended_at IS NULL
UPDATE accounts SET suspended_at = NULL WHERE id = $1 AND suspended_at IS NOT NULL
INSERT INTO activity (id, account_id, happened_at, kind, detail, sequence) SELECT $1, id, $3, $4, $5, (SELECT COALESCE(MAX(sequence), 0) + 1 FROM activity WHERE account_id = $2) FROM accounts WHERE id = $2
SELECT happened_at, sequence, id, kind, detail FROM activity WHERE account_id = $1 AND (happened_at < $2 OR (happened_at = $2 AND (sequence < $3 OR (sequence = $3 AND id < $4)))) ORDER BY happened_at DESC, sequence DESC, id DESC LIMIT 51
UPDATE audit_counter SET last = last + 1 WHERE id = 1 RETURNING last
INSERT INTO audit (sequence, happened_at, actor_kind, actor, action, account_id, subject, outcome) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
SELECT sequence, happened_at, actor_kind, actor, action, account_id, subject, outcome FROM audit WHERE sequence < $1 AND happened_at >= $2 AND happened_at < $3 AND ($4 = '' OR account_id = $4) AND ($5 = '' OR action = $5 OR substr(action, 1, length($5) + 1) = $5 || '.') AND ($6 = '' OR actor = $6) ORDER BY sequence DESC LIMIT $7
UPDATE billing_counter SET last = last + 1 WHERE id = 1
INSERT INTO billing_events (event_id, counted_at) VALUES ($1, $2) ON CONFLICT (event_id) DO NOTHING
SELECT account_id FROM billing_accounts WHERE reference = $1 OR customer = $2 UNION SELECT account_id FROM billing_subscriptions WHERE (customer = $2 OR subscription = $3) AND account_id IS NOT NULL
INSERT INTO billing_accounts (account_id, reference) SELECT id, $2 FROM accounts WHERE id = $1 ON CONFLICT (account_id) DO NOTHING
SELECT reference FROM billing_accounts WHERE account_id = $1
SELECT account_id FROM billing_accounts WHERE reference = $1
UPDATE billing_accounts SET customer = $2 WHERE account_id = $1 AND NOT EXISTS (SELECT 1 FROM billing_accounts other WHERE other.customer = $2 AND other.account_id <> $1)
UPDATE billing_subscriptions SET account_id = $2 WHERE customer = $1 AND account_id IS NULL
SELECT account_id FROM billing_subscriptions WHERE subscription = $1 AND account_id IS NOT NULL
INSERT INTO billing_subscriptions (subscription, customer, account_id, status, changed_at) VALUES ($1, $2, $3, 'past_due', 0) ON CONFLICT (subscription) DO UPDATE SET account_id = excluded.account_id
INSERT INTO billing_subscriptions (subscription, customer, account_id, plan, status, grace_until, changed_at) VALUES ($1, $2, COALESCE((SELECT account_id FROM billing_accounts WHERE customer = $2), (SELECT MIN(account_id) FROM billing_subscriptions WHERE customer = $2 HAVING COUNT(DISTINCT account_id) = 1)), $3, $4, $5, $6) ON CONFLICT (subscription) DO UPDATE SET account_id = COALESCE(billing_subscriptions.account_id, excluded.account_id), plan = CASE WHEN excluded.changed_at >= billing_subscriptions.changed_at THEN COALESCE(excluded.plan, billing_subscriptions.plan) ELSE COALESCE(billing_subscriptions.plan, excluded.plan) END, grace_until = CASE WHEN excluded.changed_at < billing_subscriptions.changed_at THEN billing_subscriptions.grace_until WHEN excluded.changed_at = billing_subscriptions.changed_at AND billing_subscriptions.status = 'active' AND excluded.grace_until <= excluded.changed_at THEN NULL WHEN excluded.status = 'past_due' THEN COALESCE(billing_subscriptions.grace_until, excluded.grace_until) ELSE NULL END, status = CASE WHEN billing_subscriptions.status = 'ended' THEN 'ended' WHEN excluded.changed_at = billing_subscriptions.changed_at AND billing_subscriptions.status = 'active' AND excluded.grace_until <= excluded.changed_at THEN 'active' WHEN excluded.changed_at >= billing_subscriptions.changed_at THEN excluded.status ELSE billing_subscriptions.status END, changed_at = CASE WHEN excluded.changed_at > billing_subscriptions.changed_at THEN excluded.changed_at ELSE billing_subscriptions.changed_at END RETURNING account_id
UPDATE change_counter SET last = last + $1 WHERE id = 1 RETURNING last
INSERT INTO changes (sequence, kind, subject, happened_at) VALUES ($1, $2, $3, $4)
INSERT INTO changes (sequence, kind, subject, happened_at) VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16), ($17, $18, $19, $20), ($21, $22, $23, $24), ($25, $26, $27, $28), ($29, $30, $31, $32), ($33, $34, $35, $36), ($37, $38, $39, $40), ($41, $42, $43, $44), ($45, $46, $47, $48), ($49, $50, $51, $52), ($53, $54, $55, $56), ($57, $58, $59, $60), ($61, $62, $63, $64)
UPDATE change_counter SET last = last WHERE id = 1
SELECT last FROM change_counter WHERE id = 1
SELECT MIN(sequence) FROM changes
SELECT MIN(sequence) FROM changes WHERE happened_at >= $1
SELECT sequence, kind, subject, happened_at FROM changes WHERE sequence > $1 ORDER BY sequence LIMIT 500
INSERT INTO clients (id, name, secret_hash, require_pkce, rotation, access_token_seconds, redirect_uris, created_at, post_logout_redirect_uris, jwks, own_scopes, require_dpop) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO NOTHING
SELECT id, name, secret_hash, require_pkce, rotation, access_token_seconds, redirect_uris, created_at, post_logout_redirect_uris, jwks, old_secret_hash, old_secret_until, own_scopes, require_dpop FROM clients WHERE id = $1
SELECT id, name, secret_hash, require_pkce, rotation, access_token_seconds, redirect_uris, created_at, post_logout_redirect_uris, jwks, old_secret_hash, old_secret_until, own_scopes, require_dpop FROM clients ORDER BY id
SELECT id FROM clients WHERE redirect_uris <> '[]' LIMIT 1
UPDATE clients SET name = $2, require_pkce = $3, access_token_seconds = $4, redirect_uris = $5, post_logout_redirect_uris = $6, jwks = $7, own_scopes = $8, require_dpop = $9 WHERE id = $1
UPDATE clients SET id = id WHERE id = $1
UPDATE clients SET old_secret_hash = secret_hash, old_secret_until = $3, secret_hash = $2 WHERE id = $1 AND secret_hash IS NOT NULL
DELETE FROM clients WHERE id = $1
INSERT INTO codes (code_hash, grant_id, client_id, account_id, redirect_uri, challenge, nonce, scopes, signed_in_at, expires_at, dpop_jkt) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
UPDATE codes SET used_at = $3 WHERE code_hash = $1 AND client_id = $2 AND used_at IS NULL AND expires_at > $3 AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = codes.account_id AND a.suspended_at IS NULL) RETURNING grant_id, account_id, redirect_uri, challenge, nonce, scopes, signed_in_at, dpop_jkt
DELETE FROM codes WHERE account_id = $1 AND used_at IS NULL
DELETE FROM codes WHERE account_id = $1 AND client_id = $2 AND used_at IS NULL
SELECT grant_id FROM codes WHERE code_hash = $1 AND client_id = $2 AND used_at IS NOT NULL
INSERT INTO event_grants (account_id, region, sealed, stored_at) SELECT id, $2, $3, $4 FROM accounts WHERE id = $1 ON CONFLICT (account_id, region) DO UPDATE SET sealed = excluded.sealed, stored_at = excluded.stored_at
DELETE FROM event_grants WHERE account_id = $1 AND region = $2
SELECT e.account_id, e.region, e.sealed, e.stored_at, g.id AS grant_id FROM event_grants e JOIN accounts a ON a.id = e.account_id JOIN grants g ON g.account_id = e.account_id WHERE a.suspended_at IS NULL AND g.ended_at IS NULL AND (e.account_id = $1 OR EXISTS (SELECT 1 FROM members m WHERE m.instance_id = $2 AND m.account_id = e.account_id AND (m.expires_at IS NULL OR m.expires_at > $3))) ORDER BY e.account_id, e.region, g.id
DELETE FROM event_grants WHERE account_id = $1
SELECT id, email, created_at, suspended_at, email_verified_at FROM accounts WHERE id = $1
SELECT id, device, signed_in_at, last_seen_at, expires_at FROM web_sessions WHERE account_id = $1 ORDER BY signed_in_at
SELECT session_id, expires_at FROM known_browsers WHERE account_id = $1 ORDER BY expires_at
SELECT client_id, scopes, redirect_uri, expires_at, used_at FROM codes WHERE account_id = $1 ORDER BY expires_at
SELECT id, client_id, scopes, signed_in_at, created_at, ended_at FROM grants WHERE account_id = $1 ORDER BY created_at
SELECT p.grant_id, p.scopes, p.issued_at, p.access_expires_at, p.refresh_expires_at, p.used_at FROM token_pairs p JOIN grants g ON g.id = p.grant_id WHERE g.account_id = $1 ORDER BY p.issued_at
SELECT id, name, identity_key, paired_at, last_token_at, paused_at, replaced_key, replaced_at, ended_at FROM instances WHERE account_id = $1 ORDER BY paired_at
SELECT name, identity_key, expires_at, decided_at, allowed, redeemed_at, replaces FROM pairings WHERE account_id = $1 ORDER BY expires_at
SELECT region, stored_at FROM event_grants WHERE account_id = $1 ORDER BY region
SELECT created_at, confirmed_at FROM totp_secrets WHERE account_id = $1
SELECT COUNT(*) FROM recovery_codes WHERE account_id = $1
SELECT purpose, expires_at, tries_left FROM mailed_codes WHERE account_id = $1 ORDER BY purpose
SELECT purpose, email, expires_at, tries_left FROM mail_challenges WHERE account_id = $1 ORDER BY expires_at
SELECT name, created_at, last_used_at FROM passkeys WHERE account_id = $1 ORDER BY created_at
SELECT issuer, subject, label, created_at, last_used_at FROM identities WHERE account_id = $1 ORDER BY created_at
SELECT provider, expires_at FROM sign_in_trips WHERE account_id = $1 ORDER BY expires_at
SELECT instance_id, ha_user_id, name, is_owner, bound_at FROM home_assistant_users WHERE account_id = $1 ORDER BY bound_at
SELECT t.instance_id, t.url, t.expires_at FROM home_assistant_trips t JOIN instances i ON i.id = t.instance_id WHERE i.account_id = $1 ORDER BY t.expires_at
SELECT m.id, i.name, o.email, m.role, m.shown_as, m.joined_at, m.expires_at FROM members m JOIN instances i ON i.id = m.instance_id JOIN accounts o ON o.id = i.account_id WHERE m.account_id = $1 ORDER BY m.joined_at, m.id
SELECT m.id, i.name, m.role, m.shown_as, m.joined_at, m.expires_at FROM members m JOIN instances i ON i.id = m.instance_id WHERE i.account_id = $1 ORDER BY m.joined_at, m.id
SELECT v.id, i.name, v.role, v.guest_seconds, v.stays, v.shown_as, v.email, v.created_at, v.expires_at FROM invitations v JOIN instances i ON i.id = v.instance_id WHERE v.invited_by = $1 ORDER BY v.created_at, v.id
SELECT i.name, o.email, v.role, v.shown_as, v.created_at, v.expires_at FROM invitations v JOIN instances i ON i.id = v.instance_id JOIN accounts o ON o.id = v.invited_by WHERE v.email = (SELECT a.email FROM accounts a WHERE a.id = $1 AND a.email_verified_at IS NOT NULL) ORDER BY v.created_at, v.id
SELECT u.hour, u.grant_id, u.instance_id, u.kind, u.result, u.times, u.last_at FROM uses u WHERE u.account_id = $1 ORDER BY u.hour, u.last_at
SELECT plan, set_at FROM account_plans WHERE account_id = $1
SELECT day, notice FROM plan_notices WHERE account_id = $1 ORDER BY day, notice
SELECT reference, customer FROM billing_accounts WHERE account_id = $1
SELECT subscription, customer, plan, status, grace_until, changed_at FROM billing_subscriptions WHERE account_id = $1 ORDER BY subscription
SELECT client_id, host, grant_id, stage, cause, began_at, changed_at FROM link_attempts WHERE account_id = $1 ORDER BY began_at, id
SELECT happened_at, action, outcome FROM audit WHERE account_id = $1 ORDER BY sequence
SELECT happened_at, kind, detail FROM activity WHERE account_id = $1 ORDER BY happened_at, sequence, id
INSERT INTO grants (id, account_id, client_id, scopes, signed_in_at, created_at) VALUES ($1, $2, $3, $4, $5, $6)
UPDATE grants SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL
UPDATE grants SET ended_at = $3 WHERE account_id = $1 AND client_id = $2 AND ended_at IS NULL RETURNING id
SELECT id FROM grants WHERE client_id = $1 AND ended_at IS NULL ORDER BY id
SELECT id FROM grants WHERE account_id = $1 AND ended_at IS NULL ORDER BY id
SELECT scopes FROM grants WHERE account_id = $1 AND client_id = $2 AND ended_at IS NULL
SELECT g.account_id, g.signed_in_at, a.email, a.email_verified_at FROM grants g JOIN accounts a ON a.id = g.account_id WHERE g.id = $1
SELECT g.client_id, c.name, g.scopes, g.created_at, (SELECT MAX(p.issued_at) FROM token_pairs p WHERE p.grant_id = g.id) AS last_used_at FROM grants g JOIN clients c ON c.id = g.client_id WHERE g.account_id = $1 AND g.ended_at IS NULL ORDER BY g.created_at DESC
INSERT INTO home_assistant_trips (ticket_hash, state_hash, instance_id, url, nonce, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
SELECT i.id, i.name, t.url FROM home_assistant_trips t JOIN instances i ON i.id = t.instance_id WHERE t.state_hash = $1 AND t.expires_at > $2 AND t.sealed_code IS NULL AND i.account_id = $3 AND i.ended_at IS NULL
UPDATE home_assistant_trips SET sealed_code = $3, account_id = $2 WHERE state_hash = $1 AND expires_at > $4 AND sealed_code IS NULL AND EXISTS (SELECT 1 FROM instances i WHERE i.id = home_assistant_trips.instance_id AND i.account_id = $2 AND i.ended_at IS NULL)
UPDATE home_assistant_trips SET delivered_at = COALESCE(delivered_at, $3) WHERE ticket_hash = $1 AND instance_id = $2 AND expires_at > $3 AND sealed_code IS NOT NULL RETURNING sealed_code, nonce
SELECT COUNT(*) FROM home_assistant_trips WHERE ticket_hash = $1 AND instance_id = $2 AND expires_at > $3 AND sealed_code IS NULL
DELETE FROM home_assistant_trips WHERE ticket_hash = $1 AND instance_id = $2 AND nonce = $3 AND expires_at > $4 AND delivered_at IS NOT NULL AND account_id = (SELECT i.account_id FROM instances i WHERE i.id = $2) RETURNING account_id
INSERT INTO home_assistant_users (instance_id, ha_user_id, account_id, name, is_owner, bound_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (instance_id, ha_user_id) DO UPDATE SET account_id = excluded.account_id, name = excluded.name, is_owner = excluded.is_owner, bound_at = excluded.bound_at
SELECT u.instance_id, u.ha_user_id, u.name, u.is_owner FROM home_assistant_users u JOIN instances i ON i.id = u.instance_id WHERE u.account_id = $1 AND i.ended_at IS NULL ORDER BY u.bound_at, u.ha_user_id
DELETE FROM home_assistant_users WHERE account_id = $1
DELETE FROM home_assistant_users WHERE account_id = $1 AND instance_id = $2
DELETE FROM home_assistant_users WHERE account_id = $1 AND instance_id = $2 AND ha_user_id = $3
DELETE FROM web_sessions WHERE cookie_hash IN (SELECT cookie_hash FROM web_sessions WHERE expires_at <= $1 LIMIT 1000)
DELETE FROM known_browsers WHERE (browser_hash, account_id) IN (SELECT browser_hash, account_id FROM known_browsers WHERE expires_at <= $1 LIMIT 1000)
DELETE FROM codes WHERE code_hash IN (SELECT code_hash FROM codes WHERE expires_at <= $1 - 86400 LIMIT 1000)
DELETE FROM pairings WHERE device_code_hash IN (SELECT device_code_hash FROM pairings WHERE expires_at <= $1 - 3600 LIMIT 1000)
DELETE FROM pushed_requests WHERE request_hash IN (SELECT request_hash FROM pushed_requests WHERE expires_at <= $1 LIMIT 1000)
DELETE FROM mailed_codes WHERE (account_id, purpose) IN (SELECT account_id, purpose FROM mailed_codes WHERE expires_at <= $1 LIMIT 1000)
DELETE FROM mail_challenges WHERE ticket_hash IN (SELECT ticket_hash FROM mail_challenges WHERE expires_at <= $1 LIMIT 1000)
DELETE FROM sign_in_trips WHERE state_hash IN (SELECT state_hash FROM sign_in_trips WHERE expires_at <= $1 LIMIT 1000)
DELETE FROM home_assistant_trips WHERE ticket_hash IN (SELECT ticket_hash FROM home_assistant_trips WHERE expires_at <= $1 LIMIT 1000)
DELETE FROM invitations WHERE id IN (SELECT id FROM invitations WHERE expires_at <= $1 LIMIT 1000)
DELETE FROM members WHERE (instance_id, account_id) IN (SELECT instance_id, account_id FROM members WHERE expires_at <= $1 LIMIT 1000)
DELETE FROM seen_proofs WHERE proof_hash IN (SELECT proof_hash FROM seen_proofs WHERE expires_at <= $1 LIMIT 1000)
DELETE FROM changes WHERE sequence IN (SELECT sequence FROM changes WHERE happened_at <= $1 LIMIT 1000)
DELETE FROM token_pairs WHERE access_hash IN (SELECT access_hash FROM token_pairs WHERE refresh_expires_at <= $1 LIMIT 1000)
DELETE FROM token_pairs WHERE access_hash IN (SELECT access_hash FROM token_pairs WHERE issued_at <= $1 AND EXISTS (SELECT 1 FROM token_pairs next JOIN token_pairs later ON later.parent_hash = next.refresh_hash WHERE next.parent_hash = token_pairs.refresh_hash AND later.issued_at <= $2) LIMIT 1000)
DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE ended_at <= $1 LIMIT 1000)
DELETE FROM instances WHERE id IN (SELECT id FROM instances WHERE ended_at <= $1 LIMIT 1000)
DELETE FROM uses WHERE (hour, grant_id, instance_id, kind, result) IN (SELECT hour, grant_id, instance_id, kind, result FROM uses WHERE last_at <= $1 LIMIT 1000)
DELETE FROM plan_notices WHERE (account_id, day, notice) IN (SELECT account_id, day, notice FROM plan_notices WHERE day <= $1 LIMIT 1000)
DELETE FROM billing_events WHERE event_id IN (SELECT event_id FROM billing_events WHERE counted_at <= $1 LIMIT 1000)
DELETE FROM billing_subscriptions WHERE subscription IN (SELECT subscription FROM billing_subscriptions WHERE account_id IS NULL AND changed_at <= $1 LIMIT 1000)
DELETE FROM link_attempts WHERE id IN (SELECT id FROM link_attempts WHERE changed_at <= $1 LIMIT 1000)
DELETE FROM link_attempts WHERE id IN (SELECT id FROM link_attempts WHERE account_id IS NULL AND changed_at <= $1 LIMIT 1000)
DELETE FROM use_batches WHERE batch_id IN (SELECT batch_id FROM use_batches WHERE counted_at <= $1 LIMIT 1000)
DELETE FROM operator_tokens WHERE access_hash IN (SELECT access_hash FROM operator_tokens WHERE expires_at <= $1 LIMIT 1000)
DELETE FROM restores WHERE restored_at IN (SELECT restored_at FROM restores WHERE restored_at <= $1 LIMIT 1000)
DELETE FROM audit WHERE sequence IN (SELECT sequence FROM audit WHERE happened_at <= $1 LIMIT 1000)
DELETE FROM activity WHERE id IN (SELECT id FROM activity WHERE happened_at <= $1 LIMIT 1000)
INSERT INTO identities (issuer, subject, account_id, label, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (issuer, subject) DO NOTHING
SELECT account_id FROM identities WHERE issuer = $1 AND subject = $2
SELECT issuer, subject, label, created_at, last_used_at FROM identities WHERE account_id = $1 ORDER BY created_at, issuer
UPDATE identities SET last_used_at = $3, label = $4 WHERE issuer = $1 AND subject = $2
DELETE FROM identities WHERE account_id = $1 AND issuer = $2 AND subject = $3
DELETE FROM identities WHERE account_id = $1
SELECT (SELECT COUNT(*) FROM accounts WHERE id = $1 AND password_hash <> ''), (SELECT COUNT(*) FROM passkeys WHERE account_id = $1)
SELECT issuer FROM identities WHERE account_id = $1
INSERT INTO sign_in_trips (state_hash, browser, provider, purpose, nonce, verifier, account_id, next, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
DELETE FROM sign_in_trips WHERE state_hash = $1 AND browser = $2 AND provider = $3 AND expires_at > $4 RETURNING purpose, nonce, verifier, account_id, next, expires_at
SELECT id, account_id, name, identity_key, paired_at, last_token_at, paused_at, replaced_key, replaced_at FROM instances WHERE identity_key = $1 AND ended_at IS NULL
SELECT id, account_id, name, identity_key, paired_at, last_token_at, paused_at, replaced_key, replaced_at FROM instances WHERE id = $1 AND ended_at IS NULL
SELECT id, account_id, name, identity_key, paired_at, last_token_at, paused_at, replaced_key, replaced_at FROM instances WHERE account_id = $1 AND ended_at IS NULL ORDER BY paired_at, id
INSERT INTO instances (id, account_id, name, identity_key, paired_at) VALUES ($1, $2, $3, $4, $5)
UPDATE instances SET name = $3 WHERE id = $1 AND account_id = $2 AND ended_at IS NULL
UPDATE instances SET ended_at = $3 WHERE id = $1 AND account_id = $2 AND ended_at IS NULL
UPDATE instances SET paused_at = $3 WHERE id = $1 AND ended_at IS NULL AND paused_at IS NULL AND (account_id = $2 OR EXISTS (SELECT 1 FROM members m WHERE m.instance_id = instances.id AND m.account_id = $2 AND m.role = 'member'))
UPDATE instances SET paused_at = NULL WHERE id = $1 AND ended_at IS NULL AND paused_at IS NOT NULL AND (account_id = $2 OR EXISTS (SELECT 1 FROM members m WHERE m.instance_id = instances.id AND m.account_id = $2 AND m.role = 'member'))
SELECT id FROM instances WHERE account_id = $1 AND ended_at IS NULL ORDER BY id
UPDATE instances SET identity_key = $3, replaced_key = identity_key, replaced_at = $4, last_token_at = NULL WHERE id = $1 AND account_id = $2 AND ended_at IS NULL AND identity_key <> $3
UPDATE instances SET last_token_at = $2 WHERE id = $1 AND ended_at IS NULL AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = instances.account_id AND a.suspended_at IS NULL) RETURNING account_id, paused_at
INSERT INTO invitations (id, code_hash, instance_id, invited_by, role, guest_seconds, stays, shown_as, email, created_at, expires_at) SELECT $1, $2, i.id, i.account_id, $5, $6, $7, $8, $9, $10, $11 FROM instances i WHERE i.id = $3 AND i.account_id = $4 AND i.ended_at IS NULL AND (SELECT COUNT(*) FROM invitations o WHERE o.instance_id = i.id AND o.expires_at > $10) + (SELECT COUNT(*) FROM members m WHERE m.instance_id = i.id AND (m.expires_at IS NULL OR m.expires_at > $10)) < $12
SELECT id, role, guest_seconds, shown_as, email, expires_at FROM invitations WHERE instance_id = $1 AND expires_at > $2 ORDER BY created_at, id
DELETE FROM invitations WHERE id = $1 AND instance_id = $2 AND invited_by = $3 RETURNING shown_as
SELECT v.invited_by, v.role, v.guest_seconds, v.stays, v.shown_as, v.email, i.name, i.identity_key, o.email AS owner_email, (SELECT m.role FROM members m WHERE m.instance_id = i.id AND m.account_id = $3 AND (m.expires_at IS NULL OR m.expires_at > $2)) AS present FROM invitations v JOIN instances i ON i.id = v.instance_id AND i.account_id = v.invited_by AND i.ended_at IS NULL JOIN accounts o ON o.id = v.invited_by AND o.suspended_at IS NULL WHERE v.code_hash = $1 AND v.expires_at > $2
DELETE FROM invitations WHERE code_hash = $1 AND expires_at > $2 AND invited_by <> $3 AND (email IS NULL OR email = (SELECT a.email FROM accounts a WHERE a.id = $3 AND a.email_verified_at IS NOT NULL)) AND EXISTS (SELECT 1 FROM instances i JOIN accounts o ON o.id = i.account_id WHERE i.id = invitations.instance_id AND i.account_id = invitations.invited_by AND i.ended_at IS NULL AND o.suspended_at IS NULL) RETURNING instance_id, invited_by, role, guest_seconds, stays, shown_as
UPDATE instances SET account_id = $3 WHERE id = $1 AND account_id = $2 AND ended_at IS NULL
DELETE FROM invitations WHERE instance_id = $1
UPDATE known_browsers SET browser_hash = $2 WHERE browser_hash = $1
INSERT INTO known_browsers (browser_hash, account_id, session_id, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT (browser_hash, account_id) DO UPDATE SET session_id = excluded.session_id, expires_at = excluded.expires_at
SELECT k.account_id, a.email, k.session_id FROM known_browsers k JOIN accounts a ON a.id = k.account_id WHERE k.browser_hash = $1 AND k.expires_at > $2
DELETE FROM known_browsers WHERE account_id = $1 AND session_id = $2
DELETE FROM known_browsers WHERE account_id = $1
DELETE FROM known_browsers WHERE account_id = $1 AND session_id <> $2
INSERT INTO link_attempts (id, browser_hash, account_id, client_id, host, stage, cause, began_at, changed_at) SELECT $1, $2, CAST($3 AS TEXT), $4, $5, $6, $7, $8, $8 FROM change_counter WHERE (CAST($3 AS TEXT) IS NULL AND (SELECT COUNT(*) FROM link_attempts WHERE account_id IS NULL) < 2000) OR (CAST($3 AS TEXT) IS NOT NULL AND (SELECT COUNT(*) FROM link_attempts WHERE account_id = $3 AND began_at + 86400 > $8) < 50) OR EXISTS (SELECT 1 FROM link_attempts WHERE id = $1) ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, cause = excluded.cause, changed_at = excluded.changed_at, browser_hash = COALESCE(excluded.browser_hash, link_attempts.browser_hash), account_id = COALESCE(link_attempts.account_id, excluded.account_id) WHERE link_attempts.changed_at <= excluded.changed_at
UPDATE link_attempts SET stage = 'code', cause = NULL, grant_id = $3, changed_at = $4 WHERE id = $1 AND account_id = $2
UPDATE link_attempts SET cause = $2, changed_at = $3 WHERE grant_id = $1 AND changed_at <= $3
SELECT grant_id, client_id FROM codes WHERE code_hash = $1
SELECT l.client_id, c.name, l.host, l.stage, l.cause, l.began_at, g.created_at, (SELECT MIN(p.issued_at) FROM token_pairs p WHERE p.grant_id = g.id AND p.parent_hash IS NOT NULL), g.ended_at, '' FROM link_attempts l LEFT JOIN clients c ON c.id = l.client_id LEFT JOIN grants g ON g.id = l.grant_id WHERE l.account_id = $1 OR (l.account_id IS NULL AND l.browser_hash = $2) ORDER BY l.began_at DESC, l.id LIMIT 10
SELECT l.client_id, c.name, l.host, l.stage, l.cause, l.began_at, g.created_at, (SELECT MIN(p.issued_at) FROM token_pairs p WHERE p.grant_id = g.id AND p.parent_hash IS NOT NULL), g.ended_at, COALESCE(a.email, '') FROM link_attempts l LEFT JOIN clients c ON c.id = l.client_id LEFT JOIN grants g ON g.id = l.grant_id LEFT JOIN accounts a ON a.id = l.account_id ORDER BY l.began_at DESC, l.id LIMIT $1
INSERT INTO mail_challenges (ticket_hash, purpose, account_id, email, password_hash, code_hash, expires_at, tries_left) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
UPDATE mail_challenges SET tries_left = tries_left - 1 WHERE ticket_hash = $1 AND purpose = $2 AND expires_at > $3 AND tries_left > 0 RETURNING code_hash, account_id, email, password_hash
DELETE FROM mail_challenges WHERE ticket_hash = $1 AND code_hash = $2
DELETE FROM mail_challenges WHERE account_id = $1
INSERT INTO mailed_codes (account_id, purpose, code_hash, expires_at, tries_left) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account_id, purpose) DO UPDATE SET code_hash = excluded.code_hash, expires_at = excluded.expires_at, tries_left = excluded.tries_left
UPDATE mailed_codes SET tries_left = tries_left - 1 WHERE account_id = $1 AND purpose = $2 AND expires_at > $3 AND tries_left > 0 RETURNING code_hash
DELETE FROM mailed_codes WHERE account_id = $1 AND purpose = $2 AND code_hash = $3
SELECT i.id, i.account_id, i.name, i.identity_key, i.paired_at, i.last_token_at, i.paused_at, i.replaced_key, i.replaced_at, 'owner' AS role, CAST(NULL AS TEXT) AS owner_email, CAST(NULL AS BIGINT) AS owner_suspended_at, CAST(NULL AS BIGINT) AS until, CAST(NULL AS TEXT) AS shown_as, 0 AS shared FROM instances i WHERE i.account_id = $1 AND i.ended_at IS NULL UNION ALL SELECT i.id, i.account_id, i.name, i.identity_key, i.paired_at, i.last_token_at, i.paused_at, i.replaced_key, i.replaced_at, m.role, o.email, o.suspended_at, m.expires_at, m.shown_as, 1 FROM members m JOIN instances i ON i.id = m.instance_id JOIN accounts o ON o.id = i.account_id WHERE m.account_id = $1 AND i.ended_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > $2) ORDER BY shared, paired_at, id
SELECT i.id, i.account_id, i.name, i.identity_key, i.paired_at, i.last_token_at, i.paused_at, i.replaced_key, i.replaced_at, COALESCE(m.role, 'owner') AS role, o.email AS owner_email, o.suspended_at AS owner_suspended_at, m.expires_at AS until, m.shown_as FROM instances i JOIN accounts o ON o.id = i.account_id LEFT JOIN members m ON m.instance_id = i.id AND m.account_id = $1 AND (m.expires_at IS NULL OR m.expires_at > $2) WHERE i.id = $3 AND i.ended_at IS NULL AND (i.account_id = $1 OR m.account_id IS NOT NULL)
SELECT id, account_id, role, shown_as, joined_at, expires_at FROM members WHERE instance_id = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY joined_at, id
INSERT INTO members (instance_id, account_id, id, role, shown_as, joined_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (instance_id, account_id) DO UPDATE SET role = excluded.role, shown_as = excluded.shown_as, expires_at = excluded.expires_at
DELETE FROM members WHERE id = $1 AND instance_id = $2 AND EXISTS (SELECT 1 FROM instances i WHERE i.id = $2 AND i.account_id = $3 AND i.ended_at IS NULL) RETURNING account_id, shown_as
DELETE FROM members WHERE instance_id = $1 AND account_id = $2 RETURNING shown_as
DELETE FROM members WHERE instance_id = $1 AND account_id = $2
SELECT email FROM accounts WHERE id = $1
DELETE FROM members WHERE account_id = $1
DELETE FROM members WHERE instance_id = $1 RETURNING account_id
SELECT account_id FROM instances WHERE id = $1 UNION SELECT account_id FROM members WHERE instance_id = $1
SELECT account_id FROM members WHERE instance_id = $1
SELECT i.account_id, i.name, m.shown_as FROM members m JOIN instances i ON i.id = m.instance_id WHERE m.account_id = $1 AND i.ended_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > $2)
SELECT m.account_id, i.name FROM members m JOIN instances i ON i.id = m.instance_id WHERE i.account_id = $1 AND i.ended_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > $2)
INSERT INTO operator_tokens (access_hash, client_id, scopes, issued_at, expires_at, dpop_jkt) VALUES ($1, $2, $3, $4, $5, $6)
SELECT t.client_id, t.scopes, c.own_scopes, t.issued_at, t.expires_at, t.ended_at, t.dpop_jkt FROM operator_tokens t JOIN clients c ON c.id = t.client_id WHERE t.access_hash = $1
UPDATE operator_tokens SET ended_at = $3 WHERE access_hash = $1 AND client_id = $2 AND ended_at IS NULL
SELECT a.id, a.email, a.created_at, a.suspended_at, a.email_verified_at, (SELECT COUNT(*) FROM totp_secrets t WHERE t.account_id = a.id AND t.confirmed_at IS NOT NULL) AS second_steps, (SELECT COUNT(*) FROM instances i WHERE i.account_id = a.id AND i.ended_at IS NULL) AS homes, (SELECT COUNT(*) FROM grants g WHERE g.account_id = a.id AND g.ended_at IS NULL) AS apps, (SELECT COUNT(*) FROM web_sessions s WHERE s.account_id = a.id) AS sessions FROM accounts a WHERE a.id > $1 ORDER BY a.id LIMIT $2
SELECT a.id, a.email, a.created_at, a.suspended_at, a.email_verified_at, (SELECT COUNT(*) FROM totp_secrets t WHERE t.account_id = a.id AND t.confirmed_at IS NOT NULL) AS second_steps, (SELECT COUNT(*) FROM instances i WHERE i.account_id = a.id AND i.ended_at IS NULL) AS homes, (SELECT COUNT(*) FROM grants g WHERE g.account_id = a.id AND g.ended_at IS NULL) AS apps, (SELECT COUNT(*) FROM web_sessions s WHERE s.account_id = a.id) AS sessions FROM accounts a WHERE a.id = $1
SELECT id FROM instances WHERE ended_at IS NULL AND id > $1 AND ($2 = '' OR account_id = $2) ORDER BY id LIMIT $3
DELETE FROM web_sessions WHERE account_id = $1
INSERT INTO pairings (device_code_hash, user_code_hash, identity_key, name, expires_at, poll_interval) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_code_hash) DO NOTHING
SELECT identity_key, name, expires_at, allowed, account_id, redeemed_at FROM pairings WHERE device_code_hash = $1
SELECT identity_key, name, expires_at, allowed, account_id, redeemed_at FROM pairings WHERE user_code_hash = $1 AND decided_at IS NULL AND expires_at > $2
SELECT identity_key, name FROM pairings WHERE account_id = $1 AND allowed AND redeemed_at IS NULL AND expires_at > $2 AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.identity_key = pairings.identity_key AND i.account_id = $1 AND i.ended_at IS NULL) ORDER BY expires_at
UPDATE pairings SET decided_at = $2, allowed = $3, account_id = $4, name = $5, replaces = $6 WHERE user_code_hash = $1 AND decided_at IS NULL AND expires_at > $2
DELETE FROM pairings WHERE account_id = $1 AND redeemed_at IS NULL
UPDATE pairings SET polled_at = $2 WHERE device_code_hash = $1 AND (polled_at IS NULL OR polled_at + poll_interval <= $2)
UPDATE pairings SET polled_at = $2, poll_interval = poll_interval + 5 WHERE device_code_hash = $1
UPDATE pairings SET redeemed_at = $2 WHERE device_code_hash = $1 AND redeemed_at IS NULL AND allowed AND expires_at > $2 RETURNING account_id, name, replaces
INSERT INTO passkeys (id, account_id, credential_id, passkey, name, created_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (credential_id) DO NOTHING
SELECT id, name, credential_id, created_at, last_used_at FROM passkeys WHERE account_id = $1 ORDER BY created_at, id
SELECT id, account_id, passkey FROM passkeys WHERE credential_id = $1
UPDATE passkeys SET passkey = $2, last_used_at = $3 WHERE id = $1
UPDATE passkeys SET name = $3 WHERE account_id = $1 AND id = $2
DELETE FROM passkeys WHERE account_id = $1 AND id = $2
DELETE FROM passkeys WHERE account_id = $1
SELECT COALESCE((SELECT plan FROM account_plans WHERE account_id = $1), (SELECT plan FROM billing_subscriptions WHERE account_id = $1 AND plan IS NOT NULL AND (status = 'active' OR status = 'past_due' AND grace_until > $2) ORDER BY changed_at DESC, subscription LIMIT 1))
SELECT plan FROM account_plans WHERE account_id = $1
UPDATE accounts SET id = id WHERE id = $1
INSERT INTO account_plans (account_id, plan, set_at) VALUES ($1, $2, $3) ON CONFLICT (account_id) DO UPDATE SET plan = excluded.plan, set_at = excluded.set_at
DELETE FROM account_plans WHERE account_id = $1
SELECT COUNT(*) FROM billing_subscriptions WHERE account_id = $1 AND status <> 'ended'
SELECT a.email, COALESCE((SELECT plan FROM account_plans p WHERE p.account_id = a.id), (SELECT plan FROM billing_subscriptions s WHERE s.account_id = a.id AND s.plan IS NOT NULL AND (s.status = 'active' OR s.status = 'past_due' AND s.grace_until > $1) ORDER BY s.changed_at DESC, s.subscription LIMIT 1)), CAST(CASE WHEN EXISTS (SELECT 1 FROM account_plans p WHERE p.account_id = a.id) THEN 1 ELSE 0 END AS BIGINT) FROM accounts a ORDER BY a.created_at, a.id
SELECT CAST(COALESCE(SUM(u.times), 0) AS BIGINT) FROM uses u JOIN instances i ON i.id = u.instance_id WHERE i.account_id = $1 AND u.last_at >= $2 AND u.hour >= $2 AND u.kind NOT IN ('discovery', 'read') AND u.result IN ('done', 'refused', 'not_possible', 'timed_out')
INSERT INTO plan_notices (account_id, day, notice) SELECT id, $2, $3 FROM accounts WHERE id = $1 ON CONFLICT (account_id, day, notice) DO NOTHING
INSERT INTO pushed_requests (request_hash, client_id, request, expires_at) VALUES ($1, $2, $3, $4)
SELECT request, expires_at FROM pushed_requests WHERE request_hash = $1 AND client_id = $2 AND expires_at > $3
DELETE FROM pushed_requests WHERE request_hash = $1 AND expires_at > $2
INSERT INTO restores (restored_at, lost_from) VALUES ($1, $2) ON CONFLICT (restored_at) DO NOTHING
SELECT MAX(issued_at) FROM token_pairs
INSERT INTO token_pairs (access_hash, refresh_hash, grant_id, parent_hash, scopes, issued_at, access_expires_at, refresh_expires_at) SELECT $1, $2, g.id, (SELECT known.refresh_hash FROM token_pairs known WHERE known.grant_id = g.id AND known.issued_at <= $4 ORDER BY known.issued_at DESC LIMIT 1), g.scopes, $4, $4, $5 FROM grants g JOIN clients c ON c.id = g.client_id WHERE g.id = $3 AND g.client_id = $6 AND g.ended_at IS NULL AND c.rotation = 'overlap' AND EXISTS (SELECT 1 FROM restores r WHERE r.restored_at >= $4 AND r.lost_from <= $4) AND NOT EXISTS (SELECT 1 FROM token_pairs newer JOIN token_pairs later ON later.parent_hash = newer.refresh_hash WHERE newer.grant_id = g.id AND newer.issued_at > $4 AND later.issued_at <= $7) ON CONFLICT DO NOTHING
SELECT COUNT(*) FROM restores WHERE restored_at > $1 - (SELECT COALESCE(MAX(access_token_seconds), 0) FROM clients)
UPDATE token_pairs SET access_expires_at = $1 WHERE issued_at > $1 - 2592000 AND access_expires_at > $1
UPDATE token_pairs SET refresh_expires_at = $1 WHERE refresh_expires_at > $1 AND used_at IS NULL AND dpop_jkt IS NULL AND grant_id IN (SELECT g.id FROM grants g JOIN clients c ON c.id = g.client_id WHERE c.rotation = 'strict')
SELECT (SELECT COUNT(*) FROM accounts) AS people, (SELECT COUNT(*) FROM instances WHERE ended_at IS NULL) AS homes, (SELECT COUNT(*) FROM clients) AS apps, (SELECT COUNT(*) FROM grants WHERE ended_at IS NULL) AS links, (SELECT MAX(issued_at) FROM token_pairs) AS newest_tokens_at
DELETE FROM web_sessions
DELETE FROM invitations
DELETE FROM codes
DELETE FROM pushed_requests
DELETE FROM pairings
DELETE FROM mailed_codes
DELETE FROM mail_challenges
DELETE FROM sign_in_trips
DELETE FROM home_assistant_trips
DELETE FROM operator_tokens
DELETE FROM changes
UPDATE change_counter SET last = last + $1 WHERE id = 1
INSERT INTO token_pairs (access_hash, refresh_hash, grant_id, parent_hash, scopes, issued_at, access_expires_at, refresh_expires_at, dpop_jkt) SELECT $1, $2, old.grant_id, old.refresh_hash, COALESCE($3, g.scopes), $4, $5, $6, $11 FROM token_pairs old JOIN grants g ON g.id = old.grant_id JOIN accounts a ON a.id = g.account_id WHERE old.refresh_hash = $7 AND g.client_id = $8 AND old.refresh_expires_at > $4 AND g.ended_at IS NULL AND a.suspended_at IS NULL AND NOT EXISTS (SELECT 1 FROM token_pairs next JOIN token_pairs later ON later.parent_hash = next.refresh_hash WHERE next.parent_hash = old.refresh_hash AND later.issued_at <= $9) AND (SELECT COUNT(*) FROM token_pairs sibling WHERE sibling.parent_hash = old.refresh_hash) < $10 RETURNING scopes, (SELECT g.account_id FROM grants g WHERE g.id = token_pairs.grant_id) AS account_id, (SELECT g.signed_in_at FROM grants g WHERE g.id = token_pairs.grant_id) AS signed_in_at, (SELECT a.email FROM grants g JOIN accounts a ON a.id = g.account_id WHERE g.id = token_pairs.grant_id) AS email, (SELECT a.email_verified_at FROM grants g JOIN accounts a ON a.id = g.account_id WHERE g.id = token_pairs.grant_id) AS email_verified_at
SELECT kid, sealed_seed FROM signing_keys ORDER BY kid
UPDATE signing_keys SET sealed_seed = $3 WHERE kid = $1 AND sealed_seed = $2
SELECT account_id, sealed_secret FROM totp_secrets ORDER BY account_id
UPDATE totp_secrets SET sealed_secret = $3 WHERE account_id = $1 AND sealed_secret = $2
SELECT instance_id, sealed_code FROM home_assistant_trips WHERE sealed_code IS NOT NULL ORDER BY instance_id
UPDATE home_assistant_trips SET sealed_code = $3 WHERE instance_id = $1 AND sealed_code = $2
SELECT name, sealed_key FROM hash_keys ORDER BY name
UPDATE hash_keys SET sealed_key = $3 WHERE name = $1 AND sealed_key = $2
INSERT INTO hash_keys (name, sealed_key) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING
SELECT sealed_key FROM hash_keys WHERE name = $1
INSERT INTO totp_secrets (account_id, sealed_secret, created_at, last_step) VALUES ($1, $2, $3, 0) ON CONFLICT (account_id) DO UPDATE SET sealed_secret = excluded.sealed_secret, created_at = excluded.created_at WHERE totp_secrets.confirmed_at IS NULL
SELECT sealed_secret, confirmed_at FROM totp_secrets WHERE account_id = $1
UPDATE totp_secrets SET confirmed_at = $2, last_step = $3 WHERE account_id = $1 AND confirmed_at IS NULL AND sealed_secret = $4
UPDATE totp_secrets SET last_step = $2 WHERE account_id = $1 AND confirmed_at IS NOT NULL AND last_step < $2
DELETE FROM totp_secrets WHERE account_id = $1
INSERT INTO recovery_codes (account_id, code_hash) VALUES ($1, $2)
DELETE FROM recovery_codes WHERE account_id = $1
DELETE FROM recovery_codes WHERE account_id = $1 AND code_hash = $2
SELECT COUNT(*) FROM recovery_codes WHERE account_id = $1
INSERT INTO seen_proofs (proof_hash, expires_at) VALUES ($1, $2) ON CONFLICT (proof_hash) DO NOTHING
INSERT INTO signing_keys (generation, kid, public_key, sealed_seed, use_from) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (generation) DO NOTHING
SELECT kid FROM signing_keys WHERE generation = $1
SELECT generation, kid, public_key, sealed_seed, use_from FROM signing_keys ORDER BY generation
DELETE FROM signing_keys WHERE generation = $1
INSERT INTO token_pairs (access_hash, refresh_hash, grant_id, parent_hash, scopes, issued_at, access_expires_at, refresh_expires_at, dpop_jkt) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
SELECT COUNT(*) FROM token_pairs WHERE parent_hash = $1
DELETE FROM token_pairs WHERE parent_hash = $1 AND issued_at <= $2 AND access_expires_at <= $2 AND NOT EXISTS (SELECT 1 FROM token_pairs later WHERE later.parent_hash = token_pairs.refresh_hash)
UPDATE token_pairs SET used_at = $3 WHERE refresh_hash = $1 AND used_at IS NULL AND refresh_expires_at > $3 AND (dpop_jkt IS NULL OR dpop_jkt = $4) AND EXISTS (SELECT 1 FROM grants g JOIN accounts a ON a.id = g.account_id WHERE g.id = token_pairs.grant_id AND g.client_id = $2 AND g.ended_at IS NULL AND a.suspended_at IS NULL) RETURNING grant_id
SELECT g.id AS grant_id, g.client_id, g.account_id, g.scopes AS grant_scopes, g.scopes, p.issued_at, p.access_expires_at, p.refresh_expires_at, p.access_ended_at, p.used_at, p.dpop_jkt, g.ended_at, a.suspended_at FROM token_pairs p JOIN grants g ON g.id = p.grant_id JOIN accounts a ON a.id = g.account_id WHERE p.refresh_hash = $1
SELECT g.id AS grant_id, g.client_id, g.account_id, g.scopes AS grant_scopes, p.scopes, p.issued_at, p.access_expires_at, p.refresh_expires_at, p.access_ended_at, p.used_at, p.dpop_jkt, g.ended_at, a.suspended_at FROM token_pairs p JOIN grants g ON g.id = p.grant_id JOIN accounts a ON a.id = g.account_id WHERE p.access_hash = $1
UPDATE token_pairs SET access_ended_at = $2 WHERE access_hash = $1 AND access_ended_at IS NULL
SELECT COUNT(*) FROM token_pairs next JOIN token_pairs later ON later.parent_hash = next.refresh_hash WHERE next.parent_hash = $1 AND later.issued_at <= $2
INSERT INTO use_batches (batch_id, counted_at) VALUES ($1, $2) ON CONFLICT (batch_id) DO NOTHING
INSERT INTO uses (hour, grant_id, account_id, instance_id, kind, result, times, last_at) SELECT $1, g.id, g.account_id, i.id, $4, $5, $6, $7 FROM grants g JOIN instances i ON i.id = $3 WHERE g.id = $2 ON CONFLICT (hour, grant_id, instance_id, kind, result) DO UPDATE SET times = uses.times + excluded.times, last_at = CASE WHEN excluded.last_at > uses.last_at THEN excluded.last_at ELSE uses.last_at END
SELECT MAX(last_at) FROM uses WHERE instance_id = $1 AND result = 'done'
SELECT MAX(u.last_at) FROM uses u JOIN grants g ON g.id = u.grant_id WHERE g.account_id = $1 AND g.client_id = $2
SELECT u.last_at, u.grant_id || u.instance_id || u.kind || u.result || CAST(u.hour AS TEXT), c.name, CASE WHEN i.account_id = $1 OR EXISTS (SELECT 1 FROM members m WHERE m.instance_id = i.id AND m.account_id = $1 AND (m.expires_at IS NULL OR m.expires_at > $5)) THEN i.name ELSE '' END, u.kind, u.result, u.times, '' FROM uses u JOIN grants g ON g.id = u.grant_id JOIN clients c ON c.id = g.client_id JOIN instances i ON i.id = u.instance_id WHERE u.account_id = $1 AND u.last_at <= $2 AND (u.last_at < $2 OR -1 < $3 OR (-1 = $3 AND u.grant_id || u.instance_id || u.kind || u.result || CAST(u.hour AS TEXT) < $4)) UNION ALL SELECT u.last_at, u.grant_id || u.instance_id || u.kind || u.result || CAST(u.hour AS TEXT), c.name, i.name, u.kind, u.result, u.times, m.shown_as FROM instances i JOIN members m ON m.instance_id = i.id AND m.account_id <> $1 JOIN uses u ON u.instance_id = m.instance_id AND u.account_id = m.account_id AND u.last_at >= m.joined_at JOIN grants g ON g.id = u.grant_id JOIN clients c ON c.id = g.client_id WHERE i.account_id = $1 AND u.last_at <= $2 AND (u.last_at < $2 OR -1 < $3 OR (-1 = $3 AND u.grant_id || u.instance_id || u.kind || u.result || CAST(u.hour AS TEXT) < $4)) ORDER BY 1 DESC, 2 DESC LIMIT 51
INSERT INTO web_sessions (cookie_hash, id, account_id, signed_in_at, last_seen_at, expires_at, device) SELECT $1, $2, a.id, $4, $5, $6, $7 FROM accounts a WHERE a.id = $3 AND a.suspended_at IS NULL AND a.password_hash = $8
SELECT s.id, s.account_id, a.email, s.signed_in_at, s.last_seen_at FROM web_sessions s JOIN accounts a ON a.id = s.account_id WHERE s.cookie_hash = $1 AND s.expires_at > $2 AND a.suspended_at IS NULL
SELECT id FROM web_sessions WHERE account_id = $1 AND id = $2
UPDATE web_sessions SET last_seen_at = $2 WHERE cookie_hash = $1
DELETE FROM web_sessions WHERE cookie_hash = $1
DELETE FROM web_sessions WHERE account_id = $1 AND id = $2
DELETE FROM web_sessions WHERE account_id = $1
DELETE FROM web_sessions WHERE account_id = $1 AND id <> $2
SELECT id, signed_in_at, last_seen_at, device FROM web_sessions WHERE account_id = $1 AND expires_at > $2 ORDER BY last_seen_at DESC, id
-- PostgreSQL only
WITH asked AS ( SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[], $8::text[], $9::bigint[], $10::text[]) WITH ORDINALITY AS asked (access_hash, refresh_hash, narrowed, issued_at, access_expires_at, refresh_expires_at, used, client_id, cut, dpop_jkt, place)), good AS ( SELECT asked.*, g.id AS grant_id, COALESCE(asked.narrowed, g.scopes) AS scopes, g.account_id, g.signed_in_at, a.email, a.email_verified_at FROM asked JOIN token_pairs old ON old.refresh_hash = asked.used JOIN grants g ON g.id = old.grant_id JOIN accounts a ON a.id = g.account_id WHERE g.client_id = asked.client_id AND old.refresh_expires_at > asked.issued_at AND g.ended_at IS NULL AND a.suspended_at IS NULL AND (SELECT 1 FROM token_pairs next JOIN token_pairs later ON later.parent_hash = next.refresh_hash WHERE next.parent_hash = asked.used AND later.issued_at <= asked.cut LIMIT 1) IS NULL AND (SELECT COUNT(*) FROM token_pairs sibling WHERE sibling.parent_hash = asked.used) < $11), made AS ( INSERT INTO token_pairs (access_hash, refresh_hash, grant_id, parent_hash, scopes, issued_at, access_expires_at, refresh_expires_at, dpop_jkt) SELECT access_hash, refresh_hash, grant_id, used, scopes, issued_at, access_expires_at, refresh_expires_at, dpop_jkt FROM good) SELECT place, scopes, account_id, signed_in_at, email, email_verified_at FROM good
