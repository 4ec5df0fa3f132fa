-- Who may read, register and administer: the SHA-256 of each token. The token itself is nowhere. `name` is the `owner`
-- of the servers that are registered with it.
CREATE TABLE tokens (
  number     INTEGER PRIMARY KEY,
  name       TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 100 AND name NOT GLOB '*[^A-Za-z0-9._/@-]*'),
  role       TEXT    NOT NULL CHECK (role IN ('read', 'register', 'admin')),
  hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
  created_at INTEGER NOT NULL
) STRICT;

-- Goes up with every change of `tokens`: tells whether the serving process has taken it over.
ALTER TABLE settings ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER tokens_come   AFTER INSERT ON tokens BEGIN UPDATE settings SET tokens = tokens + 1; END;
CREATE TRIGGER tokens_change AFTER UPDATE ON tokens BEGIN UPDATE settings SET tokens = tokens + 1; END;
CREATE TRIGGER tokens_leave  AFTER DELETE ON tokens BEGIN UPDATE settings SET tokens = tokens + 1; END;
