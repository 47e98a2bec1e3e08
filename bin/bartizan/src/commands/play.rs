//! `bartizan session play`: replays a recording in the terminal.
//!
//! ```text
//!   recording ─► Playback (when to show what) ─► Tame (what may be shown) ─► terminal
//!                    ▲ keys
//! ```
//!
//! What the target sent is shown as it was, except for what would reach beyond the screen: see [`tame`].

mod draws;
mod keys;
mod tame;
mod terminal;

use std::time::{Duration, Instant};

use bartizan_record::playback::{Action, Playback, Speed, Step};
use bartizan_record::{Events, RecordedSession};

use self::keys::Key;
use self::tame::Tame;
use self::terminal::Terminal;
use super::{Context, recordings};
use crate::args::SessionPlay;
use crate::failure::Failure;
use crate::out::note;

/// How far the arrow keys jump.
const JUMP: Duration = Duration::from_secs(10);
/// Keys are looked at after so many actions without a pause, so that a long jump can be ended.
const PATIENCE: u32 = 256;

pub(crate) fn run(context: &Context, args: &SessionPlay) -> Result<(), Failure> {
    let (_, session) = recordings::open(context, &args.id, "play")?;
    let channel = recordings::channel(&session, args.channel)?;
    too_small(&session, channel);
    let terminal = Terminal::open()?;
    let pty = session.channels().iter().any(|c| c.channel == channel && c.pty);
    let speed = Speed::new(f64::from(args.speed.tenths()) / 10.0).unwrap_or(Speed::NORMAL);
    let events = session.events(channel).map_err(|e| recordings::unreadable(&e))?;
    let mut player = Player {
        playback: Playback::new(events, speed, args.idle_limit),
        tame: Tame::new(pty),
        begun: Instant::now(),
        skipped: Duration::ZERO,
        terminal,
    };
    if args.from > Duration::ZERO {
        let now = player.now();
        player.playback.seek(now, args.from);
    }
    player.run()?;
    recordings::whole(&session, &[channel])
}

/// Tells when the recording was made on a larger terminal than this.
fn too_small(session: &RecordedSession, channel: u32) {
    let Some((cols, rows)) = terminal::size() else { return };
    let Ok(events) = session.events(channel) else { return };
    // The size is the first thing that is known of a terminal.
    let recorded = events.take(1).flatten().find_map(|event| match event.what {
        bartizan_record::What::Terminal { cols, rows, .. } => Some((cols, rows)),
        _ => None,
    });
    if let Some((wide, high)) = recorded
        && (wide > cols || high > rows)
    {
        note(&format!("recorded on {wide}x{high}; this terminal has {cols}x{rows}"));
    }
}

struct Player {
    playback: Playback<Events>,
    tame: Tame,
    begun: Instant,
    /// Time that steps have skipped.
    skipped: Duration,
    terminal: Terminal,
}

enum Go {
    On,
    Quit,
}

impl Player {
    fn now(&self) -> Duration {
        self.begun.elapsed() + self.skipped
    }

    fn run(mut self) -> Result<(), Failure> {
        let mut busy = 0;
        loop {
            let now = self.now();
            let pause = match self.playback.poll(now).map_err(|e| recordings::unreadable(&e))? {
                Step::Act(action) => {
                    self.act(action)?;
                    busy += 1;
                    if busy % PATIENCE != 0 {
                        continue;
                    }
                    Some(Duration::ZERO)
                }
                Step::Wait(time) => Some(time),
                Step::Paused => None,
                Step::End => break,
            };
            for key in self.terminal.keys(pause)? {
                if let Go::Quit = self.press(key)? {
                    return self.terminal.close();
                }
            }
        }
        self.terminal.close()
    }

    fn press(&mut self, key: Key) -> Result<Go, Failure> {
        let now = self.now();
        match key {
            Key::Quit => return Ok(Go::Quit),
            Key::Pause if self.playback.is_paused() => self.playback.resume(now),
            Key::Pause => self.playback.pause(now),
            Key::Step if self.playback.is_paused() => return self.step(),
            Key::Step => {}
            Key::Slower => self.playback.set_speed(now, self.playback.speed().slower()),
            Key::Faster => self.playback.set_speed(now, self.playback.speed().faster()),
            Key::Back => self.playback.seek(now, self.playback.position().saturating_sub(JUMP)),
            Key::Ahead => self.playback.seek(now, self.playback.position().saturating_add(JUMP)),
        }
        Ok(Go::On)
    }

    /// Shows the next piece of output at once, whenever it was, and stands still again.
    fn step(&mut self) -> Result<Go, Failure> {
        let now = self.now();
        self.playback.resume(now);
        loop {
            let now = self.now();
            match self.playback.poll(now).map_err(|e| recordings::unreadable(&e))? {
                // A nanosecond more, so that rounding never lets the clock stand still.
                Step::Wait(time) => self.skipped += time + Duration::from_nanos(1),
                Step::Act(action) => {
                    let shown = matches!(action, Action::Output(_));
                    self.act(action)?;
                    if shown {
                        break;
                    }
                }
                Step::Paused | Step::End => break,
            }
        }
        let now = self.now();
        self.playback.pause(now);
        Ok(Go::On)
    }

    fn act(&mut self, action: Action) -> Result<(), Failure> {
        match action {
            Action::Output(bytes) => {
                let shown = self.tame.filter(&bytes);
                self.terminal.write(&shown)
            }
            Action::Reset => {
                self.tame.reset();
                self.terminal.reset()
            }
            Action::Capped => self
                .terminal
                .write(b"\r\n[from here on the bytes were counted and digested, and not kept]\r\n"),
            // The terminal's size is the viewer's, and remarks have no place on the recorded screen.
            Action::Resize { .. } | Action::Marker(_) => Ok(()),
        }
    }
}
