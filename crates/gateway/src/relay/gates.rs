//! The gates of a session's SFTP channels, and policy as they ask it.

use std::sync::Arc;

use bartizan_access::{Action, Asked, Directory, FileAccess};
use bartizan_decode::Protocol;
use bartizan_model::Timestamp;
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_ssh::connection::relay::{ChannelKey, DataEdit, DataKind, DataVerdict, Side};

use super::describe;
use super::host::{Host, ordinal};
use super::judge::Judge;
use super::observe;
use crate::sftp::{Gate, Gated, Lower, Refused};

/// The SFTP channels of a session, by [`ChannelKey::slot`].
#[derive(Default)]
pub(super) struct Gates {
    slots: Vec<Option<(ChannelKey, Kept)>>,
    known: Option<Known>,
}

/// How SFTP in a channel is held to the files that are permitted.
enum Kept {
    /// Request by request.
    Judged(Box<Gate>),
    /// Every file was permitted when it began: nothing is looked at but the version that is asked for.
    Free(Lower),
    /// Began so, and not every file is permitted any more. Where its next packet begins nobody knows, so it ends.
    Over,
}

/// What policy says of files, for as long as it cannot have changed.
struct Known {
    directory: Arc<Directory>,
    emergency: bool,
    until: Option<Timestamp>,
    access: FileAccess,
}

impl Judge {
    /// What SFTP may do with which files, asked of policy again when it may have changed. True when it was.
    fn files(&self, known: &mut Option<Known>) -> bool {
        let (directory, emergency) = (self.directory(), self.is_emergency());
        let same = known.as_ref().is_some_and(|known| {
            Arc::ptr_eq(&known.directory, &directory)
                && known.emergency == emergency
                && known.until.is_none_or(|until| Timestamp::now() < until)
        });
        if same {
            return false;
        }
        // Who is denied the session is about to lose it; until then nothing is permitted.
        let permit = self.ask(Action::Continue).ok();
        let until = permit.as_ref().and_then(|permit| permit.judge_again_at());
        let access = permit.map(|permit| permit.files().clone()).unwrap_or_default();
        *known = Some(Known { directory, emergency, until, access });
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
        if pty && observe::protocol(asked) == Some(Protocol::Sftp) {
            return Err("SFTP runs without a terminal, through which its files could not be seen (ssh -T)");
        }
        if asked != Asked::Subsystem(b"sftp") {
            return Ok(());
        }
        self.judge_again(judge);
        let kept = match self.permit_everything() {
            true => Kept::Free(Lower::default()),
            false => Kept::Judged(Box::default()),
        };
        if self.slots.len() <= key.slot() {
            self.slots.resize_with(key.slot() + 1, || None);
        }
        self.slots[key.slot()] = Some((key, kept));
        Ok(())
    }

    /// What is open is judged anew when policy may have changed.
    fn judge_again(&mut self, judge: &Judge) {
        if judge.files(&mut self.known)
            && let Some(known) = &self.known
        {
            for (_, kept) in self.slots.iter_mut().flatten() {
                if let Kept::Judged(gate) = kept {
                    gate.judge_again(&known.access);
                }
            }
        }
    }

    /// An emergency begins. What was permitted without a look is not looked at from its middle on: where break-glass grants
    /// do not permit it, it is over.
    pub(super) fn emergency(&mut self, judge: &Judge) {
        self.judge_again(judge);
        if self.permit_everything() {
            return;
        }
        for (_, kept) in self.slots.iter_mut().flatten() {
            if matches!(kept, Kept::Free(_)) {
                *kept = Kept::Over;
            }
        }
    }

    fn permit_everything(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.access.is_everything())
    }

    fn kept(&mut self, key: ChannelKey) -> Option<&mut Kept> {
        let (owner, kept) = self.slots.get_mut(key.slot())?.as_mut()?;
        (*owner == key).then_some(kept)
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
        match gates.kept(key) {
            Some(Kept::Free(lower)) if from == Side::Client && kind == DataKind::Data => {
                return match lower.input(bytes, edit) {
                    Gated::Unchanged => DataVerdict::Pass,
                    Gated::Changed => DataVerdict::Replace,
                };
            }
            None | Some(Kept::Free(_)) => return DataVerdict::Pass,
            Some(Kept::Over) => return self.over(),
            Some(Kept::Judged(_)) => {}
        }
        if kind != DataKind::Data {
            // Nobody's client has a standard error, and what a server makes of one is not known.
            return if from == Side::Target { DataVerdict::Pass } else { DataVerdict::Replace };
        }
        gates.judge_again(judge);
        let nothing = FileAccess::default();
        let Gates { slots, known } = gates;
        let access = known.as_ref().map_or(&nothing, |known| &known.access);
        let Some(Some((_, Kept::Judged(gate)))) = slots.get_mut(key.slot()) else { return DataVerdict::Pass };
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

    /// Ends a channel in which every file was permitted when it began.
    fn over(&mut self) -> DataVerdict {
        let why = "this session goes on by break-glass grants alone, and they do not permit every file";
        let what = "an SFTP channel was ended: it began when every file was permitted".to_owned();
        self.tell(Outcome::Denied, Severity::Warning, Body::Anomaly { what, detail: why.to_owned() });
        DataVerdict::End { text: format!("bartizan: this SFTP channel ends: {why}") }
    }

    fn refused_file(&mut self, key: ChannelKey, refused: Refused) {
        if !self.may_refuse_file() {
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
