//! Requests and replies of the admin API.
