//! Command lines that every shell reads alike.

/// One word of a plain command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word<'a> {
    /// Without quotes.
    Bare(&'a str),
    /// In quotes of one kind as a whole; holds what is between them.
    Quoted(&'a str, Quotes),
}

/// The kinds of quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// `'…'`, which `cmd.exe` does not know.
    Single,
    /// `"…"`.
    Double,
}

impl<'a> Word<'a> {
    /// The word, if it is without quotes.
    pub(crate) const fn bare(&self) -> Option<&'a str> {
        match self {
            Self::Bare(word) => Some(word),
            Self::Quoted(..) => None,
        }
    }

    /// What a shell that knows its quotes makes of it.
    pub(crate) const fn text(&self) -> &'a str {
        match self {
            Self::Bare(text) | Self::Quoted(text, _) => text,
        }
    }

    /// Whether programs take it for an option.
    pub(crate) fn is_option(&self) -> bool {
        self.text().starts_with('-')
    }
}

/// Splits a command line into words at single spaces. `None` when any of it could mean more to some shell:
/// no expansion, substitution, redirection, escape, control character or separator is plain.
pub(crate) fn words(line: &str) -> Option<Vec<Word<'_>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let quotes = match rest.chars().next()? {
            '\'' => Some(('\'', Quotes::Single)),
            '"' => Some(('"', Quotes::Double)),
            _ => None,
        };
        let word = match quotes {
            Some((quote, kind)) => {
                let quoted = &rest[1..];
                let end = quoted.find(quote)?;
                let inner = &quoted[..end];
                rest = &quoted[end + 1..];
                (!inner.is_empty() && inner.chars().all(is_plain_when_quoted))
                    .then_some(Word::Quoted(inner, kind))?
            }
            None => {
                let end = rest.find(' ').unwrap_or(rest.len());
                let word = &rest[..end];
                rest = &rest[end..];
                // What a shell may make of `=` it makes of words that begin with it, or with a name.
                let option = word.starts_with("--");
                let plain = |c| is_plain(c) || option && c == '=';
                (!word.is_empty() && word.chars().all(plain)).then_some(Word::Bare(word))?
            }
        };
        words.push(word);
        if rest.is_empty() {
            return Some(words);
        }
        rest = rest.strip_prefix(' ')?;
    }
}

/// Characters that begin no command for any shell, wherever in a word. `~` names a home directory at most, and a comma
/// makes two words for PowerShell.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./+:@~,".contains(c)
}

/// Between quotes a POSIX shell takes all of these as they are, but `cmd.exe` does not know single ones as quotes.
fn is_plain_when_quoted(c: char) -> bool {
    is_plain(c) || " =#[]{}".contains(c) || c.is_alphabetic() && !c.is_ascii()
}
