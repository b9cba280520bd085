//! Dotenv files: `NAME=value` lines.
//!
//! Read: empty lines, `#` comments, an optional `export `, values bare (up to a ` #` comment),
//! in single quotes (literal) or in double quotes (`\n`, `\t`, `\"`, `\\`, `\$` understood). Nothing is
//! expanded: a value is what stands there.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;

/// Why an env file cannot be read. Never holds a value: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnvFileProblem {
    #[error("line {0} has no `=`")]
    NoEquals(usize),
    #[error("line {0} does not begin with a variable name")]
    BadName(usize),
    #[error("line {0} opens a quote that it does not close")]
    OpenQuote(usize),
    #[error("line {0} holds a NUL byte")]
    Nul(usize),
    #[error("line {0} is not UTF-8")]
    NotText(usize),
}

/// More than that is no file of variables.
const LARGEST: u64 = 16 << 20;

/// Why nothing is read of a file.
pub(crate) struct Unreadable {
    pub errno: Errno,
    /// Where that says little.
    pub explanation: Option<String>,
}

/// Reads the variables of a file, in its order. Never waits for the writer of a FIFO.
pub(crate) fn load(path: &Path) -> Result<Vec<(String, String)>, Unreadable> {
    let unreadable = |errno, explanation| Unreadable { errno, explanation };
    let errno = |error: io::Error| {
        let number = error.raw_os_error().unwrap_or(libc::EIO);
        unreadable(Errno::from_raw(number), None)
    };
    let refused = |why: String| unreadable(Errno::EINVAL, Some(why));
    let mut options = File::options();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = file.map_err(errno)?;
    let metadata = file.metadata().map_err(errno)?;
    if metadata.is_dir() {
        return Err(unreadable(Errno::EISDIR, None));
    }
    // A device may be `/dev/null`.
    let kind = metadata.file_type();
    if kind.is_fifo() || kind.is_socket() || kind.is_block_device() {
        return Err(refused("it is no regular file".to_owned()));
    }
    if metadata.len() > LARGEST {
        return Err(refused(format!("it has more than {LARGEST} bytes")));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(errno)?;
    let text = str::from_utf8(&bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        refused(EnvFileProblem::NotText(line).to_string())
    })?;
    parse(text).map_err(|problem| refused(problem.to_string()))
}

/// The variables in the order of the file.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, EnvFileProblem> {
    let mut variables = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.contains('\0') {
            return Err(EnvFileProblem::Nul(number));
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let (name, value) = line
            .split_once('=')
            .ok_or(EnvFileProblem::NoEquals(number))?;
        let name = name.trim_end();
        if !is_variable_name(name) {
            return Err(EnvFileProblem::BadName(number));
        }
        let value = unquote(value.trim_start()).ok_or(EnvFileProblem::OpenQuote(number))?;
        variables.push((name.to_owned(), value));
    }
    Ok(variables)
}

/// What [`is_variable_name`] takes, as a regular expression.
pub(crate) const VARIABLE_NAME: &str = "^[^=\\x00]+$";

/// Whether a text can be the name of an environment variable: anything without `=` and NUL.
pub(crate) fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

fn unquote(value: &str) -> Option<String> {
    if let Some(rest) = value.strip_prefix('\'') {
        return rest.split_once('\'').map(|(inside, _)| inside.to_owned());
    }
    let Some(rest) = value.strip_prefix('"') else {
        let end = value.find(" #").unwrap_or(value.len());
        return Some(value[..end].trim_end().to_owned());
    };
    let mut plain = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return Some(plain),
            '\\' => match characters.next()? {
                'n' => plain.push('\n'),
                't' => plain.push('\t'),
                'r' => plain.push('\r'),
                known @ ('"' | '\\' | '$') => plain.push(known),
                other => plain.extend(['\\', other]),
            },
            other => plain.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_are_read() {
        let text = "\u{feff}# comment\n\nA=1\nexport B = two words # note\r\nC='$x #'\nD=\"a\\n\\\"b\\\"\"\nE=\nF=a=b\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "$x #"),
            ("D", "a\n\"b\""),
            ("E", ""),
            ("F", "a=b"),
        ];
        let parsed = parse(text).unwrap();
        let parsed: Vec<_> = parsed
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(parsed, expected);
    }

    #[test]
    fn problems_name_the_line_and_no_value() {
        assert_eq!(parse("A=1\nsecret"), Err(EnvFileProblem::NoEquals(2)));
        assert_eq!(parse("=x"), Err(EnvFileProblem::BadName(1)));
        assert_eq!(parse("A=\"x"), Err(EnvFileProblem::OpenQuote(1)));
        assert_eq!(parse("A=x\0y"), Err(EnvFileProblem::Nul(1)));
    }
}
