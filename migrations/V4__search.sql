-- Search by words and by meaning takes the place of FTS5. What a server or a tool is found by is made from the
-- registration (src/search/document.rs): its words with their weights, and a vector for what it means. An
-- index of them is held in memory; these tables spare a restart from making them again.
DROP TRIGGER servers_leave_text;
DROP TRIGGER tools_leave_text;
DROP TABLE server_text;
DROP TABLE tool_text;

-- What a server and its tools are found by, one row a distinct text: servers that say the same of themselves share it.
CREATE TABLE search_texts (
  digest    BLOB    NOT NULL UNIQUE CHECK (length(digest) = 16), -- of the text that it was made from
  version   INTEGER NOT NULL,                                    -- of what made it
  documents BLOB    NOT NULL                                     -- see src/search/encoding.rs
) STRICT;

-- Which text is whose.
CREATE TABLE search_entries (
  server INTEGER PRIMARY KEY REFERENCES servers (number) ON DELETE CASCADE,
  digest BLOB    NOT NULL
) STRICT;
CREATE INDEX search_entries_by_text ON search_entries (digest); -- whether a text is still used

-- Texts that may be used no more: the writer looks, and deletes them.
CREATE TABLE search_unused (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TRIGGER search_entries_leave AFTER DELETE ON search_entries BEGIN
  INSERT OR IGNORE INTO search_unused (digest) VALUES (old.digest);
END;

-- The version of what made all texts; any other one: some are to be made.
ALTER TABLE settings ADD COLUMN search_version INTEGER NOT NULL DEFAULT 0;

-- sqlite3 does not enforce foreign keys unless it is told to: see V2.
CREATE TRIGGER servers_leave_search AFTER DELETE ON servers BEGIN
  DELETE FROM search_entries WHERE server = old.number;
END;
