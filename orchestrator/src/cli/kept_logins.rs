//! The file with what `saga login` got: a token for each engine, for this user alone.

use anyhow::{Context, bail};
use saga_core::time::{Timestamp, from_rfc3339, rfc3339};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A token of one engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptLogin {
    pub(super) token: String,
    /// When it ends; RFC 3339, UTC.
    pub(super) expires: String,
}

impl KeptLogin {
    /// Whether it has ended at `now`.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        from_rfc3339(&self.expires).is_none_or(|expires| expires <= now)
    }

    pub(super) fn until(token: String, expires: Timestamp) -> KeptLogin {
        KeptLogin { token, expires: rfc3339(expires) }
    }
}

/// The logins of a user, by the address of the engine.
pub(super) struct KeptLogins {
    file: PathBuf,
    logins: BTreeMap<String, KeptLogin>,
}

/// The file of this user; `None`: this user has no home.
pub(super) fn file() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(state.join("saga").join("logins.json"))
}

impl KeptLogins {
    /// What is kept for this user.
    pub(super) fn read() -> anyhow::Result<KeptLogins> {
        let file = file().context("no folder is there to keep a login\nhint: set HOME or XDG_STATE_HOME")?;
        KeptLogins::read_from(file)
    }

    fn read_from(file: PathBuf) -> anyhow::Result<KeptLogins> {
        let shown = file.display();
        let facts = match fs::metadata(&file) {
            Ok(facts) => facts,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(KeptLogins { file, logins: BTreeMap::new() });
            }
            Err(error) => bail!("{shown} cannot be read: {error}"),
        };
        if facts.permissions().mode() & 0o077 != 0 {
            bail!("others can read {shown}, which has tokens\nhint: `saga logout`, then `saga login` again");
        }
        let text = fs::read_to_string(&file).with_context(|| format!("{shown} cannot be read"))?;
        let logins = serde_json::from_str(&text)
            .with_context(|| format!("{shown} has no logins\nhint: remove it, and `saga login` again"))?;
        Ok(KeptLogins { file, logins })
    }

    pub(super) fn of(&self, server: &str) -> Option<&KeptLogin> {
        self.logins.get(server)
    }

    /// Keeps a login, in place of an older one of the same engine.
    pub(super) fn keep(mut self, server: &str, login: KeptLogin) -> anyhow::Result<PathBuf> {
        self.logins.insert(server.to_owned(), login);
        self.write()?;
        Ok(self.file)
    }

    /// Forgets the login of an engine; whether there was one.
    pub(super) fn forget(server: &str) -> anyhow::Result<bool> {
        let Some(file) = file() else { return Ok(false) };
        // What cannot be used is not kept.
        let Ok(mut kept) = KeptLogins::read_from(file.clone()) else { return remove(&file).map(|()| true) };
        let had = kept.logins.remove(server).is_some();
        if kept.logins.is_empty() {
            remove(&file)?;
        } else {
            kept.write()?;
        }
        Ok(had)
    }

    /// In one step, so that a reader finds the old file or the new one.
    fn write(&self) -> anyhow::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let failed = || format!("cannot keep the login in {}", folder.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(failed)?;
        let new = folder.join(format!("logins.{}.new", std::process::id()));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .with_context(failed)?;
        file.set_permissions(fs::Permissions::from_mode(0o600)).with_context(failed)?;
        file.write_all(&serde_json::to_vec(&self.logins)?).with_context(failed)?;
        file.sync_all().with_context(failed)?;
        fs::rename(&new, &self.file).with_context(failed)
    }
}

fn remove(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(token: &str) -> KeptLogin {
        KeptLogin::until(token.to_owned(), Timestamp(1_000))
    }

    #[test]
    fn a_login_is_kept_for_its_user_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("saga").join("logins.json");
        let kept = KeptLogins::read_from(file.clone()).expect("nothing is kept yet");
        kept.keep("http://a", login("one")).expect("it is kept");
        let kept = KeptLogins::read_from(file.clone()).expect("one is kept");
        kept.keep("http://b", login("two")).expect("it is kept");
        let kept = KeptLogins::read_from(file.clone()).expect("two are kept");
        assert_eq!((kept.of("http://a"), kept.of("http://c")), (Some(&login("one")), None));
        let mode = fs::metadata(&file).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("it is mine");
        let told = KeptLogins::read_from(file).err().expect("others can read it").to_string();
        assert!(told.contains("others can read"), "{told}");
    }

    #[test]
    fn a_login_ends() {
        assert!(!login("one").has_ended(Timestamp(999)) && login("one").has_ended(Timestamp(1_000)));
        assert!(KeptLogin { token: String::new(), expires: "soon".to_owned() }.has_ended(Timestamp(0)));
    }
}
