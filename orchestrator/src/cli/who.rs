//! The name of the operator that is recorded with an act when `--who` is not given.

use std::{env, fs, os::unix::fs::MetadataExt};

/// `USER`, else `LOGNAME`, else the login name of the process's user, else `unknown@HOST`: in a container often none of
/// the others exists.
pub(super) fn name() -> String {
    let from_environment =
        ["USER", "LOGNAME"].into_iter().find_map(|name| env::var(name).ok().filter(|text| is_name(text)));
    from_environment.or_else(login_name).unwrap_or_else(|| format!("unknown@{}", host()))
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty()
}

/// From the list of users of this machine; users of a directory service are not in it.
fn login_name() -> Option<String> {
    let user = fs::metadata("/proc/self").ok()?.uid();
    named(&fs::read_to_string("/etc/passwd").ok()?, user)
}

fn named(users: &str, user: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(user) && !name.is_empty()).then(|| name.to_owned())
    })
}

fn host() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned());
    kernel.ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_user_is_the_first_of_its_number() {
        let users = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/srv/ada:/bin/sh\ntoor:x:0:0::/:\nbroken\n";
        assert_eq!(named(users, 1000).as_deref(), Some("ada"));
        assert_eq!(named(users, 0).as_deref(), Some("root"));
        assert_eq!(named(users, 7), None);
    }

    #[test]
    fn there_is_always_a_name() {
        assert!(!name().is_empty() && !host().is_empty());
    }
}
