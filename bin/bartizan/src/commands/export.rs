//! `bartizan session export`.

mod files;

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bartizan_record::export::{AsciicastVersion, asciicast, raw, text, ttyrec, typescript};
use bartizan_record::{ReadError, RecordedSession, Stream};

use super::{Context, recordings};
use crate::args::{Direction, Format, SessionExport};
use crate::failure::{Failure, Kind};

pub(crate) fn run(context: &Context, args: &SessionExport) -> Result<(), Failure> {
    check_output(args)?;
    if let (Format::Files, Some(folder)) = (args.format, &args.output) {
        return files::run(context, args, folder);
    }
    let how = format!("export {}", args.format.as_str());
    let (_, session) = recordings::open(context, &args.id, &how)?;
    let channel = recordings::channel(&session, args.channel)?;
    let written = channel_into_output(&session, channel, args);
    // That it is not whole is why something of it could not be shown, if so.
    recordings::whole(&session, &[channel]).and(written)
}

fn channel_into_output(session: &RecordedSession, channel: u32, args: &SessionExport) -> Result<(), Failure> {
    match &args.output {
        None => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            write(session, channel, args, &mut out, &mut std::io::sink())
                .and_then(|()| out.flush().map_err(ReadError::Output))
                .map_err(|e| recordings::unreadable(&e))
        }
        Some(path) => {
            let mut out = create(path)?;
            let written = if args.format == Format::Typescript {
                let mut timing = create(&timing_path(path))?;
                write(session, channel, args, &mut out, &mut timing)
                    .and_then(|()| timing.flush().map_err(ReadError::Output))
            } else {
                write(session, channel, args, &mut out, &mut std::io::sink())
            };
            written.and_then(|()| out.flush().map_err(ReadError::Output)).map_err(|e| match &e {
                ReadError::Output(e) => Failure::failed(format!("cannot write {}: {e}", path.display())),
                _ => recordings::unreadable(&e),
            })
        }
    }
}

/// Refuses what would come out wrong, before anything is read.
fn check_output(args: &SessionExport) -> Result<(), Failure> {
    let foreign = matches!(args.format, Format::Typescript | Format::Ttyrec | Format::Raw);
    if args.output.is_none() && foreign && std::io::stdout().is_terminal() {
        return Err(Failure::new(
            Kind::Usage,
            format!(
                "{} holds what the target sent as it is; on a terminal it could do anything",
                args.format.as_str()
            ),
        )
        .hint("write it with --output FILE or into a pipe; `session play` shows it"));
    }
    Ok(())
}

fn write(
    session: &RecordedSession,
    channel: u32,
    args: &SessionExport,
    out: &mut dyn Write,
    timing: &mut dyn Write,
) -> Result<(), ReadError> {
    match args.format {
        Format::Text => text(session, channel, out),
        Format::Asciicast => asciicast(session, channel, AsciicastVersion::V2, out),
        Format::Asciicast3 => asciicast(session, channel, AsciicastVersion::V3, out),
        Format::Typescript => typescript(session, channel, out, timing),
        Format::Ttyrec => ttyrec(session, channel, out),
        Format::Raw => {
            let stream = match args.stream {
                Direction::Input => Stream::Input,
                Direction::Output => Stream::Output,
                Direction::Error => Stream::Error,
            };
            raw(session, channel, stream, out)
        }
        // Written into a folder, before this.
        Format::Files => Ok(()),
    }
}

/// A new file that only its owner may read; one that is there is not overwritten.
pub(crate) fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    let shown = path.display();
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map(BufWriter::new).map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => {
            Failure::failed(format!("{shown} exists already; it was not overwritten"))
                .hint("name another file")
        }
        _ => Failure::failed(format!("cannot write {shown}: {e}")),
    })
}

fn timing_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".timing");
    name.into()
}
