-- Dead letters: a row for each record of a topic of dead letters, with what people did about it. The record stays in
-- its topic; a row has what lists, counts and decisions need.
CREATE TABLE dead_letters (
    -- The order in which the store got them. An act on many letters takes those up to a number.
    number           bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic            text    NOT NULL,
    partition        integer NOT NULL,
    -- A topic that was made anew is another log: its records have the same offsets as those before.
    log              bigint  NOT NULL,
    position         bigint  NOT NULL,
    -- Identity of what died: the same record of the same definition has it again.
    id               text    NOT NULL,
    code             text    NOT NULL,
    origin_topic     text,
    origin_partition integer,
    origin_offset    bigint,
    definition       text,
    key              text,
    message          text    NOT NULL,
    fingerprint      text    NOT NULL,
    redrives         bigint  NOT NULL,
    written_at       bigint  NOT NULL,
    status           text    NOT NULL CHECK (status IN ('new', 'reviewing', 'redriven', 'discarded')),
    -- The last act: when, by whom, why, and what came of it; null: nobody has acted.
    changed_at       bigint,
    who              text,
    why              text,
    result           text,
    -- The record that takes the place of the original in a redrive, and the id of the data key that seals it.
    edit             bytea,
    edit_key         uuid,
    UNIQUE (topic, partition, log, position)
);
CREATE INDEX dead_letters_open ON dead_letters (number) WHERE status IN ('new', 'reviewing');
CREATE INDEX dead_letters_group ON dead_letters (fingerprint, number);
CREATE INDEX dead_letters_key ON dead_letters (key, number);
CREATE INDEX dead_letters_id ON dead_letters (id, number);
CREATE INDEX dead_letters_written ON dead_letters (written_at);

-- How far each partition is read. The position changes together with the rows.
CREATE TABLE letter_logs (
    topic     text    NOT NULL,
    partition integer NOT NULL,
    log       bigint  NOT NULL CHECK (log > 0),
    -- The offset of the next record.
    position  bigint  NOT NULL,
    -- What the record before it was, in the form of the reader: another record there means that the log is another one.
    mark      text,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

-- What people did to dead letters. A row outlives its letter.
CREATE TABLE letter_acts (
    number    bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter    bigint  NOT NULL,
    at        bigint  NOT NULL,
    topic     text    NOT NULL,
    partition integer NOT NULL,
    position  bigint  NOT NULL,
    id        text    NOT NULL,
    who       text    NOT NULL,
    action    text    NOT NULL,
    why       text    NOT NULL,
    result    text,
    act_id    text    NOT NULL,
    UNIQUE (letter, act_id)
);
CREATE INDEX letter_acts_at ON letter_acts (at, number);
CREATE INDEX letter_acts_who ON letter_acts (who, at, number);
CREATE INDEX letter_acts_id ON letter_acts (id, at, number);
