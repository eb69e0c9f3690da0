-- Where a browser may be sent after signing out at a client's wish (OpenID Connect RP-Initiated Logout): a JSON list of
-- exact texts, like redirect_uris.
ALTER TABLE clients ADD COLUMN post_logout_redirect_uris TEXT NOT NULL DEFAULT '[]';
