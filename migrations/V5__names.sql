-- Triggers are named for the table, the event and what they change, and a column for what it counts: `token_version` increases
-- with each change of `tokens`, so that a running registry notices that it has to read them again.
ALTER TABLE settings RENAME COLUMN tokens TO token_version;
DROP TRIGGER tokens_come;
CREATE TRIGGER tokens_insert AFTER INSERT ON tokens BEGIN
  UPDATE settings SET token_version = token_version + 1;
END;
DROP TRIGGER tokens_change;
CREATE TRIGGER tokens_update AFTER UPDATE ON tokens BEGIN
  UPDATE settings SET token_version = token_version + 1;
END;
DROP TRIGGER tokens_leave;
CREATE TRIGGER tokens_delete AFTER DELETE ON tokens BEGIN
  UPDATE settings SET token_version = token_version + 1;
END;

-- A row of `summaries` belongs to each server. Its record is NULL, and rendered again, after a change of any table that it is
-- rendered from.
DROP TRIGGER servers_add_summary;
CREATE TRIGGER servers_insert_summary AFTER INSERT ON servers BEGIN
  INSERT INTO summaries (server) VALUES (new.number);
END;
DROP TRIGGER servers_change_summary;
CREATE TRIGGER servers_update_summary AFTER UPDATE ON servers BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.number AND record IS NOT NULL;
END;
DROP TRIGGER tools_add_to_summary;
CREATE TRIGGER tools_insert_summary AFTER INSERT ON tools BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.server AND record IS NOT NULL;
END;
DROP TRIGGER tools_change_summary;
CREATE TRIGGER tools_update_summary AFTER UPDATE ON tools BEGIN
  UPDATE summaries SET record = NULL WHERE server IN (old.server, new.server) AND record IS NOT NULL;
END;
DROP TRIGGER tools_leave_summary;
CREATE TRIGGER tools_delete_summary AFTER DELETE ON tools BEGIN
  UPDATE summaries SET record = NULL WHERE server = old.server AND record IS NOT NULL;
END;
DROP TRIGGER prompts_add_to_summary;
CREATE TRIGGER prompts_insert_summary AFTER INSERT ON prompts BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.server AND record IS NOT NULL;
END;
DROP TRIGGER prompts_change_summary;
CREATE TRIGGER prompts_update_summary AFTER UPDATE ON prompts BEGIN
  UPDATE summaries SET record = NULL WHERE server IN (old.server, new.server) AND record IS NOT NULL;
END;
DROP TRIGGER prompts_leave_summary;
CREATE TRIGGER prompts_delete_summary AFTER DELETE ON prompts BEGIN
  UPDATE summaries SET record = NULL WHERE server = old.server AND record IS NOT NULL;
END;
DROP TRIGGER resources_add_to_summary;
CREATE TRIGGER resources_insert_summary AFTER INSERT ON resources BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.server AND record IS NOT NULL;
END;
DROP TRIGGER resources_change_summary;
CREATE TRIGGER resources_update_summary AFTER UPDATE ON resources BEGIN
  UPDATE summaries SET record = NULL WHERE server IN (old.server, new.server) AND record IS NOT NULL;
END;
DROP TRIGGER resources_leave_summary;
CREATE TRIGGER resources_delete_summary AFTER DELETE ON resources BEGIN
  UPDATE summaries SET record = NULL WHERE server = old.server AND record IS NOT NULL;
END;
DROP TRIGGER capabilities_add_to_summary;
CREATE TRIGGER capabilities_insert_summary AFTER INSERT ON capabilities BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.server AND record IS NOT NULL;
END;
DROP TRIGGER capabilities_change_summary;
CREATE TRIGGER capabilities_update_summary AFTER UPDATE ON capabilities BEGIN
  UPDATE summaries SET record = NULL WHERE server IN (old.server, new.server) AND record IS NOT NULL;
END;
DROP TRIGGER capabilities_leave_summary;
CREATE TRIGGER capabilities_delete_summary AFTER DELETE ON capabilities BEGIN
  UPDATE summaries SET record = NULL WHERE server = old.server AND record IS NOT NULL;
END;
DROP TRIGGER tags_add_to_summary;
CREATE TRIGGER tags_insert_summary AFTER INSERT ON tags BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.server AND record IS NOT NULL;
END;
DROP TRIGGER tags_change_summary;
CREATE TRIGGER tags_update_summary AFTER UPDATE ON tags BEGIN
  UPDATE summaries SET record = NULL WHERE server IN (old.server, new.server) AND record IS NOT NULL;
END;
DROP TRIGGER tags_leave_summary;
CREATE TRIGGER tags_delete_summary AFTER DELETE ON tags BEGIN
  UPDATE summaries SET record = NULL WHERE server = old.server AND record IS NOT NULL;
END;
DROP TRIGGER metadata_add_to_summary;
CREATE TRIGGER metadata_insert_summary AFTER INSERT ON metadata BEGIN
  UPDATE summaries SET record = NULL WHERE server = new.server AND record IS NOT NULL;
END;
DROP TRIGGER metadata_change_summary;
CREATE TRIGGER metadata_update_summary AFTER UPDATE ON metadata BEGIN
  UPDATE summaries SET record = NULL WHERE server IN (old.server, new.server) AND record IS NOT NULL;
END;
DROP TRIGGER metadata_leave_summary;
CREATE TRIGGER metadata_delete_summary AFTER DELETE ON metadata BEGIN
  UPDATE summaries SET record = NULL WHERE server = old.server AND record IS NOT NULL;
END;

-- sqlite3 does not enforce foreign keys unless it is told to. A server that is deleted with it is deleted with everything that
-- belongs to it.
DROP TRIGGER servers_leave;
DROP TRIGGER servers_leave_search;
CREATE TRIGGER servers_delete_children AFTER DELETE ON servers BEGIN
  DELETE FROM leases WHERE server = old.number;
  DELETE FROM tools WHERE server = old.number;
  DELETE FROM prompts WHERE server = old.number;
  DELETE FROM resources WHERE server = old.number;
  DELETE FROM capabilities WHERE server = old.number;
  DELETE FROM tags WHERE server = old.number;
  DELETE FROM metadata WHERE server = old.number;
  DELETE FROM summaries WHERE server = old.number;
  DELETE FROM search_entries WHERE server = old.number;
END;

-- The writer deletes texts that no server uses any more.
DROP TRIGGER search_entries_leave;
CREATE TRIGGER search_entries_delete AFTER DELETE ON search_entries BEGIN
  INSERT OR IGNORE INTO search_unused (digest) VALUES (old.digest);
END;
