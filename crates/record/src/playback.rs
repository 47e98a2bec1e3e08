//! When to show what: the model behind `session play`.
//!
//! Pure: it neither reads the clock nor writes to the terminal. The caller says what time it is and does what it
//! is told; it may pause, change the speed or jump at any moment in between.
//!
//! ```text
//! loop {
//!     match playback.poll(clock.elapsed())? {
//!         Step::Wait(time) => wait for a key, at most `time`,
//!         Step::Paused     => wait for a key,
//!         Step::Act(action) => do it,
//!         Step::End        => break,
//!     }
//! }
//! ```
//! Output is handed over as it was recorded, escape sequences and all: showing it on a terminal is what playing
//! means. Whoever does not want a recording to control a terminal exports it as text.

use std::time::Duration;

use crate::{Event, Events, ReadError, Stream, What};

/// Where events come from, and can come from again.
pub trait Source {
    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// Whatever reading gives.
    fn next_event(&mut self) -> Option<Result<Event, ReadError>>;

    /// Starts again from the beginning.
    fn restart(&mut self);
}

impl Source for Events {
    fn next_event(&mut self) -> Option<Result<Event, ReadError>> {
        self.next()
    }

    fn restart(&mut self) {
        self.rewind();
    }
}

/// What the player is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write bytes to the terminal.
    Output(Vec<u8>),
    /// The recorded terminal has this size from here on.
    Resize {
        /// Its width.
        cols: u16,
        /// Its height.
        rows: u16,
    },
    /// A remark of the proxy. Foreign text: escape it.
    Marker(String),
    /// Reset the terminal: what follows is from the beginning again.
    Reset,
    /// What passed from here on was not kept.
    Capped,
}

/// What [`Playback::poll`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Do this now.
    Act(Action),
    /// Nothing to do for this long.
    Wait(Duration),
    /// Nothing to do until [`Playback::resume`] or a jump.
    Paused,
    /// The recording is over.
    End,
}

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed(f64);

impl Speed {
    /// As fast as it happened.
    pub const NORMAL: Self = Self(1.0);

    /// `times` as fast as it happened; from 1/100 to 100.
    pub fn new(times: f64) -> Option<Self> {
        (0.01..=100.0).contains(&times).then_some(Self(times))
    }

    /// How many times as fast as it happened.
    pub fn times(self) -> f64 {
        self.0
    }

    /// Twice as fast, as far as possible.
    #[must_use]
    pub fn faster(self) -> Self {
        Self::new(self.0 * 2.0).unwrap_or(self)
    }

    /// Half as fast, as far as possible.
    #[must_use]
    pub fn slower(self) -> Self {
        Self::new(self.0 / 2.0).unwrap_or(self)
    }
}

/// Plays one channel. See the [module](self) for how to drive it.
///
/// Two clocks: `now` is the caller's monotonic clock; a *position* is a time of the recording with pauses longer
/// than the idle limit cut to it, counted from its first event.
pub struct Playback<S> {
    source: S,
    speed: Speed,
    idle_limit: Option<Duration>,
    /// The next event and its position.
    ahead: Option<(Duration, Event)>,
    /// Time and position of the event before.
    last: Option<(Duration, Duration)>,
    /// At `anchor.0` of the caller's clock the position was `anchor.1`.
    anchor: Option<(Duration, Duration)>,
    position: Duration,
    paused: bool,
    /// Everything before this is shown without waiting.
    jump_to: Option<Duration>,
    reset: bool,
}

impl<S: Source> Playback<S> {
    /// Plays from the beginning. `idle_limit`: the longest pause in which nothing happens.
    pub fn new(source: S, speed: Speed, idle_limit: Option<Duration>) -> Self {
        Self {
            source,
            speed,
            idle_limit,
            ahead: None,
            last: None,
            anchor: None,
            position: Duration::ZERO,
            paused: false,
            jump_to: None,
            reset: false,
        }
    }

    /// Says what to do at `now`. Call again at once after [`Step::Act`].
    ///
    /// # Errors
    /// What reading the recording gives; the playback is then over.
    pub fn poll(&mut self, now: Duration) -> Result<Step, ReadError> {
        if std::mem::take(&mut self.reset) {
            return Ok(Step::Act(Action::Reset));
        }
        self.advance(now);
        loop {
            if self.ahead.is_none() && !self.read()? {
                self.jump_to = None;
                return Ok(Step::End);
            }
            let Some((due, _)) = &self.ahead else { return Ok(Step::End) };
            let due = *due;
            if let Some(to) = self.jump_to {
                if due > to {
                    self.jump_to = None;
                    (self.position, self.anchor) = (to, Some((now, to)));
                    continue;
                }
            } else if self.paused {
                return Ok(Step::Paused);
            } else if due > self.position {
                return Ok(Step::Wait((due - self.position).div_f64(self.speed.0)));
            }
            if let Some(action) = self.ahead.take().and_then(|(_, event)| action(event.what)) {
                return Ok(Step::Act(action));
            }
        }
    }

