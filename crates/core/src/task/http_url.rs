//! The address of an http server, as far as a health probe needs it.

/// What a plain GET is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpUrl<'a> {
    /// A name or an address, without brackets.
    pub host: &'a str,
    /// 80 unless it says.
    pub port: u16,
    /// Host and port as they stand in the URL: the `Host` of the request.
    pub authority: &'a str,
    /// The path and what follows it, without the fragment; may be empty.
    pub target: &'a str,
}

impl<'a> HttpUrl<'a> {
    /// Longer ones are refused by many servers.
    pub(crate) const LONGEST: usize = 8000;
    /// What every URL that [`HttpUrl::parse`] takes matches.
    pub(crate) const PATTERN: &'static str = "^[hH][tT][tT][pP]://[!-~]+$";

    /// Reads `http://HOST[:PORT][/PATH][?QUERY]`; what is wrong with it otherwise.
    pub(crate) fn parse(url: &'a str) -> Result<Self, &'static str> {
        const NOT_HTTP: &str = "it is not the URL of an http server";
        if url.len() > Self::LONGEST {
            return Err("it is longer than 8000 bytes");
        }
        let (scheme, rest) = url.split_once("://").ok_or(NOT_HTTP)?;
        if scheme.eq_ignore_ascii_case("https") {
            return Err("a probe speaks plain http only");
        }
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(NOT_HTTP);
        }
        // In a request line a blank would end the target, and a line end the request.
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("blanks and what is not ASCII must be percent-encoded");
        }
        let rest = rest.split('#').next().unwrap_or(rest);
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("a probe sends no name and password");
        }
        let (host, port) = split_port(authority).ok_or(NOT_HTTP)?;
        let port = match port {
            None | Some("") => 80,
            Some(port) => port.parse().map_err(|_| "its port is none")?,
        };
        if host.is_empty() || port == 0 {
            return Err(NOT_HTTP);
        }
        Ok(Self {
            host,
            port,
            authority,
            target,
        })
    }
}

/// `[::1]:80` has colons in its host.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_port_and_target() {
        let read = |url| {
            let url = HttpUrl::parse(url).unwrap();
            (url.host, url.port, url.authority, url.target)
        };
        assert_eq!(read("http://a"), ("a", 80, "a", ""));
        assert_eq!(read("HTTP://a:/b"), ("a", 80, "a:", "/b"));
        assert_eq!(
            read("http://a.b:8080/c/d?e=f#g"),
            ("a.b", 8080, "a.b:8080", "/c/d?e=f")
        );
        assert_eq!(read("http://a?e:@"), ("a", 80, "a", "?e:@"));
        assert_eq!(read("http://[::1]:3000/"), ("::1", 3000, "[::1]:3000", "/"));
        assert_eq!(read("http://[::1]"), ("::1", 80, "[::1]", ""));
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for url in [
            "",
            "a",
            "ftp://a",
            "http://",
            "http:///a",
            "http://:80",
            "http://a:0",
            "http://a:x",
            "http://a:70000",
            "http://::1/",
            "http://[::1/",
            "http://[::1]a",
            "http://a b",
            "http://a/\r\nb",
            "http://ä",
            "http://u:p@a",
        ] {
            assert!(HttpUrl::parse(url).is_err(), "{url:?}");
        }
        let refused = HttpUrl::parse("https://a").unwrap_err();
        assert_eq!(refused, "a probe speaks plain http only");
    }
}
