//! The gates of a session's channels of SFTP and rsync, and policy as they ask it.

use std::sync::Arc;

use bartizan_access::{Action, Asked, Directory, FileAccess, program};
use bartizan_decode::{Protocol, Stream};
use bartizan_model::event::{Body, Outcome, Severity};
use bartizan_model::{GrantId, Permission, Timestamp};
use bartizan_ssh::connection::relay::{ChannelKey, DataEdit, DataKind, DataVerdict, Side};

use super::describe;
use super::host::{Host, ordinal};
use super::judge::Judge;
use super::observe;
use crate::rsync::{self, FilterGate};
use crate::sftp::{Gate, Gated, Lower, Refused};

/// The channels of a session that have a gate, by [`ChannelKey::slot`].
#[derive(Default)]
pub(super) struct Gates {
    slots: Vec<Option<(ChannelKey, Kept)>>,
    known: Option<Known>,
}

/// How a channel is held to the files that are permitted.
enum Kept {
    /// Request by request.
    Judged(Box<Gate>),
    /// Every file was permitted when it began: nothing is looked at but the version that is asked for.
    Free(Lower),
    /// Began so, and not every file is permitted any more. Where its next packet begins nobody knows, so it ends.
    Over,
    /// rsync, up to the end of its filters, and the grants that hold it to paths.
    Filters(Box<FilterGate>, Vec<GrantId>),
}

/// What policy says of files, for as long as it cannot have changed.
struct Known {
    directory: Arc<Directory>,
    emergency: bool,
    until: Option<Timestamp>,
    access: FileAccess,
}

impl Judge {
    /// The grants whose rules hold this program to paths, if it is rsync; `None` of everything that is not held.
    fn holding_rsync(&self, asked: Asked<'_>) -> Option<Vec<GrantId>> {
        program(asked).filter(|program| program.permission() == Permission::Rsync)?;
        // Who is denied the session is about to lose it.
        let Ok(permit) = self.ask(Action::Continue) else { return Some(Vec::new()) };
        let rules = permit.files().holding(Permission::Rsync);
        (!permit.allow().contains(Permission::Exec) && !rules.is_empty()).then_some(rules)
    }

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
    /// A program is about to start: SFTP and rsync get a gate where not every file is permitted.
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
        let kept = if asked == Asked::Subsystem(b"sftp") {
            self.judge_again(judge);
            match self.permit_everything() {
                true => Kept::Free(Lower::default()),
                false => Kept::Judged(Box::default()),
            }
        } else if let (Asked::Exec(command), Some(rules)) = (asked, judge.holding_rsync(asked)) {
            let gate = FilterGate::for_exec(command);
            Kept::Filters(
                Box::new(gate.ok_or("rsync is held to paths, and this command cannot be followed")?),
                rules,
            )
        } else {
            return Ok(());
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
            Some(Kept::Filters(..)) => return self.filtered(key, from, kind, bytes),
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

    /// Judges the filters of an rsync that is held to paths.
    fn filtered(&mut self, key: ChannelKey, from: Side, kind: DataKind, bytes: &[u8]) -> DataVerdict {
        let stream = match (from, kind) {
            (Side::Client, DataKind::Data) => Stream::Input,
            (Side::Target, DataKind::Data) => Stream::Output,
            // Nobody's client has a standard error, and what a server makes of one is not known.
            (Side::Client, _) => return DataVerdict::Replace,
            (Side::Target, _) => return DataVerdict::Pass,
        };
        let Some(Kept::Filters(gate, rules)) = self.gates.kept(key) else { return DataVerdict::Pass };
        match gate.feed(stream, bytes) {
            Ok(()) if gate.is_over() => {
                self.gates.ends(key);
                DataVerdict::Pass
            }
            Ok(()) => DataVerdict::Pass,
            Err(rsync::Refused { filter, reason }) => {
                let (action, rules) = (Permission::Rsync.as_str().to_owned(), rules.clone());
                let detail = (!filter.is_empty()).then(|| describe::cut(&filter));
                self.denied(Body::AccessDeny { action, detail, reason: reason.clone(), rules });
                DataVerdict::End { text: format!("bartizan: {reason}") }
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
