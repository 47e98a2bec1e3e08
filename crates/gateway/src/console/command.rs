//! What a line of the console means.
//!
//! Words are separated by blanks; there are no quotes and no variables, because this is no shell. What follows the
//! destination of `ssh` is passed on as it was written, byte for byte: it is for the login's shell on the target.

use bartizan_model::{LoginName, TargetName, escape};

/// Edits by which a word may differ from the command that is suggested for it.
const TYPOS: usize = 2;

/// One command as `help` shows it.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) usage: &'static str,
    pub(super) summary: &'static str,
    /// More lines for `help COMMAND`.
    pub(super) details: &'static str,
}

/// Every command, in the order of `help`.
pub(super) const COMMANDS: [Entry; 6] = [
    Entry {
        name: "targets",
        usage: "targets [FILTER] [--json]",
        summary: "what you may reach",
        details: "Lists every login that your grants permit now, from where you are.\n\
                  FILTER keeps lines that contain it, or match it when it holds * or ?.\n\
                  *@TARGET stands for any login.",
    },
    Entry {
        name: "ssh",
        usage: "ssh [-AT] [LOGIN@]TARGET [COMMAND...]",
        summary: "open a session, recorded like any other",
        details: "-A  forward your agent (needs ssh -A to here, and a grant of agent)\n\
                  -T  no terminal on the target\n\
                  -l LOGIN  the same as LOGIN@TARGET\n\
                  Options may also stand behind the destination.\n\
                  COMMAND is passed on as it is written. Ctrl-C gives up while connecting.",
    },
    Entry {
        name: "sessions",
        usage: "sessions [--json]",
        summary: "your sessions that are live now",
        details: "Shows audit key, destination, way in and start of each, newest first.",
    },
    Entry {
        name: "whoami",
        usage: "whoami [--json]",
        summary: "who you are here, and how we know",
        details: "Shows person, method and key, where you come from, and the console's audit key.",
    },
    Entry {
        name: "help",
        usage: "help [COMMAND]",
        summary: "this, or more about one command",
        details: "Tab completes, up and down walk through the history, Ctrl-C gives up a line,\n\
                  Ctrl-D leaves; Ctrl-A, E, K, U, W, Y, T, L and Alt-B, F, D edit as in a shell.",
    },
    Entry {
        name: "exit",
        usage: "exit",
        summary: "leave (also logout, Ctrl-D)",
        details: "The exit status is that of the last command.",
    },
];

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Nothing,
    Targets { filter: Option<String>, json: bool },
    Ssh(Destination),
    Sessions { json: bool },
    Whoami { json: bool },
    Help(Option<&'static str>),
    Exit,
}

/// Where `ssh` goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// `None`: the only login there is.
    pub(super) login: Option<LoginName>,
    pub(super) target: TargetName,
    /// `None` is a shell.
    pub(super) command: Option<Vec<u8>>,
    pub(super) forward_agent: bool,
    /// False with `-T`.
    pub(super) terminal: bool,
}

/// A line that cannot be carried out; the texts hold nothing that was not escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("unknown command: {shown}{}", suggest(.suggestion))]
    Unknown { shown: String, suggestion: Option<&'static str> },
    #[error("{what}\nusage: {usage}")]
    Usage { what: String, usage: &'static str },
}

fn suggest(suggestion: &Option<&str>) -> String {
    match suggestion {
        Some(command) => format!("; did you mean: {command}"),
        None => "; this is no shell. The commands: help".into(),
    }
}

/// Reads a line.
pub(super) fn parse(line: &[u8]) -> Result<Command, Fault> {
    let Some((name, rest)) = word(line) else { return Ok(Command::Nothing) };
    match name {
        b"targets" => targets(rest),
        b"ssh" => ssh(rest).map(Command::Ssh),
        b"sessions" => only_json("sessions", rest).map(|json| Command::Sessions { json }),
        b"whoami" => only_json("whoami", rest).map(|json| Command::Whoami { json }),
        b"help" | b"?" | b"--help" => help(rest),
        b"exit" | b"logout" | b"quit" | b"bye" => no_more("exit", rest).map(|()| Command::Exit),
        _ => Err(unknown(name)),
    }
}

/// The first word and what follows it, without the blanks between.
fn word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.trim_ascii_start();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    (end > 0).then(|| (&line[..end], line[end..].trim_ascii_start()))
}

fn words(mut line: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (first, rest) = word(line)?;
        line = rest;
        Some(first)
    })
}

fn entry(name: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.name == name)
}

fn usage(name: &'static str, what: String) -> Fault {
    Fault::Usage { what, usage: entry(name).map_or(name, |entry| entry.usage) }
}

fn unexpected(name: &'static str, word: &[u8]) -> Fault {
    usage(name, format!("{name}: unexpected {}", shown(word)))
}

