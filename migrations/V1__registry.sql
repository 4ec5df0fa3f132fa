-- The registry: one row a fact, and SQL states what must hold.
--
-- Times are integers: milliseconds since 1970-01-01 UTC. `leases.expires_at` alone is measured in lease
-- time (see src/registry/lease_clock.rs); `settings.wall_offset` added to it gives the wall time.
-- The schema keeps to what SQLite 3.37 can parse, so that an older sqlite3 can read the file; NULL is spelled out where
-- JSON is checked, since it is no JSON to versions before 3.45.

PRAGMA application_id = 1348564332; -- 'Paul' in ASCII: tells file(1) and start-up whose database this is

-- One row: which history this is, how far it has come, and the lease clock at the last commit.
CREATE TABLE settings (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  epoch       TEXT    NOT NULL CHECK (length(epoch) = 8),
  revision    INTEGER NOT NULL CHECK (revision >= 0),
  lease_clock INTEGER NOT NULL,
  wall_offset INTEGER NOT NULL
) STRICT;
INSERT INTO settings (id, epoch, revision, lease_clock, wall_offset)
VALUES (1, lower(hex(randomblob(4))), 0, 0, 0);

-- One row a registration. AUTOINCREMENT because numbers must never come back: cursors are made of them.
CREATE TABLE servers (
  number        INTEGER PRIMARY KEY AUTOINCREMENT,
  id            TEXT    NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 128),
  name          TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  title         TEXT,
  version       TEXT,
  description   TEXT,
  transport     TEXT    NOT NULL CHECK (transport IN ('stdio', 'streamable-http', 'sse')),
  command       TEXT    CHECK (command IS NULL OR json_valid(command)),
  url           TEXT,
  environment   TEXT    NOT NULL CHECK (json_valid(environment)),
  headers       TEXT    NOT NULL CHECK (json_valid(headers)),
  owner         TEXT,
  registered_at INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL,
  CHECK ((transport = 'stdio') = (command IS NOT NULL)),
  CHECK ((transport = 'stdio') = (url IS NULL))
) STRICT;
CREATE INDEX servers_by_name      ON servers (name);            -- filter name
CREATE INDEX servers_by_version   ON servers (version);         -- filter version
CREATE INDEX servers_by_transport ON servers (transport);       -- filter transport
CREATE INDEX servers_by_owner     ON servers (owner) WHERE owner IS NOT NULL; -- filter owner

-- What a heartbeat touches, and nothing else: a narrow row. There is no index on expires_at on purpose: it
-- would make every heartbeat dearer, and a scan of this table is cheap.
CREATE TABLE leases (
  server       INTEGER PRIMARY KEY REFERENCES servers (number) ON DELETE CASCADE,
  lease        BLOB    NOT NULL CHECK (length(lease) = 16),
  ttl          INTEGER NOT NULL CHECK (ttl BETWEEN 1 AND 86400),
  expires_at   INTEGER NOT NULL,
  refreshed_at INTEGER NOT NULL,
  expired      INTEGER NOT NULL DEFAULT 0 CHECK (expired IN (0, 1)) -- 1: the change `expired` is recorded
) STRICT;

-- `definition` is the object as the server sent it; the columns beside it are what people and queries read.
CREATE TABLE tools (
  number      INTEGER PRIMARY KEY,
  server      INTEGER NOT NULL REFERENCES servers (number) ON DELETE CASCADE,
  position    INTEGER NOT NULL,
  name        TEXT    NOT NULL,
  title       TEXT,
  description TEXT,
  definition  TEXT    NOT NULL CHECK (json_valid(definition))
) STRICT;
CREATE UNIQUE INDEX tools_by_server ON tools (server, name);    -- a server's tools; unique by name
CREATE INDEX        tools_by_name   ON tools (name, server);    -- filter tool, and pages of /v1/tools

CREATE TABLE prompts (
  number      INTEGER PRIMARY KEY,
  server      INTEGER NOT NULL REFERENCES servers (number) ON DELETE CASCADE,
  position    INTEGER NOT NULL,
  name        TEXT    NOT NULL,
  title       TEXT,
  description TEXT,
  definition  TEXT    NOT NULL CHECK (json_valid(definition))
) STRICT;
CREATE UNIQUE INDEX prompts_by_server ON prompts (server, name); -- a server's prompts; unique by name
CREATE INDEX        prompts_by_name   ON prompts (name, server); -- filter prompt

