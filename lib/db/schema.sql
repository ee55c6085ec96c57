-- SPDX-License-Identifier: MIT
-- The schema, as migrations: each block is applied once, in order; PRAGMA user_version counts them. Append only.
-- Times are wall-clock milliseconds since 1970. Numbers of states and outcomes: lib/job/*.def.

-- migration: 1
-- One row a job, in order of arrival. Columns that are large come last: rows are read without them.
CREATE TABLE job (
	seq INTEGER PRIMARY KEY,
	queue TEXT NOT NULL,
	id TEXT NOT NULL,
	type TEXT NOT NULL,
	state INTEGER NOT NULL,
	attempt INTEGER NOT NULL DEFAULT 0,   -- runs that counted
	runs INTEGER NOT NULL DEFAULT 0,      -- runs recorded, of any outcome
	losses INTEGER NOT NULL DEFAULT 0,    -- of its worker
	priority INTEGER NOT NULL DEFAULT 0,
	created_wall_ms INTEGER NOT NULL,     -- first known here
	due_wall_ms INTEGER,                  -- not before, while queued or retrying
	started_wall_ms INTEGER,              -- of the last recorded run
	ended_wall_ms INTEGER,                -- when it was over
	body INTEGER,                         -- body.id of a job that is over and may be retried by hand
	error TEXT,
	result_cut INTEGER NOT NULL DEFAULT 0,
	result BLOB
);
-- The identity is (queue, id); id leads so that a job is found by its id alone.
CREATE UNIQUE INDEX job_identity ON job (id, queue);
-- Jobs that are done (3), nearly all of them, cost nothing here. There is no index by their end: what is old is
-- found by walking from the low end of seq, which is the order of arrival (daemon/store/sweep.c).
CREATE INDEX job_state ON job (state, seq) WHERE state <> 3;

-- One row a run. key = job.seq * 4096 + n, n from 0: the runs of a job lie side by side, in one b-tree.
CREATE TABLE run (
	key INTEGER PRIMARY KEY,
	id BLOB NOT NULL,                     -- minted by the worker
	attempt INTEGER NOT NULL,             -- the attempt it was
	outcome INTEGER NOT NULL,
	exit_code INTEGER,
	signal INTEGER,
	started_wall_ms INTEGER NOT NULL,
	wall_ms INTEGER NOT NULL,
	cpu_ms INTEGER NOT NULL,
	max_rss_kb INTEGER NOT NULL,
	worker TEXT NOT NULL,
	error TEXT,
	logs_cut INTEGER NOT NULL DEFAULT 0,
	logs BLOB                             -- the last part of its standard error
);

-- Everything that must still be delivered. state: 0 ready, 1 delayed, 2 held (its job still runs under an
-- older delivery), 3 unroutable (ready again at due_wall_ms). AUTOINCREMENT: ids are never used again.
CREATE TABLE parcel (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	job INTEGER,                          -- job.seq; NULL for a reply
	kind INTEGER NOT NULL,                -- 0 job, 1 reply
	ended INTEGER NOT NULL DEFAULT 0,     -- of a reply: the state its job ended in
	state INTEGER NOT NULL,
	destination TEXT NOT NULL,
	priority INTEGER NOT NULL DEFAULT 0,
	attempt INTEGER NOT NULL DEFAULT 0,   -- the attempt that it will be
	tries INTEGER NOT NULL DEFAULT 0,     -- publishes that failed
	due_wall_ms INTEGER NOT NULL,
	delay_ms INTEGER NOT NULL DEFAULT 0,  -- what due was made of, for a step of the clock
	body INTEGER NOT NULL
);
CREATE INDEX parcel_due ON parcel (due_wall_ms) WHERE state IN (1, 3);
CREATE INDEX parcel_ready ON parcel (destination, priority DESC, id) WHERE state = 0;
CREATE INDEX parcel_job ON parcel (job) WHERE job IS NOT NULL;

-- Envelope (lib/job/envelope.h) and body of parcels and of jobs that ended otherwise than done.
CREATE TABLE body (
	id INTEGER PRIMARY KEY,
	envelope BLOB NOT NULL,
	data BLOB NOT NULL
);

-- Runs that were given the verdict RUN and have not ended.
CREATE TABLE claim (
	run BLOB PRIMARY KEY,
	job INTEGER NOT NULL,
	claimed_wall_ms INTEGER NOT NULL,
	worker TEXT NOT NULL
) WITHOUT ROWID;

-- Cancels that wait for something: for the message of a job that is in the broker (asked for until it comes by, or
-- until then), or for the end of a run.
CREATE TABLE tombstone (
	job INTEGER PRIMARY KEY,
	queue TEXT NOT NULL,
	until_wall_ms INTEGER NOT NULL
);

-- migration: 2
-- Queues from which nothing is started.
CREATE TABLE pause (
	queue TEXT PRIMARY KEY
) WITHOUT ROWID;

-- migration: 3
-- Changes of the number of workers, the last ones.
CREATE TABLE scaling (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	pool TEXT NOT NULL,
	at_wall_ms INTEGER NOT NULL,
	before INTEGER NOT NULL,
	after INTEGER NOT NULL,
	reason TEXT NOT NULL
);
CREATE INDEX scaling_pool ON scaling (pool, id);
