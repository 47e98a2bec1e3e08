//! The gates of a session's SFTP channels, and policy as they ask it.

use std::sync::Arc;

use bartizan_access::{Action, Asked, Directory, FileAccess};
use bartizan_model::Timestamp;
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_ssh::connection::relay::{ChannelKey, DataEdit, DataKind, DataVerdict, Side};

use super::describe;
use super::host::{Host, ordinal};
use super::judge::Judge;
use crate::sftp::{Gate, Gated, Refused};

/// The gates of a session, by [`ChannelKey::slot`]. There are none where every file is permitted.
#[derive(Default)]
pub(super) struct Gates {
    slots: Vec<Option<(ChannelKey, Gate)>>,
    known: Option<Known>,
}

/// What policy says of files, for as long as it cannot have changed.
struct Known {
    directory: Arc<Directory>,
    until: Option<Timestamp>,
    access: FileAccess,
}

impl Judge {
    /// What SFTP may do with which files, asked of policy again when it may have changed. True when it was.
    fn files(&self, known: &mut Option<Known>) -> bool {
        let directory = self.directory();
        let same = known.as_ref().is_some_and(|known| {
            Arc::ptr_eq(&known.directory, &directory)
                && known.until.is_none_or(|until| Timestamp::now() < until)
        });
        if same {
            return false;
        }
        // Who is denied the session is about to lose it; until then nothing is permitted.
        let permit = self.ask(Action::Continue).ok();
        let until = permit.as_ref().and_then(|permit| permit.judge_again_at());
        let access = permit.map(|permit| permit.files().clone()).unwrap_or_default();
        *known = Some(Known { directory, until, access });
        true
    }
}

impl Gates {
    /// A program is about to start: SFTP gets a gate where not every file is permitted.
    ///
    /// # Errors
    /// Why it must not start: what it says could not be judged.
    pub(super) fn starts(
        &mut self,
        key: ChannelKey,
        asked: Asked<'_>,
        pty: bool,
        judge: &Judge,
    ) -> Result<(), &'static str> {
        if asked != Asked::Subsystem(b"sftp") {
            return Ok(());
        }
        judge.files(&mut self.known);
        if self.known.as_ref().is_some_and(|known| known.access.is_everything()) {
            return Ok(());
        }
        if pty {
            return Err("SFTP whose files are judged runs without a terminal");
        }
        if self.slots.len() <= key.slot() {
            self.slots.resize_with(key.slot() + 1, || None);
        }
        self.slots[key.slot()] = Some((key, Gate::new()));
        Ok(())
    }

    fn gate(&mut self, key: ChannelKey) -> Option<&mut Gate> {
        let (owner, gate) = self.slots.get_mut(key.slot())?.as_mut()?;
        (*owner == key).then_some(gate)
    }

    /// The program did not start, or the channel is over.
    pub(super) fn ends(&mut self, key: ChannelKey) {
        if let Some(slot) = self.slots.get_mut(key.slot()) {
            drop(slot.take_if(|(owner, _)| *owner == key));
        }
    }
}

impl Host {
    /// Judges what passes in a channel that has a gate.
    pub(super) fn gated(
        &mut self,
        key: ChannelKey,
        from: Side,
        kind: DataKind,
        bytes: &[u8],
        edit: &mut DataEdit,
    ) -> DataVerdict {
        let Self { gates, judge, .. } = self;
        if gates.gate(key).is_none() {
            return DataVerdict::Pass;
        }
        if kind != DataKind::Data {
            // Nobody's client has a standard error, and what a server makes of one is not known.
            return if from == Side::Target { DataVerdict::Pass } else { DataVerdict::Replace };
        }
        if judge.files(&mut gates.known)
            && let Some(known) = &gates.known
        {
            gates.slots.iter_mut().flatten().for_each(|(_, gate)| gate.judge_again(&known.access));
        }
        let nothing = FileAccess::default();
        let access = gates.known.as_ref().map_or(&nothing, |known| &known.access);
        let Some(Some((_, gate))) = gates.slots.get_mut(key.slot()) else { return DataVerdict::Pass };
        let gated = match from {
            Side::Client => gate.input(bytes, access, edit),
            Side::Target => gate.output(bytes, edit),
        };
        let refused = gate.refused();
        for refused in refused {
            self.refused_file(key, refused);
        }
        match gated {
            Ok(Gated::Unchanged) => DataVerdict::Pass,
            Ok(Gated::Changed) => DataVerdict::Replace,
            Err(broken) => {
                let what = "an SFTP channel was ended: it could not be judged".to_owned();
                let body = Body::Anomaly { what, detail: format!("{from}: {broken}") };
                self.tell(Outcome::Denied, Severity::Warning, body);
                DataVerdict::End { text: format!("bartizan: this SFTP channel cannot be judged: {broken}") }
            }
        }
    }

    fn refused_file(&mut self, key: ChannelKey, refused: Refused) {
        if !self.may_note() {
            return;
        }
        let Refused { request, path, to, reason, rules } = refused;
        let body = Body::SftpRefuse {
            channel: ordinal(key),
            request: request.to_owned(),
            path: describe::half(&path),
            to: to.as_deref().map(describe::half),
            reason,
            rules,
        };
        self.tell(Outcome::Denied, Severity::Warning, body);
    }
}