-- A resource has a URI, or a template with the GLOB that it compiles to and the text before its first wildcard
-- (at most 64 characters of it): a URI is looked up under each of its own beginnings, not against every template.
CREATE TABLE resources (
  number       INTEGER PRIMARY KEY,
  server       INTEGER NOT NULL REFERENCES servers (number) ON DELETE CASCADE,
  position     INTEGER NOT NULL,
  uri          TEXT    CHECK (length(CAST(uri AS BLOB)) <= 2000),
  uri_template TEXT    CHECK (length(CAST(uri_template AS BLOB)) <= 2000),
  glob         TEXT,
  prefix       TEXT,
  name         TEXT,
  title        TEXT,
  description  TEXT,
  mime_type    TEXT,
  definition   TEXT    NOT NULL CHECK (json_valid(definition)),
  CHECK ((uri IS NULL) <> (uri_template IS NULL)),
  CHECK ((uri_template IS NULL) = (glob IS NULL) AND (glob IS NULL) = (prefix IS NULL))
) STRICT;
CREATE UNIQUE INDEX resources_by_server ON resources (server, coalesce(uri, ''), coalesce(uri_template, '')); -- a server's resources
CREATE INDEX        resources_by_uri    ON resources (uri, server)    WHERE uri IS NOT NULL;                    -- filter resource
CREATE INDEX        resources_by_prefix ON resources (prefix, server) WHERE prefix IS NOT NULL;                 -- filter resource

-- Named flags with their options. `tools`, `resources` and `prompts` are rows here too when a server has any.
CREATE TABLE capabilities (
  server  INTEGER NOT NULL REFERENCES servers (number) ON DELETE CASCADE,
  name    TEXT    NOT NULL,
  options TEXT    NOT NULL CHECK (json_type(options) IN ('true', 'false', 'object')),
  PRIMARY KEY (server, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX capabilities_by_name ON capabilities (name, server) WHERE options <> 'false'; -- filter capability

CREATE TABLE tags (
  server INTEGER NOT NULL REFERENCES servers (number) ON DELETE CASCADE,
  tag    TEXT    NOT NULL CHECK (length(tag) BETWEEN 1 AND 100),
  PRIMARY KEY (server, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_tag ON tags (tag, server); -- filter tag

CREATE TABLE metadata (
  server INTEGER NOT NULL REFERENCES servers (number) ON DELETE CASCADE,
  key    TEXT    NOT NULL CHECK (length(key) BETWEEN 1 AND 64),
  value  TEXT    NOT NULL CHECK (length(value) <= 1000),
  PRIMARY KEY (server, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX metadata_by_value ON metadata (key, value, server); -- filter metadata

-- What happened, numbered without gaps, with the summary before and after. Bounded: the oldest rows go.
CREATE TABLE changes (
  revision INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL,
  kind     TEXT    NOT NULL CHECK (kind IN ('registered', 'updated', 'deregistered', 'expired')),
  server   TEXT    NOT NULL,
  before   TEXT    CHECK (before IS NULL OR json_valid(before)),
  after    TEXT    CHECK (after IS NULL OR json_valid(after))
) STRICT;

-- Full text. The words are prepared in src/model/words.rs (camelCase is split, stems are added), which is why
-- the writer fills these tables; SQLite only has to take rows out of them.
CREATE VIRTUAL TABLE server_text USING fts5 (
  name, tags, tools, text,
  content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2"
);
CREATE VIRTUAL TABLE tool_text USING fts5 (
  name, text,
  content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2"
);
INSERT INTO server_text (server_text, rank) VALUES ('rank', 'bm25(10.0, 5.0, 5.0, 1.0)');
INSERT INTO tool_text (tool_text, rank) VALUES ('rank', 'bm25(10.0, 1.0)');
CREATE TRIGGER servers_leave_text AFTER DELETE ON servers BEGIN
  DELETE FROM server_text WHERE rowid = old.number;
END;
CREATE TRIGGER tools_leave_text AFTER DELETE ON tools BEGIN
  DELETE FROM tool_text WHERE rowid = old.number;
END;

-- For people: sqlite3 paulina.db 'SELECT * FROM registry'
CREATE VIEW registry AS
SELECT s.id, s.name, s.transport,
  CASE WHEN l.expires_at + g.wall_offset > CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
       THEN 'healthy' ELSE 'unhealthy' END AS health,
  datetime(s.registered_at / 1000, 'unixepoch') AS registered_at,
  datetime(l.refreshed_at / 1000, 'unixepoch') AS refreshed_at,
  datetime((l.expires_at + g.wall_offset) / 1000, 'unixepoch') AS expires_at,
  (SELECT count(*) FROM tools t WHERE t.server = s.number) AS tools,
  (SELECT group_concat(tag, ', ') FROM (SELECT tag FROM tags WHERE server = s.number ORDER BY tag)) AS tags
FROM settings g
CROSS JOIN servers s
JOIN leases l ON l.server = s.number
ORDER BY s.number;
