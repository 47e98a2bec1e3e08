//! The reference page, made from the list of keys.

use std::fmt::Write as _;

use super::keys::{KEYS, RELOADED, SECTIONS};

/// The reference page of the configuration, as Markdown.
pub(crate) fn reference() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         `bartizan.toml` in the data folder: one TOML file. Every key may be left out. Unknown keys are errors,\n\
         and `bartizand check` names the line of each fault. No key turns evidence off.\n\
         SIGHUP (`systemctl reload bartizan`) takes new values where the page says so, for what begins from then on; the log\n\
         and an event tell which, and which wait for a restart. This page is what `bartizand check --explain` prints.\n",
    );
    for section in [""].into_iter().chain(SECTIONS) {
        if !section.is_empty() {
            let _ = write!(page, "\n## `[{section}]`\n");
        }
        for key in KEYS.iter().filter(|key| key.name.rsplit_once('.').map_or("", |(s, _)| s) == section) {
            let name = key.name.rsplit('.').next().unwrap_or(key.name);
            let _ = write!(
                page,
                "\n### `{name}`\n- value: {}; {}\n- default: {}\n- consequence: {}\n- a new value is taken: {}\n",
                key.kind.expected(),
                key.unit,
                key.default,
                key.consequence,
                if RELOADED.contains(&key.name) { "by SIGHUP" } else { "at a restart" },
            );
        }
    }
    page
}
