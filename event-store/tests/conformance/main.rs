//! One suite for every store: what [`saga_event_store::EventStore`] promises, tried on each of them, and beside it what
//! is particular to one.
//!
//! A new store needs a function that returns a [`place::Place`] of its own for every test, and one line below.

mod cases;
mod model;
mod place;
mod pooler;
mod postgres;
mod proxy;
mod sqlite;
mod streams;

/// Every case of the suite as a test of one store. A case that is not listed is dead code, and so an error of the
/// lints.
macro_rules! conformance {
    ($store:ident, $place:path) => {
        mod $store {
            tests_at! {
                $place;
                appends:
                    an_append_is_read_back_as_it_was_written
                    rows_are_read_in_the_order_of_their_versions
                    payloads_are_bytes
                    a_version_that_is_taken_is_a_conflict
                    a_version_that_skips_one_is_a_conflict
                    a_repeat_finds_its_own_row
                    each_append_of_a_batch_is_answered_alone
                    a_batch_may_be_empty_or_full
                    of_two_writers_of_a_version_one_wins;
                keys:
                    a_taken_key_is_answered_with_its_stream
                    a_key_is_taken_in_its_category_only
                    a_stream_can_take_another_key_than_its_own
                    keys_differ_by_their_bytes
                    of_two_streams_with_one_key_in_a_batch_one_wins
                    of_many_starts_with_one_key_one_wins
                    a_refused_start_takes_no_key;
                fencing:
                    every_claim_raises_the_epoch_of_its_shard_alone
                    only_the_last_claim_may_write
                    a_fenced_writer_learns_what_it_had_committed
                    a_fenced_writer_is_told_so_before_all_else
                    nothing_of_a_zombie_follows_a_claim
                    a_shard_beyond_the_last_cannot_be_claimed;
                attendance:
                    a_new_owner_learns_until_when_its_shard_was_attended_to
                    whoever_lost_a_shard_does_not_attend_to_it
                    gaps_that_no_open_stream_lived_through_are_forgotten
                    the_store_has_a_clock;
                read_model:
                    a_status_changes_with_its_row
                    a_refused_append_changes_no_status
                    an_append_may_leave_the_status_as_it_is
                    a_list_is_filtered
                    a_reason_is_found_by_a_part_of_it
                    a_search_knows_where_it_ends
                    a_list_has_pages_newest_first
                    streams_are_counted_by_category_and_status
                    open_streams_are_counted_with_the_age_of_the_oldest
                    flags_are_found_and_counted
                    what_streams_wait_on_is_found_by_kind_and_name
                    what_cannot_be_read_is_marked_beside_its_rows
                    streams_are_found_and_counted_by_what_failed;
                repairs:
                    a_row_that_is_missing_is_written_from_the_rows
                    a_row_that_says_something_else_is_written_as_the_rows_say
                    a_repair_of_rows_that_went_on_changes_nothing
                    of_a_repair_and_an_append_at_once_the_append_is_shown
                    what_breaks_a_limit_of_a_repair_is_refused;
                recovery:
                    open_streams_are_those_of_the_shard
                    open_streams_have_pages
                    many_streams_are_read_at_once
                    many_streams_are_read_within_bounds
                    what_was_left_is_read_next
                    outlines_are_read_in_place_of_large_rows
                    what_was_committed_is_there_after_a_restart;
                letters:
                    letters_and_position_are_written_together
                    a_topic_that_was_made_anew_has_other_letters
                    letters_are_filtered_and_have_pages
                    letters_about_a_stream_are_found_by_it
                    an_act_on_a_letter_is_recorded_with_it
                    an_act_is_done_once_and_only_from_a_status_that_it_expects
                    of_two_acts_on_a_letter_at_once_one_is_done
                    an_edit_is_kept_beside_its_letter
                    letters_are_counted_by_cause
                    letters_of_one_record_are_found
                    letters_that_ended_or_are_gone_are_forgotten
                    what_breaks_a_limit_of_letters_is_refused;
                acts:
                    acts_are_found_newest_first_by_person_and_by_stream
                    acts_have_pages
                    an_act_is_there_if_and_only_if_its_row_is
                    the_database_itself_refuses_to_change_or_remove_what_was_done;
                scanning:
                    rows_of_all_streams_are_read_in_order
                    a_page_of_rows_is_bounded_by_its_bytes
                    rows_of_the_read_model_are_read_for_many_streams
                    a_stream_of_the_read_model_without_rows_is_found
                    an_unreadable_row_is_damage_of_its_page_alone;
                feed:
                    the_feed_has_every_row_once
                    what_is_not_written_is_not_in_the_feed
                    a_page_of_the_feed_is_bounded_by_its_bytes
                    a_large_batch_is_read_in_pages
                    a_cursor_of_another_store_is_refused
                    a_cursor_of_lost_rows_is_refused
                    a_row_that_the_journal_no_longer_has_is_named
                    whoever_follows_the_feed_gets_each_row_once;
                projections:
                    a_change_moves_rows_and_position_together
                    of_several_changes_from_one_position_one_is_applied
                    a_new_generation_takes_the_place_of_the_live_one
                    a_generation_with_a_problem_does_not_go_on
                    rows_and_how_far_archives_are_read_move_together
                    what_breaks_a_limit_of_a_projection_is_refused;
                limits:
                    what_breaks_a_limit_is_refused_before_it_is_sent
                    what_just_keeps_the_limits_is_taken
                    a_text_with_nul_finds_nothing_and_is_not_kept;
                forgetting:
                    keys_of_streams_that_ended_long_ago_are_forgotten
                    a_forgotten_key_starts_a_new_stream
                    a_sweep_has_pages
                    a_sweep_and_a_start_do_not_hinder_each_other
                    a_sweep_without_bounds_is_refused;
                snapshots:
                    the_latest_snapshot_of_a_stream_is_kept
                    a_snapshot_of_another_row_is_told_apart
                    a_snapshot_has_limits
                    snapshots_are_removed
                    rows_are_read_from_a_version_on
                    a_reader_keeps_no_snapshot;
                archiving:
                    streams_leave_that_ended_long_ago
                    an_archive_is_on_record_step_by_step
                    what_is_removed_has_ended_and_is_as_it_was_read
                    a_key_of_a_stream_that_left_stays_taken_for_its_time
                    the_feed_forgets_what_has_left
                    a_reader_sees_archives_and_archives_nothing;
                archive_erasing:
                    a_stream_that_has_left_is_erased_once
                    a_stream_that_is_in_the_store_is_not_erased_as_one_that_left
                    an_erasure_in_the_store_is_made_up_for_in_files
                    the_data_key_of_a_stream_that_has_left_is_thrown_away
                    the_file_of_an_archive_is_replaced_by_who_knows_it;
                documents:
                    a_document_is_kept_under_its_kind_and_hash
                    a_document_is_put_once
                    a_damaged_document_is_put_back;
                notes:
                    notes_are_read_in_the_order_they_were_added
                    a_note_is_added_once
                    notes_have_pages
                    a_note_has_limits
                    a_reader_reads_notes_and_adds_none
                    whoever_reads_on_by_number_misses_no_note;
                opening:
                    a_store_keeps_its_identity
                    another_number_of_shards_is_refused
                    a_number_of_shards_has_bounds
                    what_is_not_there_cannot_be_read
                    a_newer_schema_is_refused
                    an_altered_schema_is_refused
                    an_older_schema_is_not_read
                    a_reader_works_beside_the_engine_and_writes_nothing;
                damage:
                    an_unreadable_version_is_damage_and_hinders_no_other
                    an_unreadable_hash_is_damage_of_its_key_alone;
                memory:
                    what_one_process_knew_the_next_one_finds
                    what_was_appended_since_the_last_heartbeat_is_known;
                sealing:
                    sealed_rows_hold_nothing_of_their_content
                    a_store_needs_the_keys_of_its_streams
                    what_began_plain_stays_plain_and_what_began_sealed_stays_sealed
                    a_repeated_start_keeps_its_data_key
                    a_refused_start_leaves_no_data_key
                    keys_are_rotated
                    a_changed_row_is_damage_of_its_stream_alone;
                erasing:
                    an_erased_stream_keeps_its_rows_without_their_content
                    an_erasure_is_repeated_and_changes_nothing
                    a_refused_erasure_takes_nothing_out
                    the_key_of_an_erased_stream_stays_taken_and_tells_nothing
                    the_data_key_of_an_erased_stream_is_thrown_away;
                cancelling:
                    a_dropped_append_is_written_whole_or_not_at_all
                    a_dropped_claim_leaves_the_shard_claimable
                    a_dropped_start_can_be_repeated;
            }
        }
    };
}