/// A word as it may be shown: escaped and cut.
fn shown(word: &[u8]) -> String {
    escape(&word[..word.len().min(80)])
}

fn unknown(name: &[u8]) -> Fault {
    let shown = shown(name);
    let known = match name {
        b"ls" | b"list" | b"hosts" | b"target" => Some("targets"),
        b"connect" | b"sftp" | b"scp" | b"telnet" => Some("ssh"),
        b"who" | b"id" => Some("whoami"),
        b"w" | b"ps" | b"last" => Some("sessions"),
        b"q" | b":q" | b"disconnect" => Some("exit"),
        b"man" => Some("help"),
        _ => None,
    };
    let close = || {
        let lower = shown.to_ascii_lowercase();
        let distance = |entry: &Entry| strsim::osa_distance(&lower, entry.name);
        COMMANDS.iter().filter(|&entry| distance(entry) <= TYPOS).min_by_key(|&entry| distance(entry))
    };
    let suggestion = known.or_else(|| close().map(|entry| entry.name));
    Fault::Unknown { shown, suggestion }
}

fn no_more(name: &'static str, rest: &[u8]) -> Result<(), Fault> {
    word(rest).map_or(Ok(()), |(more, _)| Err(unexpected(name, more)))
}

fn only_json(name: &'static str, rest: &[u8]) -> Result<bool, Fault> {
    let mut json = false;
    for word in words(rest) {
        match word {
            b"--json" => json = true,
            other => return Err(unexpected(name, other)),
        }
    }
    Ok(json)
}

fn targets(rest: &[u8]) -> Result<Command, Fault> {
    let (mut filter, mut json) = (None, false);
    for word in words(rest) {
        match (word, std::str::from_utf8(word)) {
            (b"--json", _) => json = true,
            (_, Ok(text)) if filter.is_none() && !text.starts_with('-') => filter = Some(text.to_owned()),
            _ => return Err(unexpected("targets", word)),
        }
    }
    Ok(Command::Targets { filter, json })
}

fn help(rest: &[u8]) -> Result<Command, Fault> {
    let Some((name, rest)) = word(rest) else { return Ok(Command::Help(None)) };
    no_more("help", rest)?;
    let found = std::str::from_utf8(name).ok().and_then(entry);
    found.map(|entry| Command::Help(Some(entry.name))).ok_or_else(|| unknown(name))
}

/// Options of `ssh` so far.
struct Options<'a> {
    forward_agent: bool,
    terminal: bool,
    login: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Reads options up to the first word that is none; gives it and what follows.
    fn read(&mut self, mut rest: &'a [u8]) -> Result<&'a [u8], Fault> {
        while let Some((first, more)) = word(rest) {
            let Some(options) = first.strip_prefix(b"-") else { break };
            rest = more;
            match options {
                b"l" => {
                    let (name, more) = word(rest).ok_or_else(missing)?;
                    rest = more;
                    self.login = Some(name);
                }
                // -t is what we do anyway.
                _ if !options.is_empty() && options.iter().all(|o| b"AatT".contains(o)) => {
                    options.iter().for_each(|option| match option {
                        b'A' => self.forward_agent = true,
                        b'a' => self.forward_agent = false,
                        option => self.terminal = *option == b't',
                    });
                }
                _ => return Err(usage("ssh", format!("ssh: the option {} is not known here", shown(first)))),
            }
        }
        Ok(rest)
    }
}

fn missing() -> Fault {
    usage("ssh", "ssh: which login on which target?".into())
}

fn ssh(mut rest: &[u8]) -> Result<Destination, Fault> {
    let mut options = Options { forward_agent: false, terminal: true, login: None };
    rest = options.read(rest)?;
    let (destination, more) = word(rest).ok_or_else(missing)?;
    // No command begins so, and a stock client takes them here, too.
    rest = options.read(more)?;
    let Options { forward_agent, terminal, login } = options;
    let invalid = |why: String| usage("ssh", format!("ssh: {why}"));
    let text = std::str::from_utf8(destination)
        .map_err(|_| invalid(format!("{} is no name", shown(destination))))?;
    let (named, target) = match text.rsplit_once('@') {
        Some((named, target)) => (Some(named.as_bytes()), target),
        None => (None, text),
    };
    let login = named.or(login).map(|name| {
        let name = std::str::from_utf8(name).map_err(|_| invalid(format!("{} is no name", shown(name))))?;
        LoginName::new(name).map_err(|error| invalid(error.to_string()))
    });
    Ok(Destination {
        login: login.transpose()?,
        target: TargetName::new(target).map_err(|error| invalid(error.to_string()))?,
        command: (!rest.is_empty()).then(|| rest.trim_ascii_end().to_vec()),
        forward_agent,
        terminal,
    })
}

