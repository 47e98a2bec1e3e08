//! Listings as people and as programs read them.
//!
//! Names were checked when they came into the directory and hold nothing that a terminal obeys; free text is escaped.

use bartizan_model::{SessionId, SessionSummary, Timestamp};
use serde::Serialize;

use super::editor::line::{width, width_of};
use super::places::Place;

/// A table whose last column takes what is left of the width.
pub(super) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Lines without their ends. `cols` cuts them; `None` leaves them whole. The first is the heads'.
    pub(super) fn lines(&self, cols: Option<usize>) -> Vec<String> {
        let mut widths: Vec<usize> = self.heads.iter().map(|head| head.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(width_of(cell));
            }
        }
        let heads: Vec<String> = self.heads.iter().map(ToString::to_string).collect();
        [&heads].into_iter().chain(&self.rows).map(|row| cut(&pad(row, &widths), cols)).collect()
    }
}

fn pad(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (n, (cell, width)) in row.iter().zip(widths).enumerate() {
        line.push_str(cell);
        if n + 1 < row.len() {
            let blanks = width + 2 - width_of(cell).min(*width);
            line.extend(std::iter::repeat_n(' ', blanks));
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// The line as far as it fits, with a mark where it goes on.
fn cut(line: &str, cols: Option<usize>) -> String {
    let Some(cols) = cols.filter(|&cols| width_of(line) > cols) else { return line.to_owned() };
    let mut columns = 0;
    let fits = line.chars().take_while(|&c| {
        columns += width(c);
        columns < cols
    });
    fits.chain(['…']).collect()
}

/// A moment to the second, for people.
fn moment(time: Timestamp) -> String {
    let text = time.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z").replace('T', " "),
        None => text,
    }
}

/// The table of `targets`.
pub(super) fn targets(places: &[Place]) -> Table {
    let some_lapse = places.iter().any(|place| place.until.is_some());
    let row = |place: &Place| {
        let until = place.until.map(moment).unwrap_or_default();
        let lapses = some_lapse.then_some(until);
        [place.address()].into_iter().chain(lapses).chain([place.allow.to_string()]).collect()
    };
    let heads = ["LOGIN@TARGET"].into_iter().chain(some_lapse.then_some("UNTIL")).chain(["ALLOWED"]);
    Table { heads: heads.collect(), rows: places.iter().map(row).collect() }
}

/// The JSON of `targets --json`.
pub(super) fn targets_json(places: &[Place]) -> String {
    #[derive(Serialize)]
    struct Item<'a> {
        target: &'a str,
        /// `null` is any login.
        login: Option<&'a str>,
        allow: &'a bartizan_model::PermissionSet,
        expires: Option<Timestamp>,
    }
    let items: Vec<Item<'_>> = places
        .iter()
        .map(|place| Item {
            target: place.target.as_str(),
            login: place.login.as_ref().map(|login| login.as_str()),
            allow: &place.allow,
            expires: place.until,
        })
        .collect();
    json(&items)
}

/// The table of `sessions`.
pub(super) fn sessions(sessions: &[SessionSummary], own: SessionId) -> Table {
    let row = |session: &SessionSummary| {
        let place = format!("{}@{}", session.login, session.target);
        let way = if session.id == own { "this console".to_owned() } else { session.way.to_string() };
        vec![session.id.to_string(), place, way, moment(session.started)]
    };
    Table {
        heads: vec!["AUDIT KEY", "LOGIN@TARGET", "WAY", "SINCE"],
        rows: sessions.iter().map(row).collect(),
    }
}

/// Facts about the person.
#[derive(Serialize)]
pub(super) struct Whoami<'a> {
    pub(super) person: &'a str,
    pub(super) method: &'a str,
    pub(super) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificate: Option<bartizan_model::event::CertificateUsed>,
    pub(super) source: String,
    pub(super) client: &'a str,
    pub(super) node: &'a str,
    pub(super) session: SessionId,
    #[serde(rename = "started")]
    pub(super) since: Timestamp,
    /// Whether the client forwards an agent.
    pub(super) agent: bool,
}

impl Whoami<'_> {
    pub(super) fn text(&self) -> String {
        let mut facts = vec![
            ("person", self.person.to_owned()),
            ("method", self.method.to_owned()),
            ("key", self.key.clone()),
        ];
        if let Some(certificate) = &self.certificate {
            let serial = certificate.serial;
            facts.push((
                "certificate",
                format!("{} serial {serial} by {}", certificate.key_id, certificate.ca),
            ));
        }
        facts.extend([
            ("from", self.source.clone()),
            ("client", self.client.to_owned()),
            ("node", self.node.to_owned()),
            ("audit key", self.session.to_string()),
            ("since", moment(self.since)),
            ("agent", if self.agent { "forwarded to here".into() } else { "not forwarded".into() }),
        ]);
        facts.iter().map(|(name, value)| format!("{name:<12}{value}\n")).collect()
    }
}

/// Any value as indented JSON with a line end.
pub(super) fn json(value: &impl Serialize) -> String {
    // These values have neither maps with odd keys nor anything else that JSON cannot hold.
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("\"{error}\""));
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(login: Option<&str>, target: &str, until: Option<u64>) -> Place {
        Place {
            target: target.parse().unwrap(),
            login: login.map(|login| login.parse().unwrap()),
            allow: "shell,exec,sftp:read,sftp:write,scp,rsync,git:read,git:write,subsystem".parse().unwrap(),
            until: until.map(Timestamp::from_unix_micros),
        }
    }

    #[test]
    fn a_listing_of_targets_reads_well_at_80_columns() {
        let mut places = vec![place(None, "db-1", None), place(Some("root"), "größe-名", None)];
        insta::assert_snapshot!("targets_60_columns", targets(&places).lines(Some(60)).join("\n"));
        places.push(place(Some("deploy"), "web-10", Some(1_795_854_600_000_001)));
        insta::assert_snapshot!("targets_79_columns", targets(&places).lines(Some(79)).join("\n"));
        assert!(targets(&places).lines(None)[1].ends_with("subsystem"));
        insta::assert_snapshot!("targets_json", targets_json(&places[..1]));
        assert_eq!(targets_json(&[]), "[]\n");
    }

    #[test]
    fn lines_are_cut_where_they_must_be() {
        for (line, cols, shown) in
            [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("名前です", 4, "名…"), ("ab", 0, "…")]
        {
            assert_eq!(cut(line, Some(cols)), shown);
        }
    }
}
