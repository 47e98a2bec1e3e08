-- Where a grant's forwarding leads, and on what a target listens for it: a JSON object, empty for everything.
ALTER TABLE grants ADD COLUMN forwards TEXT NOT NULL DEFAULT '{}';