macro_rules! tests_at {
    ($place:path; $($topic:ident: $($case:ident)+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() -> anyhow::Result<()> {
                let Some(place) = $place().await? else { return Ok(()) };
                crate::cases::$topic::$case(place.as_ref()).await
            }
        )+)+
    };
}

/// What only a server can do.
macro_rules! server {
    ($server:ident, $database:path) => {
        mod $server {
            tests_at! {
                $database;
                acts:
                    what_was_done_is_not_emptied_and_no_setting_of_a_session_helps;
                server:
                    an_append_that_waited_for_a_claim_is_fenced
                    the_fence_holds_whatever_isolation_is_the_default
                    a_claim_waits_for_what_is_under_way
                    an_append_is_repeated_when_its_connection_was_cut
                    a_commit_whose_answer_was_lost_is_recognised
                    a_lock_that_is_held_too_long_passes
                    a_batch_that_the_database_refuses_is_not_written
                    many_first_starts_migrate_once
                    what_a_server_refuses_at_a_start_is_not_waited_for
                    what_is_taken_from_a_running_store_is_waited_for
                    a_server_that_is_away_passes
                    one_damaged_value_is_told_apart_and_hinders_no_other;
                late_commits:
                    rows_that_are_committed_late_are_neither_missed_nor_doubled
                    a_transaction_of_anybody_holds_the_feed_back_and_is_told
                    on_a_server_with_lower_transaction_ids_an_era_begins
                    rows_from_before_the_feed_are_in_it;
                silence:
                    a_call_into_silence_ends_within_its_bound
                    all_sessions_are_replaced_when_one_does_not_answer
                    what_was_given_up_holds_nobody_up
                    sessions_have_the_settings_that_the_store_relies_on;
                poolers:
                    a_pooler_in_session_mode_serves_the_store
                    a_pooler_that_shares_sessions_out_is_refused
                    a_database_that_cannot_keep_every_text_is_refused
                    a_server_that_takes_no_writes_is_waited_for;
                step_back:
                    what_was_confirmed_and_is_gone_is_noticed
                    after_a_step_back_nothing_is_written_before_a_new_claim
                    an_epoch_that_was_lost_is_not_given_again
                    what_an_earlier_process_knew_is_missed
                    another_store_at_the_address_is_refused;
                partitions:
                    streams_of_every_time_have_a_place
                    partitions_are_created_in_advance_and_take_their_rows
                    a_table_in_use_puts_the_creation_of_partitions_off
                    a_partition_leaves_whole_but_for_what_stays
                    an_empty_partition_leaves_without_a_record
                    a_partition_stays_if_what_was_to_leave_has_changed
                    a_table_in_use_puts_the_removal_of_a_partition_off
                    one_process_at_a_time_archives;
            }
        }
    };
}

mod on_a_file {
    tests_at! {
        crate::sqlite::file;
        file:
            a_second_engine_is_refused_while_readers_work
            of_many_first_starts_one_has_the_file
            another_name_of_the_file_has_the_same_lock
            a_file_can_be_read_when_no_engine_runs
            an_older_copy_in_its_place_is_noticed
            what_is_erased_is_not_in_the_file
            what_is_no_database_is_refused
            an_address_that_is_none_is_refused_without_its_secret;
    }
}

conformance!(on_sqlite, crate::sqlite::place);
conformance!(sealed_on_sqlite, crate::sqlite::sealed_place);
conformance!(on_postgres, crate::postgres::place);
conformance!(sealed_on_postgres, crate::postgres::sealed_place);
conformance!(on_postgres_18, crate::postgres::place_18);
server!(on_a_server, crate::postgres::database);
server!(on_a_server_18, crate::postgres::database_18);
