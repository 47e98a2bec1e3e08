-- Which files a grant's SFTP permissions are for: a JSON object, empty for all of them.
ALTER TABLE grants ADD COLUMN files TEXT NOT NULL DEFAULT '{}';