/// What `help` says.
pub(super) fn help_text(about: Option<&str>) -> String {
    if let Some(Entry { usage, summary, details, .. }) = about.and_then(entry) {
        return format!("{usage}\n{summary}\n\n{details}\n");
    }
    let widest = COMMANDS.iter().map(|entry| entry.usage.len()).max().unwrap_or(0);
    let lines = COMMANDS.iter().map(|entry| format!("{:widest$}  {}\n", entry.usage, entry.summary));
    lines.chain(["\nMore about one: help COMMAND. Keys: help help\n".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to(login: Option<&str>, target: &str) -> Destination {
        Destination {
            login: login.map(|login| login.parse().unwrap()),
            target: target.parse().unwrap(),
            command: None,
            forward_agent: false,
            terminal: true,
        }
    }

    #[test]
    fn lines_are_read_as_they_are_documented() {
        for (line, command) in [
            ("", Command::Nothing),
            ("  \t ", Command::Nothing),
            ("targets", Command::Targets { filter: None, json: false }),
            (" targets  web --json ", Command::Targets { filter: Some("web".into()), json: true }),
            ("sessions --json", Command::Sessions { json: true }),
            ("whoami", Command::Whoami { json: false }),
            ("help", Command::Help(None)),
            ("help ssh", Command::Help(Some("ssh"))),
            ("logout", Command::Exit),
            ("ssh root@web-1", Command::Ssh(to(Some("root"), "web-1"))),
            ("ssh web-1", Command::Ssh(to(None, "web-1"))),
            ("ssh -l root web-1", Command::Ssh(to(Some("root"), "web-1"))),
            ("ssh -tA a@b@", Command::Nothing),
            ("bye", Command::Exit),
        ] {
            match command {
                Command::Nothing if line.starts_with("ssh") => assert!(parse(line.as_bytes()).is_err()),
                command => assert_eq!(parse(line.as_bytes()), Ok(command), "{line}"),
            }
        }
    }

    #[test]
    fn what_follows_the_destination_is_passed_on_as_it_is() {
        let line = b"ssh -AT root@web-1  echo \"a  b\" \xff| wc -l ";
        let Ok(Command::Ssh(destination)) = parse(line) else { panic!("it is ssh") };
        assert_eq!(destination.command.unwrap(), b"echo \"a  b\" \xff| wc -l");
        assert!(destination.forward_agent && !destination.terminal);
    }

    #[test]
    fn options_may_stand_behind_the_destination() {
        let line = b"ssh web-1 -l root -T -A -- ls";
        let error = parse(line).unwrap_err().to_string();
        assert!(error.contains("the option -- is not known"), "{error}");
        let Ok(Command::Ssh(destination)) = parse(b"ssh web-1 -l root -T -A ls -l") else {
            panic!("it is ssh")
        };
        assert_eq!(destination.login.unwrap().as_str(), "root");
        assert!(destination.forward_agent && !destination.terminal);
        assert_eq!(destination.command.unwrap(), b"ls -l");
    }

    #[test]
    fn faults_say_what_to_write_instead() {
        for (line, said) in [
            (&b"target"[..], "did you mean: targets"),
            (b"tragets", "did you mean: targets"),
            (b"ls -l", "did you mean: targets"),
            (b"SESSIONS", "did you mean: sessions"),
            (b":q", "did you mean: exit"),
            (b"shs root@web-1", "did you mean: ssh"),
            (b"rm -rf /", "this is no shell"),
            (b"\x1b[2J", "unknown command: \\x1b[2J"),
            (b"ssh", "which login on which target?\nusage: ssh [-AT]"),
            (b"ssh -L 80:x:80 root@web-1", "the option -L is not known"),
            (b"ssh ro\x1bot@web-1", "ro\\x1bot"),
            (b"ssh root@-x", "starts with '-'"),
            (b"targets a b", "unexpected b"),
            (b"whoami now", "unexpected now"),
            (b"help me", "unknown command: me"),
            (b"exit 3", "unexpected 3"),
        ] {
            let said_so = parse(line).unwrap_err().to_string();
            assert!(said_so.contains(said), "{}: {said_so}", line.escape_ascii());
        }
    }

    #[test]
    fn help_fits_a_terminal_of_80_columns() {
        let texts = [None].into_iter().chain(COMMANDS.iter().map(|entry| Some(entry.name))).map(help_text);
        for text in texts {
            assert!(text.lines().all(|line| line.len() < 80), "{text}");
        }
        insta::assert_snapshot!("help", help_text(None));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_stumble_or_is_shown_raw(line: Vec<u8>) {
            if let Err(fault) = parse(&line) {
                let text = fault.to_string();
                prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
            }
        }
    }
}
