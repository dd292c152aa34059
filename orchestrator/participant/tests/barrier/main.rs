//! The barrier on each database: what it promises, and what only a server can do.

mod cases;
mod commits;
mod ground;
mod races;

/// Every case as a test on one database. A case that is not listed is dead code, and so an error of the lints.
macro_rules! on {
    ($name:ident, $database:ty) => {
        mod $name {
            on! { cases, $database;
                a_command_is_performed_once_and_answered_alike
                a_refusal_is_kept
                what_is_not_final_leaves_nothing_and_is_heard_again
                a_handler_that_errs_or_panics_leaves_nothing
                an_undo_before_its_do_bars_it_for_ever
                an_undo_learns_what_its_do_came_to
                the_undo_of_a_refused_do_has_nothing_to_undo_and_bars_it
                who_insists_on_a_refused_command_is_heard_again
                a_transaction_that_is_dropped_before_its_commit_never_was
                only_what_was_entered_can_be_kept
                steps_and_sagas_do_not_know_of_each_other
                many_first_starts_make_one_table
                a_caller_that_goes_away_leaves_no_transaction
            }
            on! { races, $database;
                of_many_deliveries_at_once_one_performs
                a_do_and_its_undo_at_once_leave_nothing_behind
            }
        }
    };
    ($module:ident, $database:ty; $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() -> anyhow::Result<()> {
                let Some(ground) = crate::ground::Ground::<$database>::find().await? else { return Ok(()) };
                crate::$module::$case(&ground).await
            }
        )+
    };
}

on!(on_sqlite, sqlx::Sqlite);
on!(on_postgres, sqlx::Postgres);

mod on_a_server {
    on! { races, sqlx::Postgres;
        a_repeated_command_waits_for_the_first_and_gets_its_answer
        a_repeated_command_performs_when_the_first_was_rolled_back
        an_undo_waits_for_its_do_and_undoes_it
        an_undo_of_a_do_that_was_rolled_back_has_nothing_to_undo
        a_do_waits_for_its_undo_and_does_nothing
    }
    on! { commits, sqlx::Postgres;
        a_commit_without_an_answer_is_asked_after
        a_commit_that_never_comes_through_is_not_answered
    }
}
