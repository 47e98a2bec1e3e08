//! The suite that every backend passes: one function a promise, each on a fresh, empty store.
//!
//! A backend runs it with [`contract_tests!`](crate::contract_tests). It lives outside `tests/` so that backends in
//! other crates can run it too (feature `contract`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a suite of tests fails by panicking"
)]

mod certificates;
mod directory;
mod index;
mod sessions;
mod vault;

pub use certificates::*;
pub use directory::*;
pub use index::*;
pub use sessions::*;
pub use vault::*;

/// Writes the tests of a backend.
///
/// `contract_tests!(fresh)` writes one `#[tokio::test]` for each promise of the contract; `fresh` is an async function
/// that returns an empty store and whatever must stay alive as long as the store.
/// `contract_tests!(all in NAME: fresh)` writes one test of all promises, for backends whose server is started once;
/// `fresh` is an async function that takes the promise's name and returns an empty store.
#[macro_export]
macro_rules! contract_tests {
    ($fresh:path) => {
        $crate::contract_tests! { @promises each ($fresh) }
    };
    (all in $name:ident: $fresh:path) => {
        $crate::contract_tests! { @promises all ($name $fresh) }
    };
    (@promises $how:ident $argument:tt) => {
        $crate::contract_tests! { @$how $argument
            a_directory_reads_back_as_it_was_written
            a_record_is_added_once
            a_key_belongs_to_one_person
            a_person_with_a_taken_key_is_not_added_at_all
            what_is_unknown_is_not_found
            a_person_in_use_is_removed_only_with_the_grants
            a_target_in_use_is_removed_only_with_the_grants_that_name_it
            grants_name_people_and_targets_that_exist
            a_lock_is_kept
            roles_have_members_and_go_with_their_grants
            many_changes_are_one
            only_the_first_host_key_is_pinned
            every_change_is_announced_and_counted
            a_refused_change_is_not_counted
            a_dropped_change_is_carried_out
            snapshots_are_of_one_moment
            names_are_data_not_sql
            the_cursor_moves_with_the_entries
            a_batch_may_come_again
            a_gap_is_refused_and_changes_nothing
            sessions_follow_their_events
            session_lists_are_filtered_and_paged
            sessions_of_a_network_are_in_order
            event_searches_are_filtered
            event_searches_are_paged_both_ways
            texts_are_found_as_they_are
            a_letter_finds_words_that_begin_so
            pages_of_what_is_looked_at_join
            times_are_found_although_a_clock_goes_back
            unknown_and_broken_entries_are_found
            the_index_is_rebuilt_from_zero
            a_wrapped_key_is_replaced_by_who_knows_it
            a_login_has_one_credential
            a_credential_comes_with_its_target
            credentials_go_with_their_target
            issued_certificates_read_back
            revocations_are_of_the_directory
            what_expired_long_ago_is_forgotten
        }
    };
    (@each ($fresh:path) $($promise:ident)*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let (store, _keep) = $fresh().await;
                $crate::contract::$promise(store).await;
            }
        )*
    };
    (@all ($name:ident $fresh:path) $($promise:ident)*) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            $(
                // Told by the runner when the test fails.
                eprintln!("promise: {}", stringify!($promise));
                let store = $fresh(stringify!($promise)).await;
                $crate::contract::$promise(store.clone()).await;
                store.close().await;
            )*
        }
    };
}
