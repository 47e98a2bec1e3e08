//! Who may hold an unauthenticated connection.
//!
//! Connections that have not proved who they are cost memory and a descriptor, so there is a limit to
//! them, for each source and in all. At a limit the **oldest** unauthenticated connection of that source (or
//! of the busiest source) gives way to the newcomer: a login takes a fraction of a second, a connection held
//! open to starve others grows old. Authenticated connections are never ended here.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How many unauthenticated connections there may be.
#[derive(Clone, Copy, Debug)]
pub struct HalfOpenLimits {
    /// From one source: an IPv4 address or an IPv6 /64 network.
    pub per_source: usize,
    /// From all sources together.
    pub total: usize,
}

impl Default for HalfOpenLimits {
    fn default() -> Self {
        Self { per_source: 128, total: 2048 }
    }
}

struct Waiting {
    limits: HalfOpenLimits,
    next_id: u64,
    total: usize,
    sources: HashMap<IpAddr, VecDeque<(u64, oneshot::Sender<()>)>>,
}

/// The unauthenticated connections there are.
#[derive(Clone)]
pub(crate) struct Admission {
    waiting: Arc<Mutex<Waiting>>,
}

/// A place among the unauthenticated connections; dropping it (when authenticated, or closed) frees the place.
pub(crate) struct Place {
    admission: Admission,
    source: IpAddr,
    id: u64,
    evicted: oneshot::Receiver<()>,
}

impl Admission {
    /// Starts with nobody waiting.
    pub(crate) fn new(limits: HalfOpenLimits) -> Self {
        let waiting = Waiting { limits, next_id: 0, total: 0, sources: HashMap::new() };
        Self { waiting: Arc::new(Mutex::new(waiting)) }
    }

    /// Other limits, for newcomers from now on.
    pub(crate) fn set_limits(&self, limits: HalfOpenLimits) {
        self.lock().limits = limits;
    }

    /// How many are waiting.
    pub(crate) fn half_open(&self) -> usize {
        self.lock().total
    }

    /// Gives a newcomer a place, and takes it from the oldest where there are too many.
    pub(crate) fn admit(&self, ip: IpAddr) -> Place {
        let source = source_of(ip);
        let (evict, evicted) = oneshot::channel();
        let mut waiting = self.lock();
        let id = waiting.next_id;
        waiting.next_id += 1;
        if waiting.sources.get(&source).is_some_and(|queue| queue.len() >= waiting.limits.per_source) {
            waiting.evict_oldest(source);
        } else if waiting.total >= waiting.limits.total {
            let busiest =
                waiting.sources.iter().max_by_key(|(_, queue)| queue.len()).map(|(&source, _)| source);
            if let Some(busiest) = busiest {
                waiting.evict_oldest(busiest);
            }
        }
        waiting.sources.entry(source).or_default().push_back((id, evict));
        waiting.total += 1;
        drop(waiting);
        Place { admission: self.clone(), source, id, evicted }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The table is consistent between statements: a panic elsewhere must not stop logins.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn evict_oldest(&mut self, source: IpAddr) {
        let Some(queue) = self.sources.get_mut(&source) else { return };
        if let Some((_, evict)) = queue.pop_front() {
            self.total -= 1;
            // The connection may have closed by itself meanwhile.
            let _ = evict.send(());
        }
        if queue.is_empty() {
            self.sources.remove(&source);
        }
    }
}

impl Place {
    /// Resolves when the place was taken by a newcomer.
    pub(crate) async fn evicted(&mut self) {
        if (&mut self.evicted).await.is_err() {
            // Only `drop` removes the sender without sending, so this cannot be reached while we wait;
            // if it were, waiting forever is the safe answer.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.admission.lock();
        let Some(queue) = waiting.sources.get_mut(&self.source) else { return };
        let before = queue.len();
        queue.retain(|(id, _)| *id != self.id);
        let freed = before - queue.len();
        if queue.is_empty() {
            waiting.sources.remove(&self.source);
        }
        waiting.total -= freed;
    }
}

/// What counts as one source: an IPv4 address, or the /64 network that one IPv6 host has to itself.
fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_oldest_of_a_greedy_source_gives_way() {
        let admission = Admission::new(HalfOpenLimits { per_source: 2, total: 100 });
        let mut oldest = admission.admit(ip(1));
        let mut second = admission.admit(ip(1));
        let mut other = admission.admit(ip(2));
        let _newcomer = admission.admit(ip(1));
        oldest.evicted().await;
        assert!(second.evicted.try_recv().is_err());
        assert!(other.evicted.try_recv().is_err());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn at_the_total_limit_the_busiest_source_pays() {
        let admission = Admission::new(HalfOpenLimits { per_source: 10, total: 3 });
        let mut greedy = admission.admit(ip(1));
        let _greedy2 = admission.admit(ip(1));
        let mut modest = admission.admit(ip(2));
        let _newcomer = admission.admit(ip(3));
        greedy.evicted().await;
        assert!(modest.evicted.try_recv().is_err());
    }

    #[test]
    fn places_are_freed_and_nothing_is_kept_of_sources_that_left() {
        let admission = Admission::new(HalfOpenLimits { per_source: 2, total: 4 });
        for last in 0..200 {
            let _places = (admission.admit(ip(last)), admission.admit(ip(last)), admission.admit(ip(last)));
        }
        let waiting = admission.lock();
        assert_eq!((waiting.total, waiting.sources.len()), (0, 0));
    }

    #[test]
    fn an_ipv6_host_cannot_be_many_sources() {
        assert_eq!(source_of("2001:db8::1".parse().unwrap()), source_of("2001:db8::ffff:1".parse().unwrap()));
        assert_eq!(source_of("::ffff:10.0.0.1".parse().unwrap()), ip(1));
    }
}
