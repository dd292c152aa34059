//! Addresses of services.

use percent_encoding::percent_decode_str;
use url::Url;

/// The URL that `text` is, its scheme in small letters; otherwise why it is none. `without` is not allowed in it.
pub(super) fn read(text: &str, without: &[char]) -> Result<String, String> {
    let scheme = text.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
    let Some((scheme, rest)) = scheme.filter(|(scheme, _)| scheme == "http" || scheme == "https") else {
        return Err("it begins with http:// or https://".to_owned());
    };
    if let Some(sign) = text.chars().find(|sign| is_strange(*sign) || without.contains(sign)) {
        return Err(format!("`{}` is not allowed in it", sign.escape_debug()));
    }
    let url = format!("{scheme}://{rest}");
    let parsed = Url::parse(&url).map_err(|error| error.to_string())?;
    // A third slash is taken for nothing by the parser.
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    match (host, parsed.host_str()) {
        ("", _) | (_, None | Some("")) => Err("it names no host".to_owned()),
        (host, _) if host.contains('@') => Err("there are credentials in it".to_owned()),
        _ if parsed.port() == Some(0) => Err("there is no port 0".to_owned()),
        _ if rest.split(['/', '?']).any(is_dots) => Err("its path has the segment `.` or `..`".to_owned()),
        _ => Ok(url),
    }
}

fn is_strange(sign: char) -> bool {
    sign.is_whitespace() || sign.is_control() || "\\\"<>^`{|}".contains(sign)
}

/// What a server would take for the folder itself or the one above.
pub(super) fn is_dots(segment: &str) -> bool {
    matches!(&*percent_decode_str(segment).collect::<Vec<u8>>(), b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_asked_is_a_base() {
        for good in
            ["http://a", "https://a.example.com/api/", "http://[::1]:9001/x", "http://my_service:80", "http://10.0.0.1"]
        {
            assert_eq!(read(good, &['?', '#']).as_deref(), Ok(good));
        }
        assert_eq!(read("HTTP://Payments:9001", &['?']).as_deref(), Ok("http://Payments:9001"));
    }

    #[test]
    fn what_cannot_is_refused_with_the_reason() {
        for bad in [
            "",
            "http://",
            "http:///x",
            "ftp://a",
            "a:9001",
            "http:/a",
            "http://host:port",
            "http://a:99999",
            "http://a:0",
            "http://[::1",
            "http://a b",
            "http://u:p@a",
            "http://a/../b",
            "http://a/%2e%2e/b",
            "http://a/%2E/b",
            "http://a?x",
            "http://a#x",
            "http://%zz",
            "http://a\\b",
            "http://:80",
            "http://999.1.1.1",
            "http://{host}/x",
        ] {
            assert!(read(bad, &['?', '#']).is_err(), "{bad}: {:?}", read(bad, &['?', '#']));
        }
    }
}
