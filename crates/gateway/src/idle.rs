//! Sessions in which nothing passes any more: they end after `[limits] idle`, where it is set.
//!
//! What counts is data of channels, either way; keepalives, window sizes and new keys do not.

use std::time::Duration;

use crate::hop;
use crate::live::Vitals;
use crate::parts::Shared;

/// What time it is, and how to wait for another.
pub(crate) trait Clock {
    /// The transports' time.
    fn now(&self) -> Duration;

    /// Waits so long.
    async fn sleep(&self, time: Duration);
}

/// The monotonic clock of all transports.
pub(crate) struct Monotonic;

impl Clock for Monotonic {
    fn now(&self) -> Duration {
        hop::now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Waits until nothing has passed for as long as an operator lets it; gives that time. Forever where there is no limit.
/// What a reload changes counts at once.
///
/// # Cancel safety
/// May be dropped and called again.
pub(crate) async fn too_long(vitals: &Vitals, shared: &Shared, clock: &impl Clock) -> Duration {
    let mut current = shared.current();
    loop {
        let limit = current.borrow_and_update().settings().idle;
        let left = limit.map(|limit| (limit, limit.saturating_sub(vitals.quiet_for(clock.now()))));
        if let Some((limit, Duration::ZERO)) = left {
            return limit;
        }
        let patience = async {
            match left {
                Some((_, left)) => clock.sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = current.changed() => if changed.is_err() {
                // Without a publisher the server is stopping, which ends the session by itself.
                std::future::pending::<()>().await;
            },
            () = patience => {}
        }
    }
}

/// The limit as people read it: `10 min`, `90 s`.
pub(crate) fn shown(limit: Duration) -> String {
    match limit.as_secs() {
        seconds if seconds % 3600 == 0 && seconds > 0 => format!("{} h", seconds / 3600),
        seconds if seconds % 60 == 0 && seconds > 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use tokio::sync::watch;

    use super::*;
    use crate::parts::Settings;
    use crate::rig::Rig;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A clock that the test moves.
    struct Manual(watch::Sender<Duration>);

    impl Manual {
        fn pass(&self, time: Duration) {
            self.0.send_modify(|now| *now += time);
        }
    }

    impl Clock for Manual {
        fn now(&self) -> Duration {
            *self.0.borrow()
        }

        async fn sleep(&self, time: Duration) {
            let due = self.now() + time;
            self.0.subscribe().wait_for(|now| *now >= due).await.unwrap();
        }
    }

    fn manual() -> Manual {
        Manual(watch::Sender::new(MINUTE))
    }

    fn set(rig: &Rig, idle: Option<Duration>) {
        rig.set(Settings { idle, ..Settings::default() });
    }

    /// The limit that ended it, if one did.
    fn ended(end: &mut Pin<&mut impl Future<Output = Duration>>) -> Option<Duration> {
        match end.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(limit) => Some(limit),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn what_passes_puts_the_end_off() {
        let rig = Rig::new(Vec::new()).await;
        set(&rig, Some(10 * MINUTE));
        let (clock, vitals) = (manual(), Vitals::default());
        vitals.alive(clock.now());
        let mut end = pin!(too_long(&vitals, &rig.shared, &clock));
        assert_eq!(ended(&mut end), None);
        clock.pass(9 * MINUTE);
        assert_eq!(ended(&mut end), None);
        vitals.passed(1, 0, clock.now());
        clock.pass(9 * MINUTE);
        assert_eq!(ended(&mut end), None, "counted from the byte on");
        clock.pass(MINUTE);
        assert_eq!(ended(&mut end), Some(10 * MINUTE));
    }

    #[tokio::test]
    async fn without_a_limit_nothing_ends_and_a_reload_counts_at_once() {
        let rig = Rig::new(Vec::new()).await;
        let (clock, vitals) = (manual(), Vitals::default());
        vitals.alive(clock.now());
        let mut end = pin!(too_long(&vitals, &rig.shared, &clock));
        clock.pass(60_000 * MINUTE);
        assert_eq!(ended(&mut end), None);
        set(&rig, Some(90_000 * MINUTE));
        assert_eq!(ended(&mut end), None);
        set(&rig, Some(5 * MINUTE));
        assert_eq!(ended(&mut end), Some(5 * MINUTE));
    }

    #[tokio::test]
    async fn a_console_is_not_idle_while_it_waits_for_a_session_of_its_own() {
        let rig = Rig::new(Vec::new()).await;
        set(&rig, Some(MINUTE));
        let (clock, vitals) = (manual(), Vitals::default());
        vitals.alive(clock.now());
        let mut end = pin!(too_long(&vitals, &rig.shared, &clock));
        let busy = vitals.busy();
        for _ in 0..30 {
            clock.pass(MINUTE);
            assert_eq!(ended(&mut end), None);
        }
        vitals.alive(clock.now());
        drop(busy);
        assert_eq!(ended(&mut end), None);
        clock.pass(MINUTE);
        assert_eq!(ended(&mut end), Some(MINUTE));
    }

    #[test]
    fn limits_read_well() {
        let said = [90, 600, 7200, 59].map(|seconds| shown(Duration::from_secs(seconds)));
        assert_eq!(said, ["90 s", "10 min", "2 h", "59 s"]);
    }
}
