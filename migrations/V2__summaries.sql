-- Ready-made summaries: what a page of servers says of each, but for its lease, as JSON. A cache, not a fact:
-- NULL means that it is to be made from the tables, and readers do that (src/store/rows.rs, where one expression
-- says what a summary is). Reading one text a server instead of its tools, resources, prompts, tags, capabilities
-- and metadata makes a page several times cheaper.
CREATE TABLE summaries (
  server INTEGER PRIMARY KEY REFERENCES servers (number) ON DELETE CASCADE,
  record TEXT
) STRICT;
CREATE INDEX summaries_missing ON summaries (server) WHERE record IS NULL; -- those to be made

INSERT INTO summaries (server) SELECT number FROM servers;

-- Whoever edits the tables, be it with sqlite3, takes the summary away.
CREATE TRIGGER servers_add_summary AFTER INSERT ON servers BEGIN
  INSERT INTO summaries (server) VALUES (new.number);
END;
CREATE TRIGGER servers_change_summary AFTER UPDATE ON servers BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.number AND record IS NOT NULL;
END;
CREATE TRIGGER tools_add_to_summary AFTER INSERT ON tools BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.server AND record IS NOT NULL;
END;
CREATE TRIGGER tools_change_summary AFTER UPDATE ON tools BEGIN
  UPDATE summaries SET record = NULL WHERE server IN (old.server, new.server) AND record IS NOT NULL;
END;
CREATE TRIGGER tools_leave_summary AFTER DELETE ON tools BEGIN
  UPDATE summaries SET record = NULL WHERE server = old.server AND record IS NOT NULL;
END;
CREATE TRIGGER prompts_add_to_summary AFTER INSERT ON prompts BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.server AND record IS NOT NULL;
END;
CREATE TRIGGER prompts_change_summary AFTER UPDATE ON prompts BEGIN
  UPDATE summaries SET record = NULL WHERE server IN (old.server, new.server) AND record IS NOT NULL;
END;
CREATE TRIGGER prompts_leave_summary AFTER DELETE ON prompts BEGIN
  UPDATE summaries SET record = NULL WHERE server = old.server AND record IS NOT NULL;
END;
CREATE TRIGGER resources_add_to_summary AFTER INSERT ON resources BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.server AND record IS NOT NULL;
END;
CREATE TRIGGER resources_change_summary AFTER UPDATE ON resources BEGIN
  UPDATE summaries SET record = NULL WHERE server IN (old.server, new.server) AND record IS NOT NULL;
END;
CREATE TRIGGER resources_leave_summary AFTER DELETE ON resources BEGIN
  UPDATE summaries SET record = NULL WHERE server = old.server AND record IS NOT NULL;
END;
CREATE TRIGGER capabilities_add_to_summary AFTER INSERT ON capabilities BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.server AND record IS NOT NULL;
END;
CREATE TRIGGER capabilities_change_summary AFTER UPDATE ON capabilities BEGIN
  UPDATE summaries SET record = NULL WHERE server IN (old.server, new.server) AND record IS NOT NULL;
END;
CREATE TRIGGER capabilities_leave_summary AFTER DELETE ON capabilities BEGIN
  UPDATE summaries SET record = NULL WHERE server = old.server AND record IS NOT NULL;
END;
CREATE TRIGGER tags_add_to_summary AFTER INSERT ON tags BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.server AND record IS NOT NULL;
END;
CREATE TRIGGER tags_change_summary AFTER UPDATE ON tags BEGIN
  UPDATE summaries SET record = NULL WHERE server IN (old.server, new.server) AND record IS NOT NULL;
END;
CREATE TRIGGER tags_leave_summary AFTER DELETE ON tags BEGIN
  UPDATE summaries SET record = NULL WHERE server = old.server AND record IS NOT NULL;
END;
CREATE TRIGGER metadata_add_to_summary AFTER INSERT ON metadata BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.server AND record IS NOT NULL;
END;
CREATE TRIGGER metadata_change_summary AFTER UPDATE ON metadata BEGIN
  UPDATE summaries SET record = NULL WHERE server IN (old.server, new.server) AND record IS NOT NULL;
END;
CREATE TRIGGER metadata_leave_summary AFTER DELETE ON metadata BEGIN
  UPDATE summaries SET record = NULL WHERE server = old.server AND record IS NOT NULL;
END;

-- sqlite3 does not enforce foreign keys unless it is told to. A server that somebody deletes with it goes whole; what
-- was left of earlier ones goes now.
DELETE FROM leases       WHERE server NOT IN (SELECT number FROM servers);
DELETE FROM tools        WHERE server NOT IN (SELECT number FROM servers);
DELETE FROM prompts      WHERE server NOT IN (SELECT number FROM servers);
DELETE FROM resources    WHERE server NOT IN (SELECT number FROM servers);
DELETE FROM capabilities WHERE server NOT IN (SELECT number FROM servers);
DELETE FROM tags         WHERE server NOT IN (SELECT number FROM servers);
DELETE FROM metadata     WHERE server NOT IN (SELECT number FROM servers);
CREATE TRIGGER servers_leave AFTER DELETE ON servers BEGIN
  DELETE FROM leases WHERE server = old.number;
  DELETE FROM tools WHERE server = old.number;
  DELETE FROM prompts WHERE server = old.number;
  DELETE FROM resources WHERE server = old.number;
  DELETE FROM capabilities WHERE server = old.number;
  DELETE FROM tags WHERE server = old.number;
  DELETE FROM metadata WHERE server = old.number;
  DELETE FROM summaries WHERE server = old.number;
END;