    /// Moves the position along with the caller's clock.
    fn advance(&mut self, now: Duration) {
        let (since, from) = *self.anchor.get_or_insert((now, self.position));
        if self.paused {
            self.anchor = Some((now, self.position));
        } else {
            let passed = now.saturating_sub(since).as_secs_f64() * self.speed.0;
            self.position = from.saturating_add(Duration::try_from_secs_f64(passed).unwrap_or(Duration::MAX));
        }
    }

    fn read(&mut self) -> Result<bool, ReadError> {
        let Some(event) = self.source.next_event().transpose()? else { return Ok(false) };
        let position = match self.last {
            None => Duration::ZERO,
            Some((at, position)) => {
                let pause = event.at.saturating_sub(at);
                position.saturating_add(self.idle_limit.map_or(pause, |limit| pause.min(limit)))
            }
        };
        self.last = Some((event.at, position));
        self.ahead = Some((position, event));
        Ok(true)
    }

    /// How far the playback is.
    pub fn position(&self) -> Duration {
        self.position
    }

    /// Whether it stands still.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// How fast it is.
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// Stands still from `now` on.
    pub fn pause(&mut self, now: Duration) {
        self.advance(now);
        self.paused = true;
    }

    /// Goes on from `now`.
    pub fn resume(&mut self, now: Duration) {
        self.advance(now);
        self.paused = false;
        self.anchor = Some((now, self.position));
    }

    /// Plays at another speed from `now` on.
    pub fn set_speed(&mut self, now: Duration, speed: Speed) {
        self.advance(now);
        self.speed = speed;
        self.anchor = Some((now, self.position));
    }

    /// Jumps to a position: everything before it is shown at once, from where the playback is or, backwards,
    /// from the beginning after [`Action::Reset`]. Paused playback stays paused there.
    pub fn seek(&mut self, now: Duration, position: Duration) {
        self.advance(now);
        if position < self.position {
            self.source.restart();
            (self.ahead, self.last, self.position) = (None, None, Duration::ZERO);
            self.reset = true;
        }
        self.anchor = Some((now, self.position));
        self.jump_to = Some(position);
    }

    /// The whole of it without pauses or jumps: each action with the time to wait before it.
    pub fn into_steps(self) -> Steps<S> {
        Steps { playback: self, now: Duration::ZERO }
    }
}

/// What to show of an event; keystrokes are not shown, their echo is.
fn action(what: What) -> Option<Action> {
    match what {
        What::Data(Stream::Output | Stream::Error, bytes) => Some(Action::Output(bytes)),
        What::Data(Stream::Input, _) => None,
        What::Terminal { cols, rows, .. } | What::Resize { cols, rows } => {
            Some(Action::Resize { cols, rows })
        }
        What::Marker(text) => Some(Action::Marker(text)),
        What::Capped => Some(Action::Capped),
    }
}

/// See [`Playback::into_steps`].
pub struct Steps<S> {
    playback: Playback<S>,
    now: Duration,
}

impl<S: Source> Iterator for Steps<S> {
    type Item = Result<(Duration, Action), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut delay = Duration::ZERO;
        loop {
            match self.playback.poll(self.now) {
                Ok(Step::Wait(time)) => {
                    // A nanosecond more, so that rounding never lets the clock stand still.
                    let time = time.saturating_add(Duration::from_nanos(1));
                    delay = delay.saturating_add(time);
                    self.now = self.now.checked_add(time)?;
                }
                Ok(Step::Act(action)) => return Some(Ok((delay, action))),
                Ok(Step::Paused | Step::End) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone)]
    struct Script(Vec<Event>, usize);

    impl Source for Script {
        fn next_event(&mut self) -> Option<Result<Event, ReadError>> {
            self.1 += 1;
            self.0.get(self.1 - 1).cloned().map(Ok)
        }
        fn restart(&mut self) {
            self.1 = 0;
        }
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn script(events: &[(u64, &str)]) -> Script {
        let event = |(at, text): &(u64, &str)| Event {
            at: ms(*at),
            what: What::Data(Stream::Output, text.as_bytes().to_vec()),
        };
        Script(events.iter().map(event).collect(), 0)
    }

    fn out(text: &str) -> Step {
        Step::Act(Action::Output(text.as_bytes().to_vec()))
    }

