//! Passing requests on to places.

use super::super::packet::{Status, string};
use super::super::path::Spot;
use super::place::{Expect, Passed, Place};
use super::{Handle, Order, PlaceId, Root};

/// Why what names two paths or handles is refused.
pub(super) const TWO_PLACES: &str = "the two are in different places: copy instead, then remove";

/// Whether a request was passed on; otherwise it was answered here.
pub(super) type WasPassed = bool;

impl Root {
    /// Passes a request on to a place.
    pub(super) fn pass(&mut self, id: u32, place: PlaceId, passed: &Passed<'_>) -> WasPassed {
        if passed.expect == Expect::Handle {
            let opening: usize = self.places.values().map(Place::opening).sum();
            if self.handles.len() + opening >= self.limits.handles {
                self.status(id, Status::Failure, "too many files and folders are open");
                return false;
            }
        }
        let used = self.next_serial();
        let Some(of) = self.places.get_mut(&place) else {
            self.status(id, Status::ConnectionLost, "the connection to the target was lost");
            return false;
        };
        of.used = used;
        let Err(extension) = of.pass(id, passed) else { return true };
        self.unsupported(id, place, extension);
        false
    }

    /// Passes a request on that begins with a path on a target, followed by `tail`.
    pub(super) fn pass_path(
        &mut self,
        id: u32,
        (kind, extension, expect): (u8, Option<&'static str>, Expect),
        spot: &Spot<'_>,
        tail: &[u8],
    ) -> WasPassed {
        let (target, login, path) = match spot {
            Spot::Below(target, login, path) => (*target, *login, path.as_slice()),
            Spot::Login(target, login) => (*target, *login, &b"/"[..]),
            Spot::Root | Spot::Target(_) | Spot::Nowhere => return self.read_only(id, "open", b"/"),
        };
        let Some(place) = self.place(target, login) else { return self.no_room(id) };
        self.pass(id, place, &Passed { kind, extension, parts: &[&string(path), tail], expect })
    }

    /// Passes a request on that names two paths; they must be below the same login.
    pub(super) fn pass_paths(
        &mut self,
        id: u32,
        (kind, extension, action): (u8, Option<&'static str>, &'static str),
        [from, to]: [&[u8]; 2],
    ) -> WasPassed {
        match (Spot::of(from), Spot::of(to)) {
            (Spot::Below(target, login, from), Spot::Below(other, as_login, to))
                if (target, login) == (other, as_login) =>
            {
                let Some(place) = self.place(target, login) else { return self.no_room(id) };
                let parts: &[&[u8]] = &[&string(&from), &string(&to)];
                self.pass(id, place, &Passed { kind, extension, parts, expect: Expect::Status })
            }
            (Spot::Below(..), Spot::Below(..)) => {
                self.refuse(id, Status::OpUnsupported, action, to, TWO_PLACES.to_owned());
                false
            }
            (Spot::Below(..), _) => self.read_only(id, action, to),
            _ => self.read_only(id, action, from),
        }
    }

    /// Passes a request on that begins with the handle of a file or folder on a target, followed by `tail`.
    pub(super) fn pass_handle(
        &mut self,
        id: u32,
        (kind, extension, expect): (u8, Option<&'static str>, Expect),
        ours: u64,
        tail: &[u8],
    ) -> WasPassed {
        let Some(Handle::Of(place, theirs)) = self.handles.get(&ours) else { return false };
        let (place, theirs) = (*place, theirs.clone());
        self.pass(id, place, &Passed { kind, extension, parts: &[&string(&theirs), tail], expect })
    }

    /// Refuses a change of what is ours.
    pub(super) fn read_only(&mut self, id: u32, action: &'static str, path: &[u8]) -> WasPassed {
        let reason = "this folder only lists what you may reach and cannot be changed: \
                      files are below /TARGET/LOGIN/";
        self.refuse(id, Status::PermissionDenied, action, path, reason.to_owned());
        false
    }

    fn no_room(&mut self, id: u32) -> WasPassed {
        let text = format!("more than {} logins on targets are in use", self.limits.places);
        self.status(id, Status::Failure, &text);
        false
    }

    /// The place of a login, entered if it is not yet. None when too many are in use.
    fn place(&mut self, target: &[u8], login: &[u8]) -> Option<PlaceId> {
        let key = (target.to_vec(), login.to_vec());
        if let Some(&place) = self.entered.get(&key) {
            return Some(place);
        }
        if self.places.len() >= self.limits.places {
            let idle = self.places.iter().filter(|(_, of)| of.is_idle());
            let (&oldest, _) = idle.min_by_key(|(_, of)| of.used)?;
            if let Some(left) = self.places.remove(&oldest) {
                self.entered.remove(&left.key);
            }
            self.orders.push_back(Order::Leave(oldest));
        }
        let place = PlaceId(self.next_serial());
        self.places.insert(place, Place::new(target, login));
        self.orders.push_back(Order::Enter { place, target: key.0.clone(), login: key.1.clone() });
        self.entered.insert(key, place);
        Some(place)
    }
}