    #[test]
    fn time_passes_at_the_given_speed_with_short_pauses() {
        let source = script(&[(5000, "a"), (5100, "b"), (65_100, "c")]);
        let mut playback = Playback::new(source, Speed::new(2.0).unwrap(), Some(ms(1000)));
        assert_eq!(playback.poll(ms(7)).unwrap(), out("a"));
        assert_eq!(playback.poll(ms(7)).unwrap(), Step::Wait(ms(50)));
        assert_eq!(playback.poll(ms(37)).unwrap(), Step::Wait(ms(20)));
        assert_eq!(playback.poll(ms(57)).unwrap(), out("b"));
        assert_eq!(playback.poll(ms(57)).unwrap(), Step::Wait(ms(500)));
        playback.set_speed(ms(57), Speed::NORMAL);
        assert_eq!(playback.poll(ms(57)).unwrap(), Step::Wait(ms(1000)));
        assert_eq!(playback.poll(ms(9999)).unwrap(), out("c"));
        assert_eq!(playback.poll(ms(9999)).unwrap(), Step::End);
    }

    #[test]
    fn a_pause_stops_the_clock() {
        let mut playback = Playback::new(script(&[(0, "a"), (1000, "b")]), Speed::NORMAL, None);
        assert_eq!(playback.poll(ms(0)).unwrap(), out("a"));
        playback.pause(ms(400));
        assert_eq!(playback.poll(ms(400)).unwrap(), Step::Paused);
        assert_eq!(playback.poll(ms(90_000)).unwrap(), Step::Paused);
        assert_eq!(playback.position(), ms(400));
        playback.resume(ms(100_000));
        assert_eq!(playback.poll(ms(100_000)).unwrap(), Step::Wait(ms(600)));
        assert_eq!(playback.poll(ms(100_600)).unwrap(), out("b"));
    }

    #[test]
    fn jumps_show_what_they_pass_at_once() {
        let source = script(&[(0, "a"), (1000, "b"), (2000, "c"), (3000, "d")]);
        let mut playback = Playback::new(source, Speed::NORMAL, None);
        assert_eq!(playback.poll(ms(0)).unwrap(), out("a"));
        playback.pause(ms(0));
        playback.seek(ms(0), ms(2500));
        assert_eq!(playback.poll(ms(10)).unwrap(), out("b"));
        assert_eq!(playback.poll(ms(10)).unwrap(), out("c"));
        assert_eq!(playback.poll(ms(10)).unwrap(), Step::Paused);
        playback.resume(ms(10));
        assert_eq!(playback.poll(ms(10)).unwrap(), Step::Wait(ms(500)));
        playback.seek(ms(10), ms(1500));
        assert_eq!(playback.poll(ms(10)).unwrap(), Step::Act(Action::Reset));
        assert_eq!(playback.poll(ms(10)).unwrap(), out("a"));
        assert_eq!(playback.poll(ms(10)).unwrap(), out("b"));
        assert_eq!(playback.poll(ms(10)).unwrap(), Step::Wait(ms(500)));
        playback.seek(ms(10), Duration::MAX);
        assert_eq!(playback.poll(ms(10)).unwrap(), out("c"));
        assert_eq!(playback.poll(ms(10)).unwrap(), out("d"));
        assert_eq!(playback.poll(ms(10)).unwrap(), Step::End);
        playback.seek(ms(10), ms(0));
        assert_eq!(playback.poll(ms(10)).unwrap(), Step::Act(Action::Reset));
        assert_eq!(playback.poll(ms(10)).unwrap(), out("a"));
    }

    #[test]
    fn speeds_stay_in_their_range() {
        assert!(Speed::new(f64::NAN).is_none() && Speed::new(0.0).is_none() && Speed::new(1e9).is_none());
        assert_eq!(Speed::new(100.0).unwrap().faster().times(), 100.0);
        assert_eq!(Speed::NORMAL.slower().faster(), Speed::NORMAL);
    }

    proptest! {
        #[test]
        fn every_event_is_played_once_in_order_in_its_time(
            gaps in prop::collection::vec(0..10_000_u64, 1..30), times in 0.01..100.0_f64, limit in prop::option::of(0..5000_u64),
        ) {
            let mut at = 0;
            let events: Vec<_> = gaps.iter().map(|gap| { at += gap; (at, "x") }).collect();
            let speed = Speed::new(times).unwrap();
            let steps: Vec<_> = Playback::new(script(&events), speed, limit.map(ms)).into_steps().map(Result::unwrap).collect();
            prop_assert_eq!(steps.len(), events.len());
            let expected: u64 = gaps[1..].iter().map(|gap| limit.map_or(*gap, |l| l.min(*gap))).sum();
            let played: Duration = steps.iter().map(|(delay, _)| *delay).sum();
            let off = (played.as_secs_f64() - ms(expected).as_secs_f64() / times).abs();
            prop_assert!(off < 1e-4, "off by {}", off);
        }
    }
}
